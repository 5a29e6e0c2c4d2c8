//! The response without a function of the application: one line of plain text.

use http::{HeaderValue, Response, header::CONTENT_TYPE, request::Parts};

use crate::response::{
    error_response::ErrorResponse,
    grpc::{call_content_type, grpc_head},
    http_error::HttpError,
};

/// Responds with the [message](HttpError::message) as one line of `text/plain`, the
/// [status](HttpError::status), `Retry-After`, and `WWW-Authenticate` with a 401. A gRPC call gets
/// a status without a message: `grpc-status` is [`grpc_code`](HttpError::grpc_code), `grpc-message`
/// the [`code`](HttpError::code), with `grpc-retry-pushback-ms` where a retry helps.
///
/// ```
/// use tower_redis_session::{Error, response::{ErrorResponse, PlainErrorResponse}};
///
/// let (request, ()) = http::Request::new(()).into_parts();
/// let response = PlainErrorResponse.respond(&Error::unavailable("down"), &request);
/// assert_eq!(response.body(), "Service Unavailable\n");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainErrorResponse;

impl<E: HttpError> ErrorResponse<E> for PlainErrorResponse {
    type Body = String;

    fn respond(&self, error: &E, request: &Parts) -> Response<String> {
        if let Some(content_type) = call_content_type(request) {
            return grpc_head(error, content_type).map(|()| String::new());
        }
        let mut response = error.response_to(request, format!("{}\n", error.message()));
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        let _ = response.headers_mut().insert(CONTENT_TYPE, plain);
        response
    }

    fn reads_request(&self) -> bool {
        false
    }
}
