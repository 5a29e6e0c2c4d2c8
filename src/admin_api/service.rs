//! The service, behind its guard.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_layer::Layer as _;
use tower_service::Service;

use crate::{
    admin_api::endpoints::Endpoints,
    guard::{Denied, DenyWith, RequireLayer, RequireService, Selective},
    layer::SessionAdmin,
    response::{EitherBody, ErrorResponse},
};

/// The service; see the [module](super).
#[derive(Clone)]
pub struct AdminApi<C, A = DenyWith> {
    guarded: RequireService<Endpoints, C, A>,
}

impl<C, A> AdminApi<C, A>
where
    C: Selective,
    A: ErrorResponse<Denied> + Send + 'static,
{
    /// The endpoints for the sessions of `admin`'s layer, behind `guard`, which rejects everyone
    /// but administrators; its [`on_denied`](RequireLayer::on_denied) sets the response to them, as
    /// JSON in the example.
    ///
    /// ```
    /// # use tower_redis_session::{Error, MemoryStore, RedisSessionLayer, SessionContext};
    /// # use tower_redis_session::{admin_api::AdminApi, guard::{DenyWith, RequireLayer}};
    /// let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let guard = RequireLayer::require_fn(|session: SessionContext| async move {
    ///     Ok(session.user_id().await?.as_deref() == Some("root"))
    /// });
    /// let api = AdminApi::new(sessions.admin(), guard.on_denied(DenyWith::json()));
    /// # drop(api);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn new(admin: SessionAdmin, guard: RequireLayer<C, A>) -> Self {
        Self { guarded: guard.layer(Endpoints::new(admin)) }
    }
}

/// The response future. `D` is the body of the guard's response.
pub type AdminApiFuture<D> =
    Pin<Box<dyn Future<Output = Result<Response<EitherBody<String, D>>, Infallible>> + Send>>;

impl<B, C, A> Service<Request<B>> for AdminApi<C, A>
where
    C: Selective,
    A: ErrorResponse<Denied> + Send + 'static,
{
    type Response = Response<EitherBody<String, A::Body>>;
    type Error = Infallible;
    type Future = AdminApiFuture<A::Body>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(self.guarded.call(request.map(drop)))
    }
}

impl<C, A> fmt::Debug for AdminApi<C, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminApi").finish_non_exhaustive()
    }
}
