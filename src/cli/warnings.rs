//! The library's warnings: printed on standard error, and counted.

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::json;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::cli::exit::complain;

/// The crate's own log lines only.
const TARGET: &str = "tower_redis_session";
/// Not these: the result of the command says that a store is unavailable.
const STATES: &str = "tower_redis_session::store::availability";

/// The warnings so far.
#[derive(Clone)]
pub(super) struct Warnings {
    json: bool,
    lines: Arc<Mutex<Vec<String>>>,
    /// Whether warnings are expected, and ignored.
    muted: Arc<AtomicBool>,
}

impl Warnings {
    /// Collects the warnings of this process, and prints them as they come.
    pub(super) fn install(json: bool) -> Self {
        let warnings = Self { json, lines: Arc::default(), muted: Arc::default() };
        // An error means that another subscriber collects them.
        let _ = tracing::subscriber::set_global_default(warnings.clone());
        warnings
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.lines().clone()
    }

    /// Ignores warnings that the command itself provokes, or no longer.
    pub(super) fn mute(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let ours = target.starts_with(TARGET) && target != STATES;
        ours && *metadata.level() <= Level::WARN && !self.muted.load(Ordering::Relaxed)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        // No span is enabled.
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let line = format!("{}{}", line.message, line.fields);
        if self.json {
            complain(&json!({ "warning": line }).to_string());
        } else {
            complain(&format!("warning: {line}"));
        }
        self.lines().push(line);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, ", {name}: {value:?}"),
        };
    }
}
