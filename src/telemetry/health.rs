//! Health of stores, for operators.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};

/// Health of the store as last seen by requests. Performs no I/O.
///
/// ```
/// use tower_redis_session::{MemoryStore, RedisSessionLayer, telemetry::Serving};
///
/// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
/// assert_eq!(layer.admin().health().serving, Serving::Memory);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// The store that serves reads.
    pub serving: Serving,
    /// Redis, if the store uses it.
    pub redis: Option<BackendHealth>,
    /// The database, if the store uses one.
    pub database: Option<BackendHealth>,
    /// The copies in Redis, if a database keeps the records.
    pub copies: Option<CacheHealth>,
}

/// The store that serves reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Serving {
    /// The memory of this process.
    Memory,
    /// Redis.
    Redis,
    /// The database.
    Database,
    /// No store: requests that need their session get 503.
    None,
    /// A store of the application's own that does not report its health.
    Other,
}

/// Health of one store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackendHealth {
    /// Whether requests use it. Behind a `DurableStore` false after 3 failures in a row until a
    /// probe succeeds, once a second. A store alone has no probe, and only requests can detect that
    /// it answers again: it is false after 3 failures in a row or a failed
    /// [`check`](crate::RedisSessionLayer::check), and Redis after a failed attempt to connect
    /// without an open connection, for 5 s or until it answers.
    pub answers: bool,
    /// How long requests have failed: since `StoreDown`, until a reply. Longer than `answers` is
    /// false for a store alone.
    #[serde(rename = "unavailable_for_ms", serialize_with = "millis")]
    pub unavailable_for: Option<Duration>,
    /// Whether it rejects writes: full, read-only, or without the right to write.
    pub rejects_writes: bool,
    /// Cause of the last failure.
    pub last_cause: Option<String>,
    /// Open connections.
    pub connections: u32,
    /// Maximum number of connections.
    pub pool_size: u32,
    /// Milliseconds that its clock is ahead of this process' own, negative if behind, when last
    /// measured. `None` before that, and where both are the same clock.
    #[serde(rename = "clock_ahead_ms")]
    pub clock_ahead: Option<i64>,
    /// Host and port of the primary, as sentinels name it. `None` without sentinels, and before
    /// the first connection.
    pub primary: Option<String>,
    /// Time since this process noticed that the sentinels name another primary, or that a slot of a
    /// cluster has another node; `None` if that did not happen.
    #[serde(rename = "switched_ago_ms", serialize_with = "millis")]
    pub switched_ago: Option<Duration>,
}

/// Health of the copies in Redis, where a database keeps the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CacheHealth {
    /// Whether copies are read at all: the last poll of the database is no older than a lease.
    pub trusted: bool,
    /// Time since the last poll of the database.
    #[serde(rename = "verified_ago_ms", serialize_with = "millis")]
    pub verified_ago: Option<Duration>,
    /// The generation in the keys, 16 hex digits: a new one starts without copies.
    pub generation: Option<String>,
    /// The Redis that the generation was made for: run id, replication id, number of the database
    /// and prefix of the keys.
    pub incarnation: Option<String>,
    /// Number of sessions read from the database, since Redis may have missed a change of them.
    pub bypassed: usize,
    /// Number of changes in the journal at the last poll.
    pub pending: usize,
}

fn millis<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    millis.serialize(serializer)
}

impl Health {
    /// Health of a store that reports only its kind.
    ///
    /// ```
    /// # use tower_redis_session::telemetry::{Health, Serving};
    /// assert!(Health::new(Serving::Other).redis.is_none());
    /// ```
    #[must_use]
    pub const fn new(serving: Serving) -> Self {
        Self { serving, redis: None, database: None, copies: None }
    }

    /// Whether requests are served at all: for a readiness probe.
    ///
    /// ```
    /// # use tower_redis_session::telemetry::{Health, Serving};
    /// assert!(Health::new(Serving::Memory).is_ready());
    /// assert!(!Health::new(Serving::None).is_ready());
    /// ```
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.serving != Serving::None
    }
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Database => "database",
            Self::None => "none",
            Self::Other => "other",
        })
    }
}
