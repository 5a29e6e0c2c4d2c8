//! The layer, and its life: migration, check at start, events, shutdown.

use std::sync::Arc;

use tower_layer::Layer;

use crate::{
    error::Error,
    layer::{
        answer::{ErrorResponseWith, PlainErrorResponse},
        service::RedisSessionService,
    },
    request::shared::Backend,
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
pub struct RedisSessionLayer<A = PlainErrorResponse> {
    pub(crate) backend: Arc<Backend>,
    answer: A,
}

impl RedisSessionLayer {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        Self { backend, answer: PlainErrorResponse }
    }
}

impl<A> RedisSessionLayer<A> {
    /// Answers a failed commit by `answer`: JSON, a page, a redirect. Defaults to a bare 503, and
    /// to a gRPC status in the place of a gRPC response. The body may be of any type whose buffers
    /// are the inner service's, mostly `Bytes`: a `String`, or what a framework makes of a page.
    /// `answer` sees the error and not the request: to tell browsers from API clients, give each
    /// its own layer, or one body that serves both.
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
    pub fn on_error<F, B>(self, answer: F) -> RedisSessionLayer<ErrorResponseWith<F>>
    where
        F: Fn(&Error) -> http::Response<B>,
    {
        RedisSessionLayer { backend: self.backend, answer: ErrorResponseWith(Arc::new(answer)) }
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

    /// Asks the store whether it is there and as configured: at start, before traffic. Of Redis it
    /// asks everything that sessions do, over a connection and in keys of its own.
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
        self.backend.watches.shut_down();
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
