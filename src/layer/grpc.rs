//! gRPC statuses of errors: for tonic and others, without a dependency on them.

use http::{HeaderMap, HeaderName, HeaderValue, Response, header::CONTENT_TYPE};

use crate::error::{Error, ErrorKind};

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

    /// The response to a gRPC call: trailers only, 200 with [`grpc-status`](Self::grpc_code), a
    /// short `grpc-message`, and `grpc-retry-pushback-ms` where a retry helps. The layer and the
    /// built-in responses of guards respond so to gRPC calls by themselves; this is for the
    /// application's own functions.
    ///
    /// ```
    /// # use tower_redis_session::Error;
    /// let response: http::Response<String> = Error::unavailable("down").grpc_response();
    /// assert_eq!(response.status(), 200);
    /// assert_eq!(response.headers()["grpc-status"], "14");
    /// assert_eq!(response.headers()["grpc-message"], "unavailable");
    /// ```
    pub fn grpc_response<B: Default>(&self) -> Response<B> {
        self.grpc_head(&HeaderValue::from_static("application/grpc")).map(|()| B::default())
    }

    /// The same in the content type of the call.
    pub(crate) fn grpc_head(&self, content_type: &HeaderValue) -> Response<()> {
        let message = match self.grpc_code() {
            16 => "unauthenticated",
            7 => "forbidden",
            14 => "unavailable",
            _ => "session_failed",
        };
        let mut response = status_head(self.grpc_code(), message, content_type);
        if let Some(wait) = self.retry_after() {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            let _ = response.headers_mut().insert(PUSHBACK, wait.into());
        }
        response
    }
}

/// The content type of a gRPC message, which identifies calls and their responses: also
/// `application/grpc+proto` and `application/grpc-web`.
pub(crate) fn grpc_content_type(headers: &HeaderMap) -> Option<&HeaderValue> {
    let is_grpc = |value: &&HeaderValue| {
        let start = value.as_bytes().get(..16);
        start.is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
    };
    headers.get(CONTENT_TYPE).filter(is_grpc)
}

/// A "trailers-only" response: gRPC's term for a status without a message.
pub(crate) fn status_head(
    code: i32,
    message: &'static str,
    content_type: &HeaderValue,
) -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    let _ = headers.insert(CONTENT_TYPE, content_type.clone());
    let _ = headers.insert(STATUS, code.into());
    let _ = headers.insert(MESSAGE, HeaderValue::from_static(message));
    response
}
