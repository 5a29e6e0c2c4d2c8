//! Routes limited by network alone.

use std::fmt;

use tower_layer::Layer;

use crate::{
    limiter::{error::AttemptError, service::NetworkLimitService, sign_in_limiter::SignInLimiter},
    response::{ErrorResponse, PlainErrorResponse},
};

/// Counts each request by the client's network, and responds with 429 in place of the inner service
/// once the limits of network or site are exceeded: for password resets, registrations and other
/// routes that need no session.
///
/// Give it a limiter with a [scope](crate::limiter::SignInLimiterBuilder::scope) of its own, or its
/// requests count as failed sign-ins. The server has to insert the
/// [`PeerAddress`](crate::layer::PeerAddress); without one every request is rejected with a 503.
///
/// ```
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_redis_session::{
///     MemoryStore,
///     layer::PeerAddress,
///     limiter::{AttemptLimit, NetworkLimitLayer, SignInLimiter},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let resets = SignInLimiter::builder(MemoryStore::new())
///     .scope("password reset")
///     .network(AttemptLimit::new(2))
///     .build()?;
/// let service = ServiceBuilder::new()
///     .layer(NetworkLimitLayer::new(resets))
///     .service(service_fn(async |_: Request<String>| {
///         Ok::<_, std::convert::Infallible>(Response::new("a mail is on its way".to_owned()))
///     }));
/// for status in [200, 200, 429] {
///     let mut request = Request::post("/reset").body(String::new())?;
///     request.extensions_mut().insert(PeerAddress("192.0.2.1:4711".parse()?));
///     let response = service.clone().oneshot(request).await?;
///     assert_eq!(response.status(), status);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct NetworkLimitLayer<A = PlainErrorResponse> {
    limiter: SignInLimiter,
    on_throttled: A,
}

impl NetworkLimitLayer {
    /// A layer that counts with `limiter`.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, limiter::{NetworkLimitLayer, SignInLimiter}};
    /// let limiter = SignInLimiter::builder(MemoryStore::new()).scope("registration").build()?;
    /// let layer = NetworkLimitLayer::new(limiter);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub const fn new(limiter: SignInLimiter) -> Self {
        Self { limiter, on_throttled: PlainErrorResponse }
    }
}

impl<A> NetworkLimitLayer<A> {
    /// Sets the response to a rejected request; see [`response`](crate::response). Defaults to
    /// [`PlainErrorResponse`].
    ///
    /// ```
    /// # use http::request::Parts;
    /// # use tower_redis_session::{
    /// #     MemoryStore, limiter::{AttemptError, NetworkLimitLayer, SignInLimiter},
    /// #     response::HttpError,
    /// # };
    /// let limiter = SignInLimiter::builder(MemoryStore::new()).build()?;
    /// let layer = NetworkLimitLayer::new(limiter).on_throttled(
    ///     |error: &AttemptError, request: &Parts| {
    ///         error.response_to(request, format!(r#"{{"error":"{}"}}"#, error.code()))
    ///     },
    /// );
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn on_throttled<D: ErrorResponse<AttemptError>>(self, response: D) -> NetworkLimitLayer<D> {
        NetworkLimitLayer { limiter: self.limiter, on_throttled: response }
    }
}

impl<S, A: Clone> Layer<S> for NetworkLimitLayer<A> {
    type Service = NetworkLimitService<S, A>;

    fn layer(&self, inner: S) -> Self::Service {
        NetworkLimitService::new(inner, self.limiter.clone(), self.on_throttled.clone())
    }
}

impl<A> fmt::Debug for NetworkLimitLayer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkLimitLayer").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}
