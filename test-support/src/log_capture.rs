//! Everything that was logged, at every level, with every field.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::leak_monitor::{self, LeakMonitor};

/// Whether `RUST_LOG` is set: the whole process then prints its log, and nobody captures it.
pub fn prints_its_log() -> bool {
    let Ok(filter) = std::env::var("RUST_LOG") else { return false };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    true
}

/// A shared buffer of what was logged.
#[derive(Debug, Clone, Default)]
pub struct LogCapture {
    captured: Arc<Mutex<Vec<Captured>>>,
}

/// An event, a new span, or values recorded on a span.
#[derive(Debug, Clone)]
pub struct Captured {
    pub is_event: bool,
    pub level: Level,
    pub target: String,
    /// The message and all fields: `text field=value field=value`.
    pub text: String,
}

impl LogCapture {
    /// Captures what this thread logs while the guard lives: all of a test on a current-thread
    /// runtime.
    pub fn on_this_thread() -> (Self, DefaultGuard) {
        leak_monitor::start();
        let capture = Self::default();
        let subscriber = tracing_subscriber::registry().with(capture.clone()).with(LeakMonitor);
        (capture, tracing::subscriber::set_default(subscriber))
    }

    /// Captures what the whole process logs, for all tests of the binary together.
    pub fn of_the_process() -> Self {
        leak_monitor::start();
        PROCESS.get_or_init(Self::default).clone()
    }

    pub(super) fn of_the_process_sees(metadata: &Metadata<'_>, text: String) {
        if let Some(capture) = PROCESS.get() {
            capture.push(metadata, text);
        }
    }

    /// Everything, in order.
    pub fn all(&self) -> Vec<Captured> {
        self.captured.lock().unwrap().clone()
    }

    pub fn events(&self) -> Vec<Captured> {
        self.all().into_iter().filter(|captured| captured.is_event).collect()
    }

    pub fn contains(&self, needle: &str) -> bool {
        self.all().iter().any(|captured| captured.text.contains(needle))
    }

    pub fn clear(&self) {
        self.captured.lock().unwrap().clear();
    }

    fn push(&self, metadata: &Metadata<'_>, text: String) {
        self.captured.lock().unwrap().push(Captured {
            is_event: metadata.is_event(),
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            text,
        });
    }
}

static PROCESS: OnceLock<LogCapture> = OnceLock::new();

pub(super) fn text_of_span(attributes: &Attributes<'_>) -> String {
    let mut text = Text(attributes.metadata().name().to_owned());
    attributes.record(&mut text);
    text.0
}

pub(super) fn text_of_record(values: &Record<'_>) -> String {
    let mut text = Text::default();
    values.record(&mut text);
    text.0
}

pub(super) fn text_of_event(event: &Event<'_>) -> String {
    let mut text = Text::default();
    event.record(&mut text);
    text.0
}

impl<S> Layer<S> for LogCapture
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.push(attributes.metadata(), text_of_span(attributes));
    }

    fn on_record(&self, span: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(metadata) = context.metadata(span) {
            self.push(metadata, text_of_record(values));
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.push(event.metadata(), text_of_event(event));
    }
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        // An error hides its causes from its own text; a log formatter may print them.
        let mut chain = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(chain, ": {error}");
            cause = error.source();
        }
        self.record_debug(field, &format_args!("{chain} ({value:?})"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let separator = if self.0.is_empty() { "" } else { " " };
        let _ = match field.name() {
            "message" => write!(self.0, "{separator}{value:?}"),
            name => write!(self.0, "{separator}{name}={value:?}"),
        };
    }
}
