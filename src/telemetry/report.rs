//! Report of a layer for operators: health of its store, and event counts.

use std::fmt;

use serde_json::json;

use crate::telemetry::{
    events::Events,
    exposition::{Layer, exposition},
    health::Health,
};

/// Health and event counts of a layer: for a status page and for metrics collectors. Made by
/// [`SessionAdmin::report`](crate::layer::SessionAdmin::report).
///
/// It contains no secret and names no session or user. It is for operators only all the same, so
/// put a [guard](crate::guard) in front or use a separate port.
///
/// Each process counts its own events, from 0 at its start, of all layers on a store. The counts
/// are: `created`, `renewed`, `destroyed`, `revoked`, `expired`, `unknown_token`, `ambiguous`,
/// `conflict`, `corrupt`, `ended_during_request`, `store_down`, `store_up`, `stamp_changed`,
/// `impersonation_began`, `impersonation_ended`, `sign_in_failed`, `sign_in_throttled`, `imported`,
/// `import_failed` and `import_unknown`, as [`Event`](crate::telemetry::Event) documents.
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
    layer: Option<String>,
}

impl Report {
    pub(crate) fn new(status: Health, events: &Events) -> Self {
        Self { status, counts: events.counts(), layer: None }
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

    /// Names the layer: each of its metrics then has the label `layer` with this value. Defaults to
    /// no name.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let metrics = layer.admin().report().named("pages").to_metrics();
    /// assert!(metrics.contains("\nsession_ready{layer=\"pages\"} 1\n"));
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn named(mut self, layer: impl Into<String>) -> Self {
        self.layer = Some(layer.into());
        self
    }

    /// In the text format of Prometheus, version 0.0.4: `session_events_total{event}`,
    /// `session_ready`, and for each store `session_store_up{store}`,
    /// `session_store_accepts_writes{store}`, `session_store_connections{store}`,
    /// `session_store_connections_max{store}` and, where it was measured,
    /// `session_store_clock_offset_seconds{store}`; with a database behind Redis
    /// `session_copies_trusted`, `session_copies_bypassed` and `session_copies_pending`. The
    /// run-book explains each.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert!(layer.admin().report().to_metrics().contains("\nsession_ready 1\n"));
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn to_metrics(&self) -> String {
        Self::to_metrics_of(std::slice::from_ref(self))
    }

    /// The metrics of several layers in one text, such as those of pages and of an API: each
    /// family once, and the layers' samples distinguished by the label `layer`. Its value is the
    /// [name](Self::named) of the report, or its place from 1 on; where two have the same name, the
    /// place is appended.
    ///
    /// Layers that share a store each report its health. Each counts its own requests' events; the
    /// events of the store are counted by all of them.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer, telemetry::Report};
    /// let pages = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let api = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let reports = [pages.admin().report().named("pages"), api.admin().report().named("api")];
    /// let metrics = Report::to_metrics_of(&reports);
    /// assert_eq!(metrics.matches("# TYPE session_ready gauge").count(), 1);
    /// assert!(metrics.contains("session_ready{layer=\"api\"} 1"));
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn to_metrics_of(reports: &[Self]) -> String {
        let mut layers: Vec<Layer<'_>> = Vec::with_capacity(reports.len());
        for (at, Self { status, counts, layer }) in reports.iter().enumerate() {
            let mut name = layer.clone();
            if reports.len() > 1 {
                let place = at + 1;
                let mut unique = name.unwrap_or_else(|| place.to_string());
                while layers.iter().any(|other| other.name.as_ref() == Some(&unique)) {
                    unique = format!("{unique}-{place}");
                }
                name = Some(unique);
            }
            layers.push(Layer { name, status, counts });
        }
        exposition(&layers)
    }
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
        cause::Cause,
        counters::{Counters, NAMES},
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
            primary: Some("10.0.0.2:6379".to_owned()),
            switched_ago: Some(Duration::from_secs(3)),
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
        let (away, cause) = (Serving::Redis, Cause::User);
        for (at, event) in [
            Event::Created { id: id(), user: None, device: None },
            Event::Renewed { old: id(), new: id(), user: None, device: None, cause },
            Event::Destroyed { id: id(), user: None, device: None, cause },
            Event::Revoked { id: id(), user: "alice".into(), device: None, cause, actor: None },
            Event::Expired { id: id(), user: None },
            Event::UnknownToken { id: id() },
            Event::Ambiguous,
            Event::Conflict { id: id() },
            Event::Corrupt { id: id() },
            Event::EndedDuringRequest { id: id(), user: None },
            Event::StoreDown { store: away },
            Event::StoreUp { store: away },
            Event::StampChanged { id: id(), user: None },
            Event::ImpersonationBegan { id: id(), actor: "root".into(), user: "alice".into() },
            Event::ImpersonationEnded { id: id(), actor: "root".into(), user: "alice".into() },
            Event::SignInFailed { account: "0f".into(), network: "192.0.2.1/32".into() },
            Event::SignInThrottled { by: ThrottledBy::Account, network: "192.0.2.1/32".into() },
        ]
        .iter()
        .enumerate()
        {
            let counters = Counters::default();
            let _ = counters.count(event);
            let moved: Vec<_> =
                counters.read().enumerate().filter(|(_, (_, count))| *count == 1).collect();
            assert_eq!(moved, [(at, (NAMES[at], 1))], "{event:?}");
        }
        let events = Events::default();
        events.emit(Event::RevokedAll { user: "alice".to_owned(), count: 5, cause, actor: None });
        events.emit(Event::Missed { count: 3 });
        let report = Report::new(durable(), &events);
        assert_eq!(report.count("revoked"), Some(5));
        assert_eq!(report.counts.iter().map(|(_, count)| count).sum::<u64>(), 5);
    }

    #[test]
    fn a_report_reads_back_as_it_was() {
        let report = Report::new(durable(), &Events::default());
        let read: Value = serde_json::from_str(&report.to_string()).unwrap();
        assert_eq!(read["serving"], "database");
        assert_eq!(read["ready"], true);
        assert_eq!(read["redis"]["last_cause"], "gone \"away\"\n");
        assert_eq!(read["redis"]["answers"], false);
        assert_eq!(read["database"]["last_cause"], Value::Null);
        assert_eq!(read["copies"]["verified_ago_ms"], 1_500);
        assert_eq!(read["database"]["clock_ahead_ms"], -1_500);
        assert_eq!(read["redis"]["primary"], "10.0.0.2:6379");
        assert_eq!(read["redis"]["switched_ago_ms"], 3_000);
        assert_eq!(read["copies"]["pending"], 9);
        assert_eq!(read["counts"]["created"], 0);
    }

    #[test]
    fn metrics_are_lines_of_a_name_and_a_number() {
        let metrics = Report::new(durable(), &Events::default()).to_metrics();
        for line in [
            "# TYPE session_events_total counter",
            "session_events_total{event=\"store_up\"} 0",
            "session_store_up{store=\"redis\"} 0",
            "session_store_up{store=\"database\"} 1",
            "session_store_connections{store=\"database\"} 3",
            "session_store_accepts_writes{store=\"redis\"} 1",
            "session_store_clock_offset_seconds{store=\"redis\"} -1.500",
            "session_ready 1",
            "session_copies_trusted 0",
            "session_copies_bypassed 7",
            "session_copies_pending 9",
        ] {
            assert!(metrics.lines().any(|other| other == line), "{line} in\n{metrics}");
        }
        assert!(metrics.ends_with('\n'));
    }

    #[test]
    fn layers_in_one_text_have_series_of_their_own_whatever_their_names() {
        let report = || Report::new(durable(), &Events::default());
        for names in [
            [None, None, None],
            [Some("2"), None, Some("2")],
            [Some("a"), Some("a"), Some("a-2")],
            [Some(""), Some("\"\n"), Some("\\")],
        ] {
            let reports = names.map(|name| match name {
                Some(name) => report().named(name),
                None => report(),
            });
            let text = Report::to_metrics_of(&reports);
            let series = text.lines().filter(|line| !line.starts_with('#'));
            let series: Vec<_> = series.filter_map(|line| line.rsplit_once(' ')).collect();
            let different: std::collections::BTreeSet<_> =
                series.iter().map(|(key, _)| key).collect();
            assert_eq!(different.len(), series.len(), "{names:?}\n{text}");
            assert_eq!(
                series.len(),
                3 * report().to_metrics().lines().filter(|line| !line.starts_with('#')).count()
            );
            for family in text.lines().filter(|line| line.starts_with('#')) {
                assert_eq!(text.lines().filter(|line| *line == family).count(), 1, "{family}");
            }
        }
    }

    #[test]
    fn layers_over_one_store_count_their_own_events_and_those_of_the_store() {
        let store = Events::default();
        let (pages, api) = (store.of_layer(), store.of_layer());
        pages.emit(Event::Ambiguous);
        store.emit(Event::StoreDown { store: Serving::Redis });
        for (events, ambiguous) in [(&pages, 1), (&api, 0)] {
            let report = Report::new(durable(), events);
            assert_eq!(report.count("ambiguous"), Some(ambiguous));
            assert_eq!(report.count("store_down"), Some(1));
        }
    }
}
