//! The service, its settings and its streams.

use std::{convert::Infallible, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use http::{Request, Response};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::{context::SessionContext, session_api::body::ApiBody};

/// The service; see the [module](super).
#[derive(Clone)]
pub struct SessionApi {
    pub(super) interval: Duration,
    pub(super) life: Duration,
    pub(super) streams: Arc<Streams>,
}

/// The streams of events that are open.
pub(super) struct Streams {
    pub(super) places: Arc<Semaphore>,
    pub(super) over: CancellationToken,
}

impl SessionApi {
    /// With the defaults of every setting.
    ///
    /// ```
    /// # use tower_redis_session::session_api::SessionApi;
    /// let api = SessionApi::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            interval: Duration::from_secs(5),
            life: Duration::from_secs(300),
            streams: Arc::new(Streams::new(1_024)),
        }
    }

    /// How often a stream of events asks the store, and so how late it may be. Longer where there
    /// are many open tabs: each costs one read an interval. Defaults to 5 seconds; at least 100 ms.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::session_api::SessionApi;
    /// let api = SessionApi::new().interval(Duration::from_secs(15));
    /// ```
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(100));
        self
    }

    /// How long a stream of events lives before the client has to come back. Defaults to 5 minutes;
    /// at most a day.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::session_api::SessionApi;
    /// let api = SessionApi::new().stream_life(Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn stream_life(mut self, life: Duration) -> Self {
        self.life = life.min(Duration::from_secs(86_400));
        self
    }

    /// How many streams of events this process serves at once; one more is told to come later.
    /// Defaults to 1,024.
    ///
    /// ```
    /// # use tower_redis_session::session_api::SessionApi;
    /// let api = SessionApi::new().max_streams(100);
    /// ```
    #[must_use]
    pub fn max_streams(mut self, streams: usize) -> Self {
        self.streams = Arc::new(Streams::new(streams));
        self
    }

    /// Ends the streams of this service and its clones, and lets none begin any more: before a
    /// server waits for its open requests to end.
    ///
    /// ```
    /// # use tower_redis_session::session_api::SessionApi;
    /// let api = SessionApi::new();
    /// let mounted = api.clone();
    /// api.end_streams();
    /// # drop(mounted);
    /// ```
    pub fn end_streams(&self) {
        self.streams.places.close();
        self.streams.over.cancel();
    }
}

impl Streams {
    fn new(places: usize) -> Self {
        let places = Semaphore::new(places.min(Semaphore::MAX_PERMITS));
        Self { places: Arc::new(places), over: CancellationToken::new() }
    }
}

/// The answer under way.
pub type ApiFuture = Pin<Box<dyn Future<Output = Result<Response<ApiBody>, Infallible>> + Send>>;

impl<B> Service<Request<B>> for SessionApi {
    type Response = Response<ApiBody>;
    type Error = Infallible;
    type Future = ApiFuture;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, _) = request.into_parts();
        let session = head.extensions.get::<SessionContext>().cloned();
        let api = self.clone();
        Box::pin(async move { Ok(api.answer(&head, session).await) })
    }
}

impl Default for SessionApi {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SessionApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionApi")
            .field("interval", &self.interval)
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}
