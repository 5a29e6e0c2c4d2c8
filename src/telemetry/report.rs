//! Report of a layer for operators: health of its store, and event counts.

use std::fmt::{self, Write as _};

use serde_json::json;

use crate::telemetry::{counters::Counters, health::Health};

/// Health and event counts of a layer: for a status page and for metrics collectors. Made by
/// [`SessionAdmin::report`](crate::layer::SessionAdmin::report).
///
/// It contains no secret and names no session or user. It is for operators only all the same, so
/// put a [guard](crate::guard) in front or use a separate port.
///
/// Each process counts its own events, from 0 at its start, of all layers on a store. The counts
/// are: `created`, `renewed`, `destroyed`, `revoked`, `expired`, `unknown_token`, `ambiguous`,
/// `conflict`, `corrupt`, `ended_during_request`, `store_down`, `store_up`, `stamp_changed`,
/// `impersonation_began`, `impersonation_ended`, `sign_in_failed` and `sign_in_throttled`, as
/// [`Event`](crate::telemetry::Event) documents.
///
/// ```
/// use tower_redis_session::{MemoryStore, RedisSessionLayer};
///
/// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
/// let report = layer.admin().report();
/// assert_eq!(report.count("created"), Some(0));
/// assert!(report.to_json().contains(r#""serving":"memory""#));
/// assert!(report.to_metrics().contains("session_events_total{event=\"created\"} 0"));
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    status: Health,
    counts: Vec<(&'static str, u64)>,
}

impl Report {
    pub(crate) fn new(status: Health, counters: &Counters) -> Self {
        Self { status, counts: counters.read().collect() }
    }

    /// Health of the store at the time of the report.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer, telemetry::Serving};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert_eq!(layer.admin().report().health().serving, Serving::Memory);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.status
    }

    /// One of the counts; `None` for an unknown name.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert_eq!(layer.admin().report().count("revoked"), Some(0));
    /// assert_eq!(layer.admin().report().count("forgiven"), None);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn count(&self, name: &str) -> Option<u64> {
        self.counts.iter().find(|(other, _)| *other == name).map(|(_, count)| *count)
    }

    /// As a JSON object: `ready`, then the fields of [`Health`] under the names that it serializes
    /// with, and `counts`.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert!(layer.admin().report().to_json().starts_with('{'));
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        let counts: serde_json::Map<_, _> =
            self.counts.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())).collect();
        json!({
            "ready": self.status.is_ready(),
            "serving": self.status.serving,
            "redis": self.status.redis,
            "database": self.status.database,
            "copies": self.status.copies,
            "counts": counts,
        })
        .to_string()
    }

    /// In the text format of Prometheus, version 0.0.4: `session_events_total{event}`,
    /// `session_store_up{store}`, `session_store_connections{store}`, `session_ready`, and with a
    /// database behind Redis `session_copies_trusted`, `session_copies_bypassed` and
    /// `session_copies_pending`.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert!(layer.admin().report().to_metrics().contains("\nsession_ready 1\n"));
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn to_metrics(&self) -> String {
        let mut metrics = Metrics(String::new());
        let events = self.counts.iter().map(|(name, count)| (label("event", name), *count));
        metrics.family("session_events_total", "counter", events);
        let stores = [("redis", &self.status.redis), ("database", &self.status.database)];
        let stores =
            || stores.into_iter().filter_map(|(name, store)| Some((name, store.as_ref()?)));
        let up = stores().map(|(name, store)| (label("store", name), store.answers.into()));
        metrics.family("session_store_up", "gauge", up);
        let open = stores().map(|(name, store)| (label("store", name), store.connections.into()));
        metrics.family("session_store_connections", "gauge", open);
        metrics.value("session_ready", self.status.is_ready().into());
        if let Some(copies) = &self.status.copies {
            metrics.value("session_copies_trusted", copies.trusted.into());
            metrics.value("session_copies_bypassed", number(copies.bypassed));
            metrics.value("session_copies_pending", number(copies.pending));
        }
        metrics.0
    }
}

struct Metrics(String);

impl Metrics {
    fn family(&mut self, name: &str, kind: &str, samples: impl IntoIterator<Item = (String, u64)>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_some() {
            // Writing to a string cannot fail.
            let _ = writeln!(self.0, "# TYPE {name} {kind}");
        }
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    fn value(&mut self, name: &str, value: u64) {
        self.family(name, "gauge", [(String::new(), value)]);
    }
}

/// For constants of this file only: nothing is escaped.
fn label(name: &str, value: &str) -> String {
    format!("{{{name}=\"{value}\"}}")
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use crate::telemetry::report::*;
    use serde_json::Value;

    use crate::telemetry::{
        counters::NAMES,
        event::{Event, ThrottledBy},
        health::{BackendHealth, CacheHealth, Serving},
    };

    fn durable() -> Health {
        let store = |answers, cause: Option<&str>| BackendHealth {
            answers,
            unavailable_for: (!answers).then_some(Duration::from_millis(40)),
            rejects_writes: false,
            last_cause: cause.map(str::to_owned),
            connections: 3,
            pool_size: 8,
            clock_ahead: Some(-1_500),
        };
        Health {
            serving: Serving::Database,
            redis: Some(store(false, Some("gone \"away\"\n"))),
            database: Some(store(true, None)),
            copies: Some(CacheHealth {
                trusted: false,
                verified_ago: Some(Duration::from_millis(1_500)),
                generation: Some("00000000000000ff".to_owned()),
                incarnation: None,
                bypassed: 7,
                pending: 9,
            }),
        }
    }

    #[test]
    fn each_event_moves_its_own_count() {
        let id = || "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
        let away = Serving::Redis;
        for (at, event) in [
            Event::Created { id: id() },
            Event::Renewed { old: id(), new: id() },
            Event::Destroyed { id: id() },
            Event::Revoked { id: id() },
            Event::Expired { id: id() },
            Event::UnknownToken { id: id() },
            Event::Ambiguous,
            Event::Conflict { id: id() },
            Event::Corrupt { id: id() },
            Event::EndedDuringRequest { id: id() },
            Event::StoreDown { store: away },
            Event::StoreUp { store: away },
            Event::StampChanged { id: id() },
            Event::ImpersonationBegan { id: id(), actor: "root".into(), user: "alice".into() },
            Event::ImpersonationEnded { id: id(), actor: "root".into(), user: "alice".into() },
            Event::SignInFailed { account: "0f".into(), network: "192.0.2.1/32".into() },
            Event::SignInThrottled { by: ThrottledBy::Account, network: "192.0.2.1/32".into() },
        ]
        .iter()
        .enumerate()
        {
            let counters = Counters::default();
            counters.count(event);
            let moved: Vec<_> =
                counters.read().enumerate().filter(|(_, (_, count))| *count == 1).collect();
            assert_eq!(moved, [(at, (NAMES[at], 1))], "{event:?}");
        }
        let counters = Counters::default();
        counters.count(&Event::RevokedAll { user: "alice".to_owned(), count: 5 });
        counters.count(&Event::Missed { count: 3 });
        let report = Report::new(durable(), &counters);
        assert_eq!(report.count("revoked"), Some(5));
        assert_eq!(report.counts.iter().map(|(_, count)| count).sum::<u64>(), 5);
    }

    #[test]
    fn a_report_reads_back_as_it_was() {
        let report = Report::new(durable(), &Counters::default());
        let read: Value = serde_json::from_str(&report.to_string()).unwrap();
        assert_eq!(read["serving"], "database");
        assert_eq!(read["ready"], true);
        assert_eq!(read["redis"]["last_cause"], "gone \"away\"\n");
        assert_eq!(read["redis"]["answers"], false);
        assert_eq!(read["database"]["last_cause"], Value::Null);
        assert_eq!(read["copies"]["verified_ago_ms"], 1_500);
        assert_eq!(read["database"]["clock_ahead_ms"], -1_500);
        assert_eq!(read["copies"]["pending"], 9);
        assert_eq!(read["counts"]["created"], 0);
    }

    #[test]
    fn metrics_are_lines_of_a_name_and_a_number() {
        let metrics = Report::new(durable(), &Counters::default()).to_metrics();
        for line in [
            "# TYPE session_events_total counter",
            "session_events_total{event=\"store_up\"} 0",
            "session_store_up{store=\"redis\"} 0",
            "session_store_up{store=\"database\"} 1",
            "session_store_connections{store=\"database\"} 3",
            "session_ready 1",
            "session_copies_trusted 0",
            "session_copies_bypassed 7",
            "session_copies_pending 9",
        ] {
            assert!(metrics.lines().any(|other| other == line), "{line} in\n{metrics}");
        }
        assert!(metrics.ends_with('\n'));
    }
}
