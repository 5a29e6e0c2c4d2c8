//! `validate`: the stored data is examined, and every function tried with sessions of its own.

// | file | holds |
// |---|---|
// | `interrupt` | SIGINT and SIGTERM |
// | `examine` | all keys and rows, in two looks |
// | `own` | the command's own sessions, and their deletion |
// | `expectation` | what a function should do |
// | `functions` | every function of the store |
// | `fallback` | the fallback drill |
// | `kinds` | the kinds of findings, explained |
// | `report` | findings, counted and printed |

use std::time::{Duration, Instant};

use crate::{
    cli::{
        arguments::Validate,
        exit::{Exit, Failure},
        output::Output,
        validate::{
            examine::{Examination, Stop},
            expectation::Failed,
            fallback::Drill,
            functions::Functions,
            interrupt::Interrupt,
            own::{Sessions, delete_all},
            report::{Report, Tried},
        },
        warnings::Warnings,
    },
    error::Causes,
    store::{
        audit::{Audit, Copies, Kind, Obstacle, Own},
        maintenance::{Checked, Maintenance},
    },
};

mod examine;
mod expectation;
mod fallback;
mod functions;
mod interrupt;
mod kinds;
mod own;
mod report;

/// Difference of two clocks from which on an instance does not use its own.
const CLOCKS_MS: u64 = 2_000;
/// Of a command and of a statement: no write without a reply has taken less.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn validate(
    store: &dyn Maintenance,
    wanted: &Validate,
    idle_timeout: Duration,
    output: &mut Output,
    warnings: &Warnings,
) -> Result<Exit, Failure> {
    let mut report = Report::default();
    let interrupt = Interrupt::listen()?;
    let audit = store.audit();
    audit.purge_nothing();
    let works = servers(store, audit, &mut report).await;
    let examination = Examination {
        audit,
        interrupt: &interrupt,
        limit: wanted.sample.unwrap_or(u64::MAX),
        shortest_life: wanted.idle_timeout.map_or(idle_timeout, Duration::from_secs),
        clock: store.store().clock(),
    };
    match data(&examination, &mut report).await {
        Err(Stop::Interrupted) => report.interrupted = true,
        Err(Stop::Failed(error)) if works => report.fails("stored data", &error),
        _ => {}
    }
    let why_not = match (wanted.read_only, works) {
        _ if report.interrupted => Some("interrupted"),
        (true, _) => Some("--read-only"),
        (false, false) => Some("a server does not work"),
        (false, true) => None,
    };
    let trial = Trial { store, audit, interrupt: &interrupt, warnings };
    trial.all(why_not, &mut report).await;
    // A clock that differs is a finding of its own.
    for warning in warnings.all().into_iter().filter(|line| !line.starts_with("clock differs")) {
        report.find_text(Kind::Warning, warning);
    }
    report.print(output)?;
    Ok(report.exit())
}

/// The start-up checks, and the clocks. Returns whether every server works.
async fn servers(store: &dyn Maintenance, audit: &dyn Audit, report: &mut Report) -> bool {
    let mut works = true;
    for Checked { part, result } in store.check().await {
        // Clocks have a kind of their own, and a lower bound.
        if let Err(error) = result
            && part != "clocks"
        {
            report.fails(part, &error);
            works = false;
        }
    }
    for (whose, ahead) in audit.clocks() {
        if ahead.unsigned_abs() > CLOCKS_MS {
            let text = format!("{whose} is {ahead:+} ms ahead of this process");
            report.find_text(Kind::ClockDiffers, text);
        }
    }
    works
}

/// As far as the servers reply and the rights suffice; returns the first error.
async fn data(examination: &Examination<'_>, report: &mut Report) -> Result<(), Stop> {
    let mut first = Ok(());
    for area in examination.audit.areas() {
        match examination.of(*area, report).await {
            Err(Stop::Interrupted) => return Err(Stop::Interrupted),
            done => first = first.and(done),
        }
    }
    match examination.journal(report).await {
        Err(Stop::Interrupted) => Err(Stop::Interrupted),
        done => first.and(done),
    }
}

/// Functions and fallback, with sessions of the command's own.
struct Trial<'a> {
    store: &'a dyn Maintenance,
    audit: &'a dyn Audit,
    interrupt: &'a Interrupt,
    warnings: &'a Warnings,
}

impl Trial<'_> {
    async fn all(&self, why_not: Option<&'static str>, report: &mut Report) {
        let reason = if why_not.is_some() { why_not } else { self.obstacle(report).await };
        if let Some(reason) = reason {
            report.functions = Tried::not(reason);
            report.fallback = Tried::not(reason);
            return;
        }
        self.functions(report).await;
        match self.audit.copies() {
            None => report.fallback = Tried::not("there is one store"),
            Some(_) if report.interrupted => report.fallback = Tried::not("interrupted"),
            Some(copies) => self.fallback(copies, report).await,
        }
    }

    async fn obstacle(&self, report: &mut Report) -> Option<&'static str> {
        match self.audit.obstacle().await {
            Ok(None) => None,
            Ok(Some(Obstacle { finding, text })) => {
                if let Some(kind) = finding {
                    report.find_text(kind, text);
                }
                Some(text)
            }
            Err(error) => {
                report.fails("stored data", &error);
                Some("a server does not work")
            }
        }
    }

    async fn functions(&self, report: &mut Report) {
        let Some(own) = self.begin(report).await else { return };
        let (store, sessions) = (self.store.store(), &Sessions::new(self.store.store(), &own));
        let (bucket, has_copies) = (own.bucket, self.audit.copies().is_some());
        if has_copies {
            // With connections of its own it rejects sessions of a clock that it never compared.
            let _ = store.check().await;
        }
        let functions =
            Functions { store, sessions, interrupt: self.interrupt, bucket, has_copies };
        let (started, mut names) = (Instant::now(), Vec::new());
        let done = functions.all(&mut names).await;
        report.functions = Tried::until(names, &done);
        self.end(Kind::FunctionFailed, done, &own, started, report).await;
    }

    async fn fallback(&self, copies: &dyn Copies, report: &mut Report) {
        let Some(own) = self.begin(report).await else { return };
        let (store, sessions) = (self.store.store(), &Sessions::new(self.store.store(), &own));
        let drill = Drill { store, copies, sessions, interrupt: self.interrupt };
        // That Redis is unavailable to this process is the purpose.
        self.warnings.mute(true);
        let (started, mut names) = (Instant::now(), Vec::new());
        let done = drill.all(&mut names).await;
        self.warnings.mute(false);
        report.fallback = Tried::until(names, &done);
        self.end(Kind::FallbackFailed, done, &own, started, report).await;
    }

    /// Names for sessions, and the proof that they can be deleted.
    async fn begin(&self, report: &mut Report) -> Option<Own> {
        let own = async {
            let own = own::draw()?;
            self.audit.forget(&own).await.map(|()| own)
        };
        own.await.map_err(|error| report.fails("deletion", &error)).ok()
    }

    /// Deletes the sessions, whatever the result.
    async fn end(
        &self,
        kind: Kind,
        done: Result<(), Failed>,
        own: &Own,
        started: Instant,
        report: &mut Report,
    ) {
        let is_known = matches!(done, Ok(()) | Err(Failed::Interrupted));
        // A store repeats a write without a reply, and the first one may still be executed.
        let is_certain = is_known && started.elapsed() < TIMEOUT;
        match done {
            Ok(()) => {}
            Err(Failed::Interrupted) => report.interrupted = true,
            Err(Failed::Function(name, text)) => report.find_text(kind, format!("{name}: {text}")),
            Err(Failed::Store(name, error)) if Exit::of(&error) == Exit::Finding => {
                report.find_text(kind, format!("{name}: {}", Causes(&error)));
            }
            Err(Failed::Store(name, error)) => report.fails(name, &error),
        }
        let deleted = delete_all(self.store.store(), self.audit, own, is_certain).await;
        if let Err(error) = deleted {
            report.find_text(Kind::LeftBehind, format!("of {}: {}", own.user, Causes(&error)));
        }
    }
}
