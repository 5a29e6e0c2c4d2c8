//! The configuration of a cached directory, and its defaults.

use std::{fmt, sync::Arc, time::Duration};

#[cfg(feature = "encryption")]
use crate::encryption::key_ring::KeyRing;
use crate::{
    directory::{
        Directory,
        cached::{CachedDirectory, Inner, cache::Cache, sealing::Sealing, times::Times},
    },
    error::ConfigError,
    store::redis::{RedisConfig, entries::Entries},
    sync::single_flight::Loaders,
};

/// Configures a [`CachedDirectory`].
#[must_use]
pub struct CachedDirectoryBuilder<D> {
    source: D,
    redis: RedisConfig,
    times: Times,
    refresh_ahead: Option<Duration>,
    sealing: Sealing,
}

impl<D: Directory + 'static> CachedDirectory<D> {
    /// Starts the configuration of a cache in this Redis, in front of `source`. Keys start with the
    /// configured key prefix and `d:`.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// let redis = RedisConfig::new("redis://127.0.0.1/0");
    /// assert!(CachedDirectory::builder(Accounts, redis).build().is_ok());
    /// ```
    pub fn builder(source: D, redis: RedisConfig) -> CachedDirectoryBuilder<D> {
        CachedDirectoryBuilder::new(source, redis)
    }
}

impl<D: Directory + 'static> CachedDirectoryBuilder<D> {
    fn new(source: D, redis: RedisConfig) -> Self {
        let times = Times {
            time_to_live: Duration::from_secs(300),
            refresh_ahead: Duration::ZERO,
            budget: Duration::from_millis(100),
            loader_lease: Duration::from_secs(5),
            loader_wait: Duration::from_secs(1),
        };
        Self { source, redis, times, refresh_ahead: None, sealing: Sealing::default() }
    }

    /// Time to live of an entry: the maximum staleness without invalidation. From 1 second to 1
    /// day, the same on all instances. Defaults to 5 minutes.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// # use std::time::Duration;
    /// let builder = CachedDirectory::builder(Accounts, RedisConfig::from_host("127.0.0.1", 6379));
    /// assert!(builder.time_to_live(Duration::ZERO).build().is_err());
    /// ```
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.times.time_to_live = time;
        self
    }

    /// How long before its expiry an entry that is read is refreshed in the background. Less than
    /// the time to live; zero disables it. Defaults to a fifth of the time to live.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// # use std::time::Duration;
    /// let builder = CachedDirectory::builder(Accounts, RedisConfig::from_host("127.0.0.1", 6379));
    /// assert!(builder.refresh_ahead(Duration::from_secs(10)).build().is_ok());
    /// ```
    pub fn refresh_ahead(mut self, time: Duration) -> Self {
        self.refresh_ahead = Some(time);
        self
    }

    /// Maximum time that a call waits for Redis, connecting included; then the source is read. From
    /// 1 ms to 1 minute. Defaults to 100 ms.
    ///
    /// A call that shares another call's load waits for that one as well. After three failures in a
    /// row the circuit breaker opens, and one call per second tries Redis.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// # use std::time::Duration;
    /// let builder = CachedDirectory::builder(Accounts, RedisConfig::from_host("127.0.0.1", 6379));
    /// let error = builder.budget(Duration::ZERO).build().unwrap_err();
    /// assert_eq!(error.setting(), "directory budget");
    /// ```
    pub fn budget(mut self, budget: Duration) -> Self {
        self.times.budget = budget;
        self
    }

    /// Lifetime of the lease for filling an entry; a result that arrives later is not stored, and
    /// another caller may load. Longer than the source takes. From 100 ms to 1 minute. Defaults to
    /// 5 seconds.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// # use std::time::Duration;
    /// let builder = CachedDirectory::builder(Accounts, RedisConfig::from_host("127.0.0.1", 6379));
    /// assert!(builder.loader_lease(Duration::from_secs(20)).build().is_ok());
    /// ```
    pub fn loader_lease(mut self, lease: Duration) -> Self {
        self.times.loader_lease = lease;
        self
    }

    /// Maximum time to wait for a loader in another process; after that this process reads the
    /// source too, and does not cache the result. At most the loader lease counts. Defaults to 1
    /// second.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// # use std::time::Duration;
    /// let builder = CachedDirectory::builder(Accounts, RedisConfig::from_host("127.0.0.1", 6379));
    /// assert!(builder.loader_wait(Duration::from_millis(200)).build().is_ok());
    /// ```
    pub fn loader_wait(mut self, wait: Duration) -> Self {
        self.times.loader_wait = wait;
        self
    }

    /// Keys that encrypt credentials. Defaults to none: credentials are then not cached.
    ///
    /// ```
    /// # use tower_redis_session::{
    /// #     RedisConfig, directory::CachedDirectory, encryption::KeyRing, testing::Accounts,
    /// # };
    /// let ring: KeyRing = "2026a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse()?;
    /// let builder = CachedDirectory::builder(Accounts, RedisConfig::from_host("127.0.0.1", 6379));
    /// assert!(builder.key_ring(ring).build().is_ok());
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[cfg(feature = "encryption")]
    pub fn key_ring(mut self, ring: KeyRing) -> Self {
        self.sealing = Sealing::with(ring);
        self
    }

    /// Builds the directory. Opens no connection.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range, or the fault of the Redis configuration.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// let builder = CachedDirectory::builder(Accounts, RedisConfig::new("http://host"));
    /// assert!(builder.build().is_err());
    /// ```
    pub fn build(self) -> Result<CachedDirectory<D>, ConfigError> {
        let times = self.checked_times()?;
        let entries = Entries::new(&self.redis)?;
        let cache = Arc::new(Cache::new(entries, times, self.sealing));
        let inner = Inner { source: self.source, cache, loaders: Loaders::default() };
        Ok(CachedDirectory { inner: Arc::new(inner) })
    }

    fn checked_times(&self) -> Result<Times, ConfigError> {
        let [milli, second, minute, day] =
            [1, 1_000, 60_000, 86_400_000].map(Duration::from_millis);
        let mut times = self.times;
        for (name, time, range, fault) in [
            (
                "directory time to live",
                times.time_to_live,
                second..=day,
                "is not between 1 second and 1 day",
            ),
            ("directory budget", times.budget, milli..=minute, "is not between 1 ms and 1 minute"),
            (
                "directory loader lease",
                times.loader_lease,
                100 * milli..=minute,
                "is not between 100 ms and 1 minute",
            ),
        ] {
            if !range.contains(&time) {
                return Err(ConfigError::new(name, fault));
            }
        }
        times.refresh_ahead = self.refresh_ahead.unwrap_or(times.time_to_live / 5);
        if times.refresh_ahead >= times.time_to_live {
            let fault = "is not less than the time to live";
            return Err(ConfigError::new("directory refresh ahead", fault));
        }
        times.loader_wait = times.loader_wait.min(times.loader_lease);
        Ok(times)
    }
}

impl<D> fmt::Debug for CachedDirectoryBuilder<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedDirectoryBuilder")
            .field("redis", &self.redis)
            .field("times", &self.times)
            .field("refresh_ahead", &self.refresh_ahead)
            .field("sealing", &self.sealing)
            .finish_non_exhaustive()
    }
}
