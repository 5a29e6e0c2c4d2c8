//! The layer and its lifecycle: migration, start-up check, events, shutdown.

use std::sync::Arc;

use tower_layer::Layer;

use crate::{
    error::Error,
    layer::service::RedisSessionService,
    request::shared::Backend,
    response::{ErrorResponse, PlainErrorResponse},
};

/// Inserts a [`SessionContext`](crate::SessionContext) into the extensions of every request, and
/// stores changes before the response is sent.
///
/// Clones share one store and its connections. For two kinds of session in one service, apply two
/// layers with two cookie names to different routes: in nested ones a handler gets the inner. Two
/// layers share a store, with its connections and its circuit breaker, through an `Arc` of it.
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
    on_error: A,
}

impl RedisSessionLayer {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        Self { backend, on_error: PlainErrorResponse }
    }
}

impl<A> RedisSessionLayer<A> {
    /// Sets the response to a failed commit: JSON, a page, a redirect, with any body. Defaults to
    /// [`PlainErrorResponse`]: 503 with `Retry-After` and a line of text, and a gRPC status in
    /// place of a gRPC response. A function receives error and request, so the head of each
    /// request is copied for it, without the application's extensions; see
    /// [`ErrorResponse::reads_request`]. One function can serve
    /// guards and CSRF too: see [`response`](crate::response).
    ///
    /// ```
    /// # use http::request::Parts;
    /// # use tower_redis_session::{Error, MemoryStore, RedisSessionLayer, response::HttpError};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let layer = layer.on_error(|error: &Error, request: &Parts| {
    ///     error.response_to(request, format!(r#"{{"error":"{}"}}"#, error.code()))
    /// });
    /// # drop(layer);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn on_error<D: ErrorResponse<Error>>(self, response: D) -> RedisSessionLayer<D> {
        RedisSessionLayer { backend: self.backend, on_error: response }
    }

    /// Creates the tables of a database store, or migrates them to this version. Call it at start;
    /// concurrent calls of several instances are safe. Other stores need none.
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

    /// Start-up check, before traffic: the store is reachable and as configured. With Redis it
    /// tries every command that sessions need, over a connection and in keys of its own.
    ///
    /// # Errors
    ///
    /// `Unavailable` if it may come up later (the layer then works as soon as it does),
    /// `Misconfigured` if it is unusable: wrong password, not a Redis, a replica.
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

    /// Ends every [`LiveSession`](crate::context::LiveSession) of this layer with
    /// [`EndReason::Shutdown`](crate::context::EndReason::Shutdown). Call it when the server
    /// begins to stop, before it drains its connections: a WebSocket or a stream that waits for the
    /// end of its session keeps a drain from finishing. Requests are served as before; live
    /// sessions that they open end at once, so reject upgrades then.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_redis_session::ConfigError> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// layer.end_live_sessions();
    /// // Drain the server's connections here.
    /// layer.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn end_live_sessions(&self) {
        self.backend.watches.shut_down();
    }

    /// Waits until every started commit is done. Call it after the server has drained its
    /// connections, before the runtime ends; with live sessions call
    /// [`end_live_sessions`](Self::end_live_sessions) before the drain. Takes at most three
    /// budgets, and with a strict store four leases more. Layers that share a store each need the
    /// call: the store continues to serve those that are not shut down yet.
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
        self.end_live_sessions();
        let tracker = &self.backend.tracker;
        let _ = tracker.close();
        // A commit whose owner neither polls nor drops it is waited for only as long as it may
        // take.
        let one = self.backend.rules.budget.saturating_add(self.backend.acknowledgement);
        let _ = tokio::time::timeout(one.saturating_mul(2), tracker.wait()).await;
        let _ = tokio::time::timeout(self.backend.rules.budget, self.backend.store.close()).await;
    }
}

impl<S, A: Clone> Layer<S> for RedisSessionLayer<A> {
    type Service = RedisSessionService<S, A>;

    fn layer(&self, inner: S) -> Self::Service {
        RedisSessionService::new(inner, Arc::clone(&self.backend), self.on_error.clone())
    }
}
