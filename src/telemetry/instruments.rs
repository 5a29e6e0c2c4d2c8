//! What is recorded through the `metrics` facade. Without the feature of that name every function
//! here is empty, and a stopwatch has no size.

#[cfg(feature = "metrics")]
use std::time::Instant;

#[cfg(feature = "metrics")]
use crate::telemetry::facade;
use crate::{
    error::Error,
    telemetry::health::{Health, Serving},
};

/// Measures a duration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(#[cfg(feature = "metrics")] Instant);

/// An operation of a request on its session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Load,
    Commit,
    Update,
}

/// The store of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoreName {
    Memory,
    Redis,
    Database,
    Durable,
    Other,
}

/// A database system, by its name in OpenTelemetry's conventions.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "each store has a feature of its own")]
pub(crate) enum System {
    Redis,
    Sqlite,
    Postgresql,
}

/// Why a call of a store failed.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "each store has a feature of its own")]
pub(crate) enum Fault {
    Timeout,
    /// Lost, or not opened.
    Connection,
    /// An error reply.
    Reply,
}

/// Result of a lookup among the copies in Redis.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "the durable store has features of its own")]
pub(crate) enum CopyRead {
    Hit,
    Absent,
    Expired,
    Miss,
    /// Redis is unavailable, or the copy is not trusted: the database is read.
    Bypassed,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(
            #[cfg(feature = "metrics")]
            Instant::now(),
        )
    }

    /// An operation of a request has ended.
    pub(crate) fn operation(self, operation: Operation, store: StoreName, error: Option<&Error>) {
        #[cfg(feature = "metrics")]
        {
            let kind = error.map_or(0, |error| error.kind() as usize + 1);
            let place = [store as usize, operation as usize, kind];
            facade::record(&facade::OPERATIONS, &place, self.0.elapsed());
        }
        #[cfg(not(feature = "metrics"))]
        let _ = (operation, store, error);
    }

    /// A call of a store has ended.
    #[cfg(any(feature = "redis", feature = "_database"))]
    pub(crate) fn call<'a>(
        self,
        system: System,
        command: impl FnOnce() -> &'a [u8],
        fault: Option<Fault>,
    ) {
        #[cfg(feature = "metrics")]
        {
            let fault = fault.map_or(0, |fault| fault as usize + 1);
            let place = [system as usize, facade::command(command()), fault];
            facade::record(&facade::CALLS, &place, self.0.elapsed());
        }
        #[cfg(not(feature = "metrics"))]
        let _ = (system, command, fault);
    }

    /// A call has waited for a connection, and has one if `in_time`.
    #[cfg(any(feature = "redis", feature = "_database"))]
    pub(crate) fn connection(self, system: System, in_time: bool) {
        #[cfg(feature = "metrics")]
        {
            facade::record(&facade::WAITS, &[system as usize], self.0.elapsed());
            if !in_time {
                facade::add(&facade::WAITED_IN_VAIN, &[system as usize], 1);
            }
        }
        #[cfg(not(feature = "metrics"))]
        let _ = (system, in_time);
    }
}

impl StoreName {
    pub(crate) const fn of(health: &Health) -> Self {
        match (health.serving, &health.redis, &health.database) {
            (_, Some(_), Some(_)) => Self::Durable,
            (_, Some(_), None) => Self::Redis,
            (_, None, Some(_)) => Self::Database,
            (Serving::Memory, ..) => Self::Memory,
            _ => Self::Other,
        }
    }

    /// Whether the store logs that it is unavailable: then its failures need no line each.
    pub(crate) const fn logs_its_state(self) -> bool {
        matches!(self, Self::Redis | Self::Database | Self::Durable)
    }
}

impl System {
    /// Its name in OpenTelemetry's semantic conventions.
    #[cfg(any(feature = "redis", feature = "_database"))]
    const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Sqlite => "sqlite",
            Self::Postgresql => "postgresql",
        }
    }

    /// The span of a call, by OpenTelemetry's semantic conventions.
    #[cfg(any(feature = "redis", feature = "_database"))]
    pub(crate) fn span<'a>(self, command: impl FnOnce() -> &'a [u8]) -> tracing::Span {
        let span = tracing::debug_span!(
            "db",
            otel.kind = "client",
            otel.name = tracing::field::Empty,
            db.system.name = self.name(),
            db.operation.name = tracing::field::Empty,
        );
        if !span.is_disabled() {
            let command = String::from_utf8_lossy(command());
            let _ = span.record("otel.name", &*command).record("db.operation.name", &*command);
        }
        span
    }
}

/// A request has spent its budget.
pub(crate) fn budget_exceeded(store: StoreName) {
    #[cfg(feature = "metrics")]
    facade::add(&facade::BUDGETS, &[store as usize], 1);
    #[cfg(not(feature = "metrics"))]
    let _ = store;
}

/// The event at that place among the counters.
pub(super) fn event(place: usize, count: u64) {
    #[cfg(feature = "metrics")]
    facade::add(&facade::EVENTS, &[place], count);
    #[cfg(not(feature = "metrics"))]
    let _ = (place, count);
}

/// A lookup among the copies in Redis.
#[cfg(all(feature = "redis", feature = "_database"))]
pub(crate) fn copy_read(read: CopyRead) {
    #[cfg(feature = "metrics")]
    facade::add(&facade::COPY_READS, &[read as usize], 1);
    #[cfg(not(feature = "metrics"))]
    let _ = read;
}

/// A guard or the CSRF layer has rejected a request; `code` is that of the response.
pub(crate) fn rejected(by: &'static str, code: &'static str) {
    #[cfg(feature = "metrics")]
    facade::rejected(by, code);
    #[cfg(not(feature = "metrics"))]
    let _ = (by, code);
}

/// The metrics are described once a layer is built; see `describe_metrics`.
pub(crate) fn describe() {
    #[cfg(feature = "metrics")]
    facade::describe_metrics();
}
