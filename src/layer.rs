//! The layer: configuration, and what an application does with all sessions at once.

use std::{sync::Arc, time::Duration};

use tower_layer::Layer;

use crate::{
    backend::Backend,
    changes::Policy,
    cookie::CookieConfig,
    error::{ConfigError, Error},
    expiry::SessionExpiry,
    response::{AnswerWith, PlainAnswer},
    service::RedisSessionService,
    store::Store,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Puts a [`SessionContext`](crate::SessionContext) into the extensions of every request, and
/// stores what changed before the response is sent.
///
/// Clones share one store and its connections. For two kinds of session in one service, use two
/// layers with two cookie names.
///
/// ```
/// use std::time::Duration;
/// use tower_redis_session::{MemoryStore, RedisSessionLayer};
///
/// let layer = RedisSessionLayer::builder(MemoryStore::new())
///     .idle_timeout(Duration::from_secs(1800))
///     .build()?;
/// # drop(layer);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RedisSessionLayer<A = PlainAnswer> {
    backend: Arc<Backend>,
    answer: A,
}

impl RedisSessionLayer {
    /// Starts the configuration of a layer over `store`.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// assert!(RedisSessionLayer::builder(MemoryStore::new()).build().is_ok());
    /// ```
    pub fn builder(store: impl Store) -> Builder {
        Builder::new(Box::new(store))
    }
}

impl<A> RedisSessionLayer<A> {
    /// Answers a failed commit by `answer` instead of a bare 503: JSON, a page, a redirect. The
    /// body is of the inner service's type. `answer` sees the error and not the request: to tell
    /// browsers from API clients, give each its own layer, or one body that serves both.
    ///
    /// ```
    /// # use tower_redis_session::{Error, MemoryStore, RedisSessionLayer};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let layer = layer.on_error(|error: &Error| {
    ///     error.response::<()>().map(|()| format!("{{\"error\":\"{error}\"}}"))
    /// });
    /// # drop(layer);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn on_error<F, B>(self, answer: F) -> RedisSessionLayer<AnswerWith<F>>
    where
        F: Fn(&Error) -> http::Response<B>,
    {
        RedisSessionLayer { backend: self.backend, answer: AnswerWith(Arc::new(answer)) }
    }

    /// Asks the store whether it is there and as configured: at start, before traffic.
    ///
    /// # Errors
    ///
    /// `Unavailable` if it may come up later (the layer then works as soon as it does),
    /// `Misconfigured` if it will not do as it is: wrong password, not a Redis, a replica.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// layer.check().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn check(&self) -> Result<(), Error> {
        self.backend.store.check().await
    }

    /// Waits until every commit that has started is done: after the server has drained its
    /// connections, before the runtime ends. Each is bounded by the budget.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_redis_session::ConfigError> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// layer.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&self) {
        let tracker = &self.backend.tracker;
        let _ = tracker.close();
        tracker.wait().await;
    }
}

impl<S, A: Clone> Layer<S> for RedisSessionLayer<A> {
    type Service = RedisSessionService<S, A>;

    fn layer(&self, inner: S) -> Self::Service {
        RedisSessionService::new(inner, Arc::clone(&self.backend), self.answer.clone())
    }
}

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
}

impl Builder {
    fn new(store: Box<dyn Store>) -> Self {
        Self {
            store,
            cookie: CookieConfig::default(),
            idle: 60 * MINUTE,
            absolute: Some(24 * 60 * MINUTE),
            touch_interval: MINUTE,
            budget: Duration::from_secs(1),
            max_record_size: 64 * 1024,
            keep_on_server_error: false,
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
        let policy = Policy {
            expiry,
            touch_interval: self.touch_interval,
            max_record_size: self.max_record_size,
        };
        let keep = self.keep_on_server_error;
        let backend = Backend::new(self.store, self.cookie, policy, self.budget, keep);
        Ok(RedisSessionLayer { backend, answer: PlainAnswer })
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
