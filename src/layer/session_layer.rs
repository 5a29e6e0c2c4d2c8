//! The layer, and what an application does with all sessions at once.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod builder;
#[cfg(feature = "_database")]
pub(crate) mod database_layer;
pub(crate) mod future;
pub(crate) mod response;
pub(crate) mod service;

use std::sync::Arc;

use tower_layer::Layer;

use crate::{
    error::Error,
    layer::{
        answer::{AnswerWith, PlainAnswer},
        builder::Builder,
        service::RedisSessionService,
    },
    request::shared::Backend,
    session::{info::SessionInfo, token::SessionId},
    store::Store,
    telemetry::{event::Event, events::EventStream, report::Report, status::Status},
};

/// Puts a [`SessionContext`](crate::SessionContext) into the extensions of every request, and
/// stores what changed before the response is sent.
///
/// Clones share one store and its connections. For two kinds of session in one service, put two
/// layers with two cookie names around different routes: of nested ones a handler finds the inner.
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

impl RedisSessionLayer {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        Self { backend, answer: PlainAnswer }
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

    /// Creates the tables of a store in a database, or brings them up to this version: at start,
    /// from as many instances as there are. Other stores need none.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Misconfigured`.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// layer.migrate().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn migrate(&self) -> Result<(), Error> {
        self.backend.store.migrate().await
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

    /// How the store does, as far as requests have noticed: who serves, why not another, what is
    /// believed. Asks nobody, so it costs nothing; for a status page and a readiness probe.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert!(layer.status().is_ready());
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        self.backend.store.status()
    }

    /// The same with how often what has happened since this process began. Asks nobody.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// println!("{}", layer.report().to_json());
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn report(&self) -> Report {
        Report::new(self.status(), self.backend.events.counters())
    }

    /// Everything that happens in the lives of this layer's sessions from now on, in this process; the
    /// same goes to the log by `tracing`. A listener that is slow or panics holds up nobody.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let mut events = layer.events();
    /// let listener = tokio::spawn(async move {
    ///     while let Some(event) = events.next().await {
    ///         println!("{event:?}");
    ///     }
    /// });
    /// drop(layer);
    /// listener.await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.backend.events.listen()
    }

    /// All live sessions of a user, the latest sign-in first: for an administrator's page. Costs what
    /// [`SessionContext::sessions`](crate::SessionContext::sessions) does.
    ///
    /// # Errors
    ///
    /// `Unavailable`; `Misconfigured` with a store that keeps no list of a user's sessions.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert!(layer.sessions_of("alice").await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn sessions_of(&self, user: &str) -> Result<Vec<SessionInfo>, Error> {
        let listed = self.backend.sessions_of(user, None);
        self.backend.within(self.backend.rules.budget, listed).await
    }

    /// Ends one session of a user, in the store and so for every instance. False if the user has no
    /// such session, or it was over already.
    ///
    /// # Errors
    ///
    /// `Unavailable`: it may have ended or not.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer, SessionId};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let id: SessionId = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse()?;
    /// assert!(!layer.revoke("alice", &id).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn revoke(&self, user: &str, id: &SessionId) -> Result<bool, Error> {
        let budget = self.backend.rules.budget.saturating_add(self.backend.acknowledgement);
        self.backend.within(budget, self.backend.revoke(user, id)).await
    }

    /// Ends every session of a user, in the store and so for every instance: after a password was
    /// changed, or an account was closed. Answers how many there were. A sign-in under way that
    /// [began](crate::SessionContext::begin_login) before fails.
    ///
    /// # Errors
    ///
    /// `Unavailable`: some or all may not have ended. `Misconfigured` with a store that keeps no
    /// list of a user's sessions.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert_eq!(layer.revoke_all("alice").await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn revoke_all(&self, user: &str) -> Result<u64, Error> {
        let budget = self.backend.rules.budget.saturating_add(self.backend.acknowledgement);
        let count = self.backend.within(budget, self.backend.store.revoke_all(user, None)).await?;
        self.backend.events.emit(Event::RevokedAll(count));
        Ok(count)
    }

    /// Takes the active platform out of every session of a user; answers how many had one. Nobody is signed
    /// out, and nothing else of a session changes, but that an activity of the same moment may not be
    /// written down. A request under way that chooses a platform still does. Takes a budget for the list
    /// and at most one for each session.
    ///
    /// # Errors
    ///
    /// `Unavailable`: some or all may not have changed, as while the renewal of one is not finished. `Misconfigured` with a store that keeps no list of
    /// a user's sessions, and with sealed records, which only their clients can open.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert_eq!(layer.clear_platform_of("alice").await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn clear_platform_of(&self, user: &str) -> Result<u64, Error> {
        self.backend.clear_platform_of(user).await
    }

    /// Waits until every commit that has started is done: after the server has drained its
    /// connections, before the runtime ends. Takes at most three budgets, and with a strict store
    /// four leases more.
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
        // One whose owner neither polls nor drops it is not waited for longer than it may take.
        let one = self.backend.rules.budget.saturating_add(self.backend.acknowledgement);
        let _ = tokio::time::timeout(one.saturating_mul(2), tracker.wait()).await;
        let _ = tokio::time::timeout(self.backend.rules.budget, self.backend.store.close()).await;
    }
}

impl<S, A: Clone> Layer<S> for RedisSessionLayer<A> {
    type Service = RedisSessionService<S, A>;

    fn layer(&self, inner: S) -> Self::Service {
        RedisSessionService::new(inner, Arc::clone(&self.backend), self.answer.clone())
    }
}
