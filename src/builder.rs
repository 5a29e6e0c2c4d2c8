//! The configuration of a layer, and its defaults.

use std::{fmt, num::NonZeroU32, time::Duration};

use crate::{
    backend::Backend, changes::Policy, cookie::CookieConfig, error::ConfigError,
    expiry::SessionExpiry, layer::RedisSessionLayer, store::Store,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Configures a [`RedisSessionLayer`].
#[must_use]
pub struct Builder {
    store: Box<dyn Store>,
    cookie: CookieConfig,
    idle: Duration,
    absolute: Option<Duration>,
    touch_interval: Duration,
    budget: Duration,
    max_record_size: usize,
    keep_on_server_error: bool,
    sessions_per_user: Option<u32>,
}

impl Builder {
    pub(crate) fn new(store: Box<dyn Store>) -> Self {
        Self {
            store,
            cookie: CookieConfig::default(),
            idle: 60 * MINUTE,
            absolute: Some(24 * 60 * MINUTE),
            touch_interval: MINUTE,
            budget: Duration::from_secs(1),
            max_record_size: 64 * 1024,
            keep_on_server_error: false,
            sessions_per_user: None,
        }
    }

    /// Name and attributes of the cookie. Defaults to [`CookieConfig::default`].
    ///
    /// ```
    /// # use tower_redis_session::{CookieConfig, MemoryStore, RedisSessionLayer};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.cookie(CookieConfig::new("__Host-shop")).build().is_ok());
    /// ```
    pub fn cookie(mut self, cookie: CookieConfig) -> Self {
        self.cookie = cookie;
        self
    }

    /// How long a session lives without activity; reading and writing it are activity. Defaults to
    /// 1 hour, the longest that NIST SP 800-63B-4 allows at its second level.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.idle_timeout(Duration::ZERO).build().is_err());
    /// ```
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// How long a session lives at all, from its creation or its last login. Defaults to 24 hours
    /// (NIST SP 800-63B-4, second level).
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.absolute_timeout(Duration::from_secs(7 * 86_400)).build().is_ok());
    /// ```
    pub fn absolute_timeout(mut self, absolute: Duration) -> Self {
        self.absolute = Some(absolute);
        self
    }

    /// Lets active sessions live for ever. A stolen cookie does too.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.insecure_no_absolute_timeout().build().is_ok());
    /// ```
    pub fn insecure_no_absolute_timeout(mut self) -> Self {
        self.absolute = None;
        self
    }

    /// How often the activity of a session that is only read is written down. Longer saves
    /// writes; a session ends up to that much after its idle timeout. At most a tenth of the idle
    /// timeout counts. Defaults to 1 minute.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.touch_interval(Duration::from_secs(10)).build().is_ok());
    /// ```
    pub fn touch_interval(mut self, interval: Duration) -> Self {
        self.touch_interval = interval;
        self
    }

    /// The time that load, commit and whatever fails between them may add to a request, waiting
    /// for a connection included; past it the answer is 503. Calls that act at once (`update`,
    /// `save`, `destroy`) and succeed do not count, but none takes longer. From 1 ms to 1 minute.
    /// Defaults to 1 second.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.budget(Duration::from_millis(300)).build().is_ok());
    /// ```
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// The most that a record may take in the store, in bytes; a change past it is refused and the
    /// old record stays. From 256 bytes to 16 MiB. Defaults to 64 KiB.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.max_record_size(4096).build().is_ok());
    /// ```
    pub fn max_record_size(mut self, bytes: usize) -> Self {
        self.max_record_size = bytes;
        self
    }

    /// Commits what a handler changed although it answered with a server error (5xx). Defaults to
    /// dropping it: a request that failed has changed nothing. What was destroyed or saved
    /// explicitly stays either way.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.commit_on_server_error(true).build().is_ok());
    /// ```
    pub fn commit_on_server_error(mut self, commit: bool) -> Self {
        self.keep_on_server_error = commit;
        self
    }

    /// How many sessions a user may have at a time: a sign-in beyond it ends those that were
    /// signed in to the longest ago, in the same step. At least 1. Defaults to no limit. The
    /// store has to keep a list of users' sessions, as all of this crate do.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.sessions_per_user(5).build().is_ok());
    /// ```
    pub fn sessions_per_user(mut self, sessions: u32) -> Self {
        self.sessions_per_user = Some(sessions);
        self
    }

    /// The layer. Connects nothing.
    ///
    /// # Errors
    ///
    /// The first setting that is out of its range or contradicts another.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// let error = builder.budget(Duration::ZERO).build().unwrap_err();
    /// assert_eq!(error.setting(), "budget");
    /// ```
    pub fn build(self) -> Result<RedisSessionLayer, ConfigError> {
        self.cookie.check()?;
        let mut expiry = SessionExpiry::new(self.idle);
        if let Some(absolute) = self.absolute {
            expiry = expiry.absolute(absolute);
        }
        expiry.check()?;
        if self.budget < Duration::from_millis(1) || self.budget > MINUTE {
            return Err(ConfigError::new("budget", "is not between 1 ms and 1 minute"));
        }
        if !(256..=16 * 1024 * 1024).contains(&self.max_record_size) {
            return Err(ConfigError::new("max record size", "is not between 256 bytes and 16 MiB"));
        }
        let limit = self.sessions_per_user.map(NonZeroU32::new);
        if limit == Some(None) {
            return Err(ConfigError::new("sessions per user", "is 0: nobody could sign in"));
        }
        let policy = Policy {
            expiry,
            touch_interval: self.touch_interval,
            max_record_size: self.max_record_size,
        };
        let keep = self.keep_on_server_error;
        let limit = limit.flatten();
        let backend = Backend::new(self.store, self.cookie, policy, self.budget, keep, limit);
        Ok(RedisSessionLayer::new(backend))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("cookie", &self.cookie)
            .field("idle_timeout", &self.idle)
            .field("absolute_timeout", &self.absolute)
            .field("touch_interval", &self.touch_interval)
            .field("budget", &self.budget)
            .field("max_record_size", &self.max_record_size)
            .finish_non_exhaustive()
    }
}
