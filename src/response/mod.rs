//! Error responses: one function of the application shapes the response to a failed commit, a
//! denied request and a forged one.
//!
//! The errors of the three layers implement [`HttpError`]: a status, a stable word for programs, a
//! sentence for people. An [`ErrorResponse`] builds the response from the error and the request:
//!
//! ```
//! use http::{HeaderValue, Response, header::CONTENT_TYPE, request::Parts};
//! use tower::{ServiceBuilder, service_fn};
//! use tower_redis_session::{
//!     Error, MemoryStore, RedisSessionLayer, csrf::CsrfLayer, guard::RequireLayer,
//!     response::{HttpError, accepts_html},
//! };
//!
//! fn refusal<E: HttpError>(error: &E, request: &Parts) -> Response<String> {
//!     let (kind, text) = if accepts_html(request) {
//!         ("text/html", format!("<!doctype html><title>Error</title><p>{}", error.code()))
//!     } else {
//!         ("application/json", format!(r#"{{"error":"{}"}}"#, error.code()))
//!     };
//!     // With the status, `Retry-After` and `WWW-Authenticate`.
//!     let mut response = error.response_to(request, text);
//!     response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
//!     response
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use http_body_util::BodyExt as _;
//! # use tower::ServiceExt as _;
//! let service = ServiceBuilder::new()
//!     .layer(RedisSessionLayer::builder(MemoryStore::new()).build()?.on_error(refusal))
//!     .layer(CsrfLayer::new().on_error(refusal))
//!     .layer(RequireLayer::user().on_denied(refusal))
//!     .service(service_fn(async |_: http::Request<_>| {
//!         Ok::<_, Error>(Response::new("members only".to_owned()))
//!     }));
//!
//! let response = service.oneshot(http::Request::new(String::new())).await?;
//! assert_eq!(response.status(), 401);
//! let text = response.into_body().collect().await?.to_bytes();
//! assert_eq!(text, r#"{"error":"unauthenticated"}"#);
//! # Ok(())
//! # }
//! ```
//!
//! For a failed commit the handler has consumed the request: the function gets a copy of its head,
//! without the application's extensions, and the session is closed.
//!
//! Without a function of the application, [`PlainErrorResponse`] responds for the session layer and
//! the CSRF layer, and [`DenyWith`](crate::guard::DenyWith) for guards. Both respond to gRPC calls
//! by status.

// | file | holds |
// |---|---|
// | `http_error` | `HttpError`: status, code and message of an error |
// | `error_response` | `ErrorResponse`: the response to an error, from it and the request |
// | `plain` | `PlainErrorResponse`: one line of plain text |
// | `grpc` | errors as gRPC statuses, and which messages are gRPC's |
// | `accept` | which clients show pages |
// | `body` | `EitherBody`: the inner service's body, or that of an error response; `BodyError` |

mod accept;
pub(crate) mod body;
mod error_response;
pub(crate) mod grpc;
pub(crate) mod http_error;
mod plain;

pub use crate::response::{
    accept::accepts_html,
    body::{BodyError, EitherBody},
    error_response::ErrorResponse,
    grpc::is_grpc,
    http_error::HttpError,
    plain::PlainErrorResponse,
};
