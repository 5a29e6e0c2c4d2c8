//! What can be known of the public types without running them.

use std::{error::Error as StdError, fmt::Debug, future::Ready};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use http_body_util::{Full, combinators::UnsyncBoxBody};
use tonic::service::interceptor::ResponseBody as Intercepted;
use tower::BoxError;
use tower_http::services::fs::ServeFileSystemResponseBody;
use tower_redis_session::{
    ConfigError, Error, RedisSessionLayer, SessionContext,
    admin_api::{AdminApi, AdminApiFuture},
    csrf::{CsrfBody, CsrfError, CsrfFuture, CsrfLayer, CsrfService},
    guard::{Denied, DenyWith, Rejection, RequireFuture, RequireLayer, RequireService, User},
    layer::{
        RedisSessionService, ResponseFuture, SavepointFuture, SavepointLayer, SavepointService,
        SessionBody,
    },
    limiter::{NetworkLimitFuture, NetworkLimitLayer, NetworkLimitService},
    response::{BodyError, EitherBody, PlainErrorResponse},
    session_api::{SessionApi, SessionApiBody, SessionApiFuture},
};

/// As frameworks and the boxes of http-body-util want them.
fn is_body<T>()
where
    T: Body<Data = Bytes> + Default + Debug + Send + Sync + Unpin + 'static,
    T::Error: StdError + Send + Sync,
{
}

/// What is left around a body that is neither `Default` nor `Sync`.
fn is_body_at_least<T>()
where
    T: Body<Data = Bytes, Error: Into<BoxError>> + Default + Debug + Send + Unpin + 'static,
{
}

fn is_layer<T: Clone + Debug + Send + Sync + Unpin + 'static>() {}

fn is_service<T: Clone + Debug + Send + Sync + Unpin + 'static>() {}

fn is_future<T: Future + Debug + Send + Unpin + 'static>() {}

fn is_error<T: StdError + Send + Sync + 'static>() {}

/// A service whose future and body are everything.
#[derive(Clone, Debug)]
struct Inner;

impl<B> tower::Service<Request<B>> for Inner {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), BoxError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Answer {
        std::future::ready(Ok(Response::default()))
    }
}

type Answer = Ready<Result<Response<Full<Bytes>>, BoxError>>;
type Deny = fn(&Denied, &Parts) -> Response<Full<Bytes>>;
type Forged = fn(&CsrfError, &Parts) -> Response<Full<Bytes>>;

#[test]
fn bodies_are_what_the_inner_one_is() {
    is_body::<SessionBody<Full<Bytes>>>();
    is_body::<SessionBody<Full<Bytes>, String>>();
    is_body::<CsrfBody<Full<Bytes>>>();
    is_body::<EitherBody<Full<Bytes>>>();
    is_body::<EitherBody<Full<Bytes>, Full<Bytes>>>();
    is_body::<SessionApiBody>();
    is_body::<SessionBody<EitherBody<EitherBody<SessionApiBody>>>>();
    is_body_at_least::<SessionBody<ServeFileSystemResponseBody>>();
    is_body_at_least::<SessionBody<Intercepted<tonic::body::Body>>>();
    is_body_at_least::<SessionBody<EitherBody<EitherBody<ServeFileSystemResponseBody>>>>();
    is_body_at_least::<SessionBody<EitherBody<EitherBody<Intercepted<tonic::body::Body>>>>>();
    is_body_at_least::<SessionBody<EitherBody<EitherBody<axum::body::Body>>>>();
    is_body_at_least::<SessionBody<EitherBody<EitherBody<UnsyncBoxBody<Bytes, BoxError>>>>>();
}

#[test]
fn layers_and_services_are_cloned_and_shared() {
    is_layer::<RedisSessionLayer>();
    is_layer::<CsrfLayer>();
    is_layer::<CsrfLayer<Forged>>();
    is_layer::<RequireLayer<User, PlainErrorResponse>>();
    is_layer::<NetworkLimitLayer>();
    is_layer::<SavepointLayer>();
    is_layer::<RequireLayer<User>>();
    is_layer::<RequireLayer<User, Deny>>();
    is_service::<RedisSessionService<Inner>>();
    is_service::<CsrfService<Inner>>();
    is_service::<CsrfService<Inner, Forged>>();
    is_service::<NetworkLimitService<Inner, PlainErrorResponse>>();
    is_service::<SavepointService<Inner>>();
    is_service::<RequireService<Inner, User, DenyWith>>();
    is_service::<SessionApi>();
    is_service::<AdminApi<User, Deny>>();
    is_service::<SessionContext>();
}

#[test]
fn futures_can_be_moved_and_sent() {
    is_future::<ResponseFuture<Answer>>();
    is_future::<NetworkLimitFuture<Inner, Bytes, PlainErrorResponse>>();
    is_future::<SavepointFuture<Answer>>();
    is_future::<CsrfFuture<Inner, Full<Bytes>>>();
    is_future::<CsrfFuture<Inner, Full<Bytes>, Forged>>();
    is_future::<RequireFuture<Inner, Full<Bytes>, DenyWith>>();
    fn is_sent<T: Future + Send + Unpin + 'static>() {}
    is_sent::<SessionApiFuture>();
    is_sent::<AdminApiFuture<Full<Bytes>>>();
}

#[test]
fn errors_are_errors() {
    is_error::<Error>();
    is_error::<ConfigError>();
    is_error::<BodyError>();
    is_error::<CsrfError>();
    is_error::<Denied>();
    is_error::<Rejection>();
}
