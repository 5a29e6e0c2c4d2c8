//! Configuration of a durable store.

use std::{fmt, time::Duration};

use crate::{
    clock::Clock,
    error::ConfigError,
    store::{
        database::DatabaseConfig,
        durable::{DurableStore, engine::Engine, parameters::Parameters},
        redis::RedisConfig,
    },
};

/// Configures a [`DurableStore`]; returned by [`DurableStore::builder`].
///
/// ```
/// use std::time::Duration;
/// use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig};
///
/// let redis = RedisConfig::new("redis://127.0.0.1");
/// let store = DurableStore::builder(redis, DatabaseConfig::new("sqlite:sessions.db"))
///     .lease(Duration::from_secs(3))
///     .strict()
///     .build()?;
/// # drop(store);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[must_use]
pub struct DurableStoreBuilder {
    redis: RedisConfig,
    database: DatabaseConfig,
    clock: Clock,
    parameters: Parameters,
    #[cfg(feature = "_hooks")]
    hooks: crate::store::durable::hooks::Hooks,
}

impl DurableStore {
    /// Starts the configuration of a store that keeps sessions in `database` and copies in `redis`.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig};
    /// let redis = RedisConfig::new("redis://127.0.0.1:6379/0");
    /// let store = DurableStore::builder(redis, DatabaseConfig::new("sqlite:sessions.db")).build();
    /// assert!(store.is_ok());
    /// ```
    pub fn builder(redis: RedisConfig, database: DatabaseConfig) -> DurableStoreBuilder {
        DurableStoreBuilder::new(redis, database)
    }
}

impl DurableStoreBuilder {
    fn new(redis: RedisConfig, database: DatabaseConfig) -> Self {
        Self {
            redis,
            database,
            clock: Clock::system(),
            parameters: Parameters::default(),
            #[cfg(feature = "_hooks")]
            hooks: crate::store::durable::hooks::Hooks::default(),
        }
    }

    /// Interval at which an instance polls the journal for sessions whose change Redis may have
    /// missed: one statement, and one command on each Redis connection. From 10 ms to 1 minute.
    /// Defaults to 1 s.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig};
    /// # use std::time::Duration;
    /// # let (redis, database) = (RedisConfig::new("redis://h"), DatabaseConfig::new("sqlite:s"));
    /// let builder = DurableStore::builder(redis, database);
    /// assert!(builder.poll_interval(Duration::from_millis(500)).build().is_ok());
    /// ```
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.parameters.poll_interval = interval;
        self
    }

    /// Timeout of one such poll. From 10 ms to 1 minute. Defaults to 500 ms.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig};
    /// # use std::time::Duration;
    /// # let (redis, database) = (RedisConfig::new("redis://h"), DatabaseConfig::new("sqlite:s"));
    /// let builder = DurableStore::builder(redis, database);
    /// assert!(builder.poll_timeout(Duration::from_millis(200)).build().is_ok());
    /// ```
    pub fn poll_timeout(mut self, timeout: Duration) -> Self {
        self.parameters.poll_timeout = timeout;
        self
    }

    /// How long Redis is trusted after the last poll of the database: the longest time for which
    /// another instance may not see a change that Redis missed. At least the poll interval plus its
    /// timeout, at most 1 minute. Defaults to 2 s.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig};
    /// # use std::time::Duration;
    /// # let (redis, database) = (RedisConfig::new("redis://h"), DatabaseConfig::new("sqlite:s"));
    /// let builder = DurableStore::builder(redis, database).lease(Duration::from_secs(1));
    /// assert_eq!(builder.build().unwrap_err().setting(), "lease");
    /// ```
    pub fn lease(mut self, lease: Duration) -> Self {
        self.parameters.lease = lease;
        self
    }

    /// How long Redis alone serves reads while the database is unreachable. During that time a
    /// logout that Redis missed too is not seen. Zero turns it off: reads return 503 once the lease
    /// has ended. At most 1 day. Defaults to 15 minutes.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig};
    /// # use std::time::Duration;
    /// # let (redis, database) = (RedisConfig::new("redis://h"), DatabaseConfig::new("sqlite:s"));
    /// let builder = DurableStore::builder(redis, database);
    /// let builder = builder.max_staleness_without_database(Duration::ZERO);
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn max_staleness_without_database(mut self, time: Duration) -> Self {
        self.parameters.stretch = time;
        self
    }

    /// Acknowledges a change only when no instance can miss it any longer: at once if Redis
    /// accepted it, else up to one lease after the commit. A write may then take one lease longer
    /// than the layer's budget (a sign-in over another session two), but only during faults. Off by
    /// default.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig};
    /// # let (redis, database) = (RedisConfig::new("redis://h"), DatabaseConfig::new("sqlite:s"));
    /// assert!(DurableStore::builder(redis, database).strict().build().is_ok());
    /// ```
    pub fn strict(mut self) -> Self {
        self.parameters.strict = true;
        self
    }

    /// How long a request waits for Redis before it reads the database instead, within the rest of
    /// the layer's budget. From 1 ms to 1 minute. Defaults to 250 ms.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig};
    /// # use std::time::Duration;
    /// # let (redis, database) = (RedisConfig::new("redis://h"), DatabaseConfig::new("sqlite:s"));
    /// let builder = DurableStore::builder(redis, database);
    /// assert!(builder.redis_timeout(Duration::from_millis(50)).build().is_ok());
    /// ```
    pub fn redis_timeout(mut self, timeout: Duration) -> Self {
        self.parameters.redis_timeout = timeout;
        self
    }

    /// Maximum number of concurrent database reads, so that a Redis outage does not overload the
    /// database; further reads queue. From 1 to 10,000. Defaults to 64.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig};
    /// # let (redis, database) = (RedisConfig::new("redis://h"), DatabaseConfig::new("sqlite:s"));
    /// assert!(DurableStore::builder(redis, database).max_database_reads(0).build().is_err());
    /// ```
    pub fn max_database_reads(mut self, readers: usize) -> Self {
        self.parameters.readers = readers;
        self
    }

    /// Minimum interval between writes of a session's activity to the database. An idle session may
    /// end later by that much while Redis is unavailable or has lost its copy; with a copy the
    /// layer's touch interval decides. At most a twentieth of the session's idle timeout counts. At
    /// most 10 minutes. Defaults to 5 minutes.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig};
    /// # use std::time::Duration;
    /// # let (redis, database) = (RedisConfig::new("redis://h"), DatabaseConfig::new("sqlite:s"));
    /// let builder = DurableStore::builder(redis, database);
    /// assert!(builder.database_touch_interval(Duration::from_secs(60)).build().is_ok());
    /// ```
    pub fn database_touch_interval(mut self, interval: Duration) -> Self {
        self.parameters.database_touch_interval = interval;
        self
    }

    /// Maximum number of sessions whose copies are distrusted one by one; beyond it all copies are
    /// discarded. From 1 to 100,000. Defaults to 1,000.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig};
    /// # let (redis, database) = (RedisConfig::new("redis://h"), DatabaseConfig::new("sqlite:s"));
    /// assert!(DurableStore::builder(redis, database).journal_limit(100).build().is_ok());
    /// ```
    pub fn journal_limit(mut self, sessions: usize) -> Self {
        self.parameters.journal_limit = sessions;
        self
    }

    /// The clock, for tests; the layer above uses the same.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig, clock::ManualClock};
    /// # let (redis, database) = (RedisConfig::new("redis://h"), DatabaseConfig::new("sqlite:s"));
    /// let clock = ManualClock::new().clock();
    /// assert!(DurableStore::builder(redis, database).clock(clock).build().is_ok());
    /// ```
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Points where a test holds this store.
    #[cfg(feature = "_hooks")]
    #[doc(hidden)]
    pub fn hooks(mut self, hooks: &crate::store::durable::hooks::Hooks) -> Self {
        self.hooks = hooks.clone();
        self
    }

    /// Builds the store. Opens no connection.
    ///
    /// # Errors
    ///
    /// The first setting that is invalid or contradicts another.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig};
    /// # let (redis, database) = (RedisConfig::new("http://h"), DatabaseConfig::new("sqlite:s"));
    /// assert!(DurableStore::builder(redis, database).build().is_err());
    /// ```
    pub fn build(self) -> Result<DurableStore, ConfigError> {
        self.parameters.check()?;
        let engine = Engine::new(
            &self.redis,
            &self.database,
            self.clock,
            self.parameters,
            #[cfg(feature = "_hooks")]
            self.hooks,
        )?;
        Ok(DurableStore::new(engine))
    }
}

impl fmt::Debug for DurableStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DurableStoreBuilder")
            .field("redis", &self.redis)
            .field("database", &self.database)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}
