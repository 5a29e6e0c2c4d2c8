//! Watches over the whole test binary: what it logs, answers and stores may hold no secret, and the
//! library may not panic. Whatever was found fails the next test that lets go of a server.

use std::fmt::Write;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, panic, thread};

use http::HeaderMap;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::log_capture::{LogCapture, text_of_event, text_of_record, text_of_span};
use super::process::asked_to_serve;
use super::secrets::Secrets;

static SECRETS: Mutex<Option<Secrets>> = Mutex::new(None);
static FOUND: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on, once for the process.
pub fn start() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(LeakMonitor);
        // Where a process prints its log instead, it is looked at by whoever asked for it.
        let _ = tracing::subscriber::set_global_default(subscriber);
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if let Some(place) = panic.location().filter(|place| is_ours(place.file())) {
                found(format!("the library panicked at {place}: {panic}"));
            }
            before(panic);
        }));
    });
}

/// Whether a panic there is the library's: what checks a store for its author reports by one.
pub fn is_ours(file: &str) -> bool {
    file.starts_with("src/") && !file.starts_with("src/testing/")
}

pub fn secret(text: &str) {
    with(|secrets| secrets.add_text(text));
}

/// What is stored, and neither logged nor answered.
pub fn value(text: &str) {
    with(|secrets| secrets.add_value(text));
}

/// The head of an answer: its cookies are secret from now on, and were before.
pub fn answered(headers: &HeaderMap) {
    for line in headers.get_all(http::header::SET_COOKIE) {
        let line = String::from_utf8_lossy(line.as_bytes());
        if with(|secrets| secrets.add_set_cookie(&line)) {
            found("a token was logged or printed before it was sent".to_owned());
        }
    }
}

/// What was said where everybody may read it.
pub fn said(what: &str, text: &str) {
    if with(|secrets| secrets.are_in_text(text)) {
        found(format!("a secret in {what}: {}", with(|secrets| secrets.excerpt(text))));
    }
}

/// What is kept.
pub fn stored(what: &str, bytes: &[u8]) -> bool {
    let hit = with(|secrets| secrets.are_in(bytes));
    if hit {
        let text = String::from_utf8_lossy(bytes);
        found(format!("a secret in {what}: {}", with(|secrets| secrets.excerpt(&text))));
    }
    hit
}

/// How many tokens are known.
pub fn tokens() -> usize {
    with(|secrets| secrets.tokens())
}

/// An error with all that it prints.
pub fn printed(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, " {error} {error:?}");
        cause = error.source();
    }
    text
}

/// Fails the test if anything was found since the last call.
pub fn check() {
    if thread::panicking() {
        return;
    }
    let found = std::mem::take(&mut *FOUND.lock().unwrap_or_else(PoisonError::into_inner));
    assert!(found.is_empty(), "seen in this test binary: {found:#?}");
}

fn found(what: String) {
    if asked_to_serve().is_some() && env::var_os("RUST_LOG").is_none() {
        // Nobody asks a process that serves a test for what it found; nothing works without it.
        eprintln!("{what}");
        std::process::abort();
    }
    // The test whose thread it is; that of a worker of a runtime has no test's name.
    let thread = thread::current().name().unwrap_or("a thread without a name").to_owned();
    FOUND
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(format!("{what} (on the thread of {thread})"));
}

fn with<T>(ask: impl FnOnce(&mut Secrets) -> T) -> T {
    let mut secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    ask(secrets.get_or_insert_default())
}

/// Looks at everything that is logged.
#[derive(Debug)]
pub struct LeakMonitor;

impl LeakMonitor {
    fn see(&self, metadata: &Metadata<'_>, text: String) {
        // They log what they are given by either side, as an application may have them do or not.
        if ["h2", "hyper"].iter().any(|given| metadata.target().starts_with(given)) {
            return;
        }
        said(&format!("what {} logged", metadata.target()), &text);
        LogCapture::of_the_process_sees(metadata, text);
    }
}

impl<S> Layer<S> for LeakMonitor
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.see(attributes.metadata(), text_of_span(attributes));
    }

    fn on_record(&self, span: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(metadata) = context.metadata(span) {
            self.see(metadata, text_of_record(values));
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.see(event.metadata(), text_of_event(event));
    }
}
