//! gRPC statuses of errors: for tonic and others, without a dependency on them.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE},
    request::Parts,
};

use crate::{
    error::{Error, ErrorKind},
    response::http_error::HttpError,
};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

impl Error {
    /// The gRPC status code that fits: 16 `UNAUTHENTICATED` where [`status`](Self::status) is 401,
    /// 7 `PERMISSION_DENIED` for 403, 14 `UNAVAILABLE` for 503, 10 `ABORTED` for moved, 8
    /// `RESOURCE_EXHAUSTED` for too large, else 13 `INTERNAL`.
    ///
    /// In a tonic service: `tonic::Status::new(error.grpc_code().into(), error.to_string())`.
    ///
    /// ```
    /// # use tower_redis_session::Error;
    /// assert_eq!(Error::unavailable("down").grpc_code(), 14);
    /// ```
    pub fn grpc_code(&self) -> i32 {
        match self.kind() {
            ErrorKind::Absent | ErrorKind::Expired | ErrorKind::Revoked | ErrorKind::Ambiguous => {
                16
            }
            ErrorKind::Forbidden => 7,
            ErrorKind::Moved => 10,
            ErrorKind::TooLarge => 8,
            ErrorKind::Unavailable | ErrorKind::Misconfigured | ErrorKind::Unsupported => 14,
            ErrorKind::Corrupt | ErrorKind::Closed | ErrorKind::Value | ErrorKind::Invalid => 13,
        }
    }

    /// The response to a gRPC call: trailers only, 200 with [`grpc-status`](Self::grpc_code), the
    /// [`code`](Self::code) as `grpc-message`, and `grpc-retry-pushback-ms` where a retry helps.
    /// [`PlainErrorResponse`](crate::response::PlainErrorResponse) and
    /// [`DenyWith`](crate::guard::DenyWith) respond so to gRPC calls; this is for the application's
    /// own functions.
    ///
    /// ```
    /// # use tower_redis_session::Error;
    /// let response: http::Response<String> = Error::unavailable("down").grpc_response();
    /// assert_eq!(response.status(), 200);
    /// assert_eq!(response.headers()["grpc-status"], "14");
    /// assert_eq!(response.headers()["grpc-message"], "unavailable");
    /// ```
    pub fn grpc_response<B: Default>(&self) -> Response<B> {
        grpc_head(self, &HeaderValue::from_static("application/grpc")).map(|()| B::default())
    }
}

/// Whether a request is a gRPC call: a `POST` with the content type `application/grpc`, also
/// `application/grpc+proto` and `application/grpc-web`. A function of the application for HTTP and
/// gRPC leaves these to [`PlainErrorResponse`](crate::response::PlainErrorResponse):
///
/// ```
/// use http::{Response, request::Parts};
/// use tower_redis_session::response::{ErrorResponse, HttpError, PlainErrorResponse, is_grpc};
///
/// fn refusal<E: HttpError>(error: &E, request: &Parts) -> Response<String> {
///     if is_grpc(request) {
///         return PlainErrorResponse.respond(error, request);
///     }
///     error.response_to(request, format!(r#"{{"error":"{}"}}"#, error.code()))
/// }
/// # let call = http::Request::post("/").header("content-type", "application/grpc");
/// # let call = call.body(()).unwrap();
/// # let error = tower_redis_session::Error::unavailable("down");
/// # assert_eq!(refusal(&error, &call.into_parts().0).headers()["grpc-status"], "14");
/// ```
#[must_use]
pub fn is_grpc(request: &Parts) -> bool {
    call_content_type(request).is_some()
}

/// The content type of a gRPC message, which identifies calls and their responses: also
/// `application/grpc+proto` and `application/grpc-web`.
pub(crate) fn grpc_content_type(headers: &HeaderMap) -> Option<&HeaderValue> {
    let is_grpc = |value: &&HeaderValue| {
        let Some((start, rest)) = value.as_bytes().split_at_checked(16) else { return false };
        start.eq_ignore_ascii_case(b"application/grpc")
            && rest.first().is_none_or(|next| matches!(next, b'+' | b';' | b' ' | b'-'))
    };
    headers.get(CONTENT_TYPE).filter(is_grpc)
}

/// The content type of a request that is a gRPC call: a `POST`, as all of them are.
pub(crate) fn call_content_type(request: &Parts) -> Option<&HeaderValue> {
    grpc_content_type(&request.headers).filter(|_| request.method == Method::POST)
}

/// A "trailers-only" response, in the content type of the call: gRPC's term for a status without a
/// message.
pub(crate) fn grpc_head<E: HttpError>(error: &E, content_type: &HeaderValue) -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    let _ = headers.insert(CONTENT_TYPE, content_type.clone());
    // It is a 200, which a cache might keep.
    let _ = headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let _ = headers.insert(STATUS, error.grpc_code().into());
    if let Ok(message) = HeaderValue::from_str(error.code()) {
        let _ = headers.insert(MESSAGE, message);
    }
    if let Some(wait) = error.retry_after() {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let _ = headers.insert(PUSHBACK, wait.into());
    }
    response
}
