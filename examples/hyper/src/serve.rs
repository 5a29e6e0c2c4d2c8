//! Responses of one type, and the server.

use std::convert::Infallible;

use http::{HeaderValue, Request, Response, StatusCode, header::LOCATION};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{BoxError, Service};
use tower_redis_session::{Error, layer::SessionBody, response::EitherBody};

pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

pub(crate) fn respond(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(text.into()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let _ = response.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
    response
}

/// An error becomes its response: 503 with Retry-After while the store is away.
pub(crate) fn failed(error: BoxError) -> Response<Body> {
    match error.downcast_ref::<Error>() {
        Some(error) => {
            error.response::<Full<_>>().map(|body| body.map_err(Into::into).boxed_unsync())
        }
        None => respond(StatusCode::BAD_REQUEST, ""),
    }
}

/// Serves at the address of the first argument.
pub(crate) async fn serve<S>(app: S) -> Result<(), BoxError>
where
    S: Service<
            Request<Incoming>,
            Response = Response<SessionBody<EitherBody<Body>>>,
            Error = Infallible,
            Future: Send,
        > + Clone
        + Send
        + 'static,
{
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, service) = (listener.accept().await?.0, TowerToHyperService::new(app.clone()));
        let server = auto::Builder::new(TokioExecutor::new());
        let connection =
            async move { server.serve_connection(TokioIo::new(stream), service).await };
        drop(tokio::spawn(connection));
    }
}
