//! Session API service: settings and open streams.

use std::{convert::Infallible, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use http::{Method, Request, Response};
use http_body::Body as _;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::{
    context::SessionContext,
    response::body::head_only,
    session_api::{
        body::SessionApiBody,
        places::{Limits, Places},
    },
};

/// The service; see the [module](super).
#[derive(Clone)]
pub struct SessionApi {
    pub(super) interval: Duration,
    pub(super) life: Duration,
    pub(super) streams: Arc<Streams>,
}

/// The open event streams.
pub(super) struct Streams {
    pub(super) places: Arc<Places>,
    pub(super) over: CancellationToken,
}

impl SessionApi {
    /// A service with the default settings.
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
            streams: Streams::new(Limits { process: 1_024, session: 8, user: 16 }),
        }
    }

    /// Interval at which an event stream polls the store, and so its longest delay. Longer where
    /// there are many open tabs: each costs one read an interval. Defaults to 5 seconds; at least
    /// 100 ms.
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

    /// Maximum life of an event stream before the client has to reconnect. Defaults to 5 minutes;
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

    /// Maximum number of concurrent event streams of this process; one more receives a time to
    /// retry. Defaults to 1,024.
    ///
    /// ```
    /// # use tower_redis_session::session_api::SessionApi;
    /// let api = SessionApi::new().max_streams(100);
    /// ```
    #[must_use]
    pub fn max_streams(self, streams: usize) -> Self {
        self.limited(|limits| limits.process = streams)
    }

    /// Maximum number of event streams of one session, mostly its tabs; one more receives a time to
    /// retry. Defaults to 8.
    ///
    /// ```
    /// # use tower_redis_session::session_api::SessionApi;
    /// let api = SessionApi::new().streams_per_session(4);
    /// ```
    #[must_use]
    pub fn streams_per_session(self, streams: usize) -> Self {
        self.limited(|limits| limits.session = streams)
    }

    /// Maximum number of event streams of all sessions of a user. Defaults to 16.
    ///
    /// ```
    /// # use tower_redis_session::session_api::SessionApi;
    /// let api = SessionApi::new().streams_per_user(64);
    /// ```
    #[must_use]
    pub fn streams_per_user(self, streams: usize) -> Self {
        self.limited(|limits| limits.user = streams)
    }

    fn limited(mut self, limit: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = self.streams.places.limits;
        limit(&mut limits);
        self.streams = Streams::new(limits);
        self
    }

    /// Ends the streams of this service and its clones, and rejects new ones: call it before a
    /// graceful shutdown of the server.
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
    fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { places: Places::new(limits), over: CancellationToken::new() })
    }
}

/// The response future.
pub type SessionApiFuture =
    Pin<Box<dyn Future<Output = Result<Response<SessionApiBody>, Infallible>> + Send>>;

impl<B> Service<Request<B>> for SessionApi {
    type Response = Response<SessionApiBody>;
    type Error = Infallible;
    type Future = SessionApiFuture;

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
        Box::pin(async move {
            let response = api.answer(&head, session).await;
            if head.method != Method::HEAD {
                return Ok(response);
            }
            let length = response.body().size_hint().exact();
            Ok(head_only(response, length, SessionApiBody::default()))
        })
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
