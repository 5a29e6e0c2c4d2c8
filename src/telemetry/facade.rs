//! The series of the `metrics` facade (feature `metrics`): keys, descriptions, recording.
//!
//! Each series has its key once, so that recording allocates nothing of its own; a rejection is the
//! exception.

#![cfg_attr(
    not(all(feature = "redis", feature = "_database")),
    allow(dead_code, reason = "no one store uses all of it")
)]

use std::{sync::LazyLock, time::Duration};

use metrics::{Key, Label, Level, Metadata, Unit};

use crate::telemetry::counters::NAMES;

/// All series of one name: every combination of its labels' values.
pub(super) struct Table {
    labels: &'static [(&'static str, &'static [&'static str])],
    /// In the order of the values, the last label's first.
    keys: Vec<Key>,
}

pub(super) type Lazy = LazyLock<Table>;

/// `session.store`, in the order of `StoreName`.
const STORES: &[&str] = &["memory", "redis", "database", "durable", "other"];
/// `db.system.name`, in the order of `System`.
const SYSTEMS: &[&str] = &["redis", "sqlite", "postgresql"];
/// `error.type` of an operation, in the order of `ErrorKind`; without an error there is no label.
const KINDS: &[&str] = &[
    "",
    "absent",
    "expired",
    "revoked",
    "forbidden",
    "unavailable",
    "misconfigured",
    "corrupt",
    "unsupported",
    "too_large",
    "closed",
    "moved",
    "ambiguous",
    "value",
    "invalid",
];
/// `db.operation.name`; the last one is for every other.
const COMMANDS: &[&str] = &[
    "GET", "MGET", "EVALSHA", "EVAL", "SET", "DEL", "HGET", "HKEYS", "HGETALL", "SCRIPT", "TIME",
    "INFO", "AUTH", "PIPELINE", "SELECT", "BATCH", "_OTHER",
];

/// `session.copy.result`, in the order of `CopyRead`.
const COPY_RESULTS: &[&str] = &["hit", "absent", "expired", "miss", "bypassed"];

pub(super) static OPERATIONS: Lazy = Lazy::new(|| {
    Table::new(
        "session.operation.duration",
        &[
            ("session.store", STORES),
            ("session.operation", &["load", "commit", "update"]),
            ("error.type", KINDS),
        ],
    )
});
pub(super) static CALLS: Lazy = Lazy::new(|| {
    Table::new(
        "db.client.operation.duration",
        &[
            ("db.system.name", SYSTEMS),
            ("db.operation.name", COMMANDS),
            ("error.type", &["", "timeout", "connection", "reply"]),
        ],
    )
});
pub(super) static WAITS: Lazy = Lazy::new(|| {
    Table::new("db.client.connection.wait_time", &[("db.client.connection.pool.name", SYSTEMS)])
});
pub(super) static WAITED_IN_VAIN: Lazy = Lazy::new(|| {
    Table::new("db.client.connection.timeouts", &[("db.client.connection.pool.name", SYSTEMS)])
});
pub(super) static BUDGETS: Lazy =
    Lazy::new(|| Table::new("session.budget.exceeded", &[("session.store", STORES)]));
pub(super) static EVENTS: Lazy =
    Lazy::new(|| Table::new("session.events", &[("session.event", &NAMES)]));
pub(super) static COPY_READS: Lazy =
    Lazy::new(|| Table::new("session.copy.reads", &[("session.copy.result", COPY_RESULTS)]));

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Describes every metric of the feature `metrics` to the recorder that is installed: unit and
/// meaning. A layer does so when it is built, so call it only where the recorder is installed
/// later.
///
/// | metric | kind, unit | labels |
/// |---|---|---|
/// | `session.operation.duration` | histogram, seconds | `session.store`, `session.operation` (`load`, `commit`, `update`), `error.type` |
/// | `session.budget.exceeded` | counter | `session.store` |
/// | `session.events` | counter | `session.event`, as [`Event`](crate::telemetry::Event) |
/// | `session.copy.reads` | counter | `session.copy.result` (`hit`, `absent`, `expired`, `miss`, `bypassed`) |
/// | `session.rejections` | counter | `session.rejected_by` (`guard`, `csrf`), `error.type` |
/// | `db.client.operation.duration` | histogram, seconds | `db.system.name`, `db.operation.name`, `error.type` (`timeout`, `connection`, `reply`) |
/// | `db.client.connection.wait_time` | histogram, seconds | `db.client.connection.pool.name` |
/// | `db.client.connection.timeouts` | counter | `db.client.connection.pool.name` |
///
/// Names and labels with `db.` and `error.` are those of OpenTelemetry's semantic conventions. No
/// label has the value of a client. The run-book explains each.
///
/// ```
/// tower_redis_session::telemetry::describe_metrics();
/// ```
pub fn describe_metrics() {
    metrics::describe_histogram!(
        "session.operation.duration",
        Unit::Seconds,
        "Time that an operation of a request on its session took."
    );
    metrics::describe_histogram!(
        "db.client.operation.duration",
        Unit::Seconds,
        "Time that a call of a store took."
    );
    metrics::describe_histogram!(
        "db.client.connection.wait_time",
        Unit::Seconds,
        "Time that a call waited for a connection to a store."
    );
    for (name, help) in [
        ("db.client.connection.timeouts", "Calls that received no connection in time."),
        ("session.budget.exceeded", "Requests that spent their budget waiting for the store."),
        ("session.events", "Events in the lives of sessions and stores."),
        ("session.copy.reads", "Lookups among the copies in Redis, by result."),
        ("session.rejections", "Requests rejected by a guard or by CSRF protection."),
    ] {
        metrics::describe_counter!(name, Unit::Count, help);
    }
}

pub(super) fn record(table: &Table, place: &[usize], time: Duration) {
    let Some(key) = table.key(place) else { return };
    metrics::with_recorder(|recorder| {
        recorder.register_histogram(key, &METADATA).record(time.as_secs_f64());
    });
}

pub(super) fn add(table: &Table, place: &[usize], count: u64) {
    let Some(key) = table.key(place) else { return };
    metrics::with_recorder(|recorder| {
        recorder.register_counter(key, &METADATA).increment(count);
    });
}

pub(super) fn rejected(by: &'static str, code: &'static str) {
    let labels = [("session.rejected_by", by), ("error.type", code)];
    metrics::counter!("session.rejections", &labels).increment(1);
}

/// The place of a command among those that have a series.
pub(super) fn command(command: &[u8]) -> usize {
    let place = COMMANDS.iter().position(|name| name.as_bytes() == command);
    place.unwrap_or(COMMANDS.len() - 1)
}

impl Table {
    fn new(name: &'static str, labels: &'static [(&'static str, &'static [&'static str])]) -> Self {
        let mut series: Vec<Vec<Label>> = vec![Vec::new()];
        for (label, values) in labels {
            let with = |series: &Vec<Label>, value: &'static str| {
                let label = Some(Label::from_static_parts(label, value));
                let label = label.filter(|_| !value.is_empty());
                series.iter().cloned().chain(label).collect()
            };
            let longer = series.iter().flat_map(|one| values.iter().map(move |of| with(one, of)));
            series = longer.collect();
        }
        let keys = series.into_iter().map(|labels| Key::from_parts(name, labels)).collect();
        Self { labels, keys }
    }

    fn key(&self, place: &[usize]) -> Option<&Key> {
        let lengths = self.labels.iter().map(|(_, values)| values.len());
        self.keys.get(place.iter().zip(lengths).fold(0, |at, (place, length)| at * length + place))
    }
}

#[cfg(test)]
mod tests {
    use crate::{error::ErrorKind, telemetry::facade::*};

    #[test]
    fn each_series_is_found_under_its_own_labels() {
        let labels = |place: &[usize]| {
            let key = OPERATIONS.key(place);
            let values = key.map(|key| key.labels().map(|label| label.value().to_owned()));
            values.map(Iterator::collect::<Vec<_>>)
        };
        assert_eq!(labels(&[1, 2, 0]), Some(vec!["redis".to_owned(), "update".to_owned()]));
        let unavailable = ErrorKind::Unavailable as usize + 1;
        let last = labels(&[4, 0, unavailable]);
        assert_eq!(last, Some(["other", "load", "unavailable"].map(str::to_owned).to_vec()));
        assert_eq!(OPERATIONS.keys.len(), STORES.len() * 3 * KINDS.len());
        assert_eq!(COMMANDS.get(command(b"GET")), Some(&"GET"));
        assert_eq!(COMMANDS.get(command(b"FLUSHALL")), Some(&"_OTHER"));
    }

    #[test]
    fn the_kinds_have_the_names_of_the_errors() {
        for (kind, name) in [
            (ErrorKind::Absent, "absent"),
            (ErrorKind::Misconfigured, "misconfigured"),
            (ErrorKind::TooLarge, "too_large"),
            (ErrorKind::Moved, "moved"),
            (ErrorKind::Invalid, "invalid"),
        ] {
            assert_eq!(KINDS.get(kind as usize + 1), Some(&name));
        }
        assert_eq!(KINDS.len(), ErrorKind::Invalid as usize + 2, "the last kind");
    }
}
