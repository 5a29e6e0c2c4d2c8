//! Status, code and message of an error, and the head of its response.

use std::{borrow::Cow, time::Duration};

use http::{
    HeaderValue, Response, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
    request::Parts,
};

use crate::{
    context::SessionContext,
    error::{Error, ErrorKind},
};

/// An error with an HTTP response: [`Error`](crate::Error), [`Denied`](crate::guard::Denied),
/// [`CsrfError`](crate::csrf::CsrfError), and errors of the application.
///
/// ```
/// use std::fmt;
/// use http::{Request, StatusCode};
/// use tower_redis_session::response::{ErrorResponse, HttpError, PlainErrorResponse};
///
/// #[derive(Debug)]
/// struct Busy;
///
/// impl fmt::Display for Busy {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str("the queue is full")
///     }
/// }
///
/// impl std::error::Error for Busy {}
///
/// impl HttpError for Busy {
///     fn status(&self) -> StatusCode {
///         StatusCode::TOO_MANY_REQUESTS
///     }
///
///     fn code(&self) -> &'static str {
///         "busy"
///     }
/// }
///
/// let (request, ()) = Request::new(()).into_parts();
/// let response = PlainErrorResponse.respond(&Busy, &request);
/// assert_eq!(response.status(), 429);
/// assert_eq!(response.body(), "Too Many Requests\n");
/// ```
pub trait HttpError: std::error::Error {
    /// The HTTP status (RFC 9110 section 15).
    fn status(&self) -> StatusCode;

    /// A word in `snake_case` for programs. It never changes, and names no detail that only an
    /// attacker could use.
    fn code(&self) -> &'static str;

    /// A sentence for the person behind a browser, as plain text: escape it in HTML. It names no
    /// internals. Defaults to the reason phrase of the status.
    fn message(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.status().canonical_reason().unwrap_or("Error"))
    }

    /// How long a client should wait before it tries again. Defaults to `None`: a retry does not
    /// help.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The value of `WWW-Authenticate` with a 401 (RFC 9110 section 11.6.1). Defaults to `None`:
    /// the scheme of the session, which is `Bearer` where its token comes in `Authorization`, and
    /// else `Session`, for which no browser prompts for a password.
    fn challenge(&self) -> Option<&'static str> {
        None
    }

    /// The gRPC status code. Defaults to the one that gRPC derives from [`status`](Self::status):
    /// 16 `UNAUTHENTICATED` for 401, 7 `PERMISSION_DENIED` for 403, 12 `UNIMPLEMENTED` for 404, 13
    /// `INTERNAL` for 400, 14 `UNAVAILABLE` for 429, 502, 503 and 504, else 2 `UNKNOWN`. 0 would
    /// report a success.
    fn grpc_code(&self) -> i32 {
        match self.status().as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502..=504 => 14,
            _ => 2,
        }
    }

    /// The response to `request` with this body: the status, `Retry-After` in whole seconds, and
    /// `WWW-Authenticate` with a 401. The caller adds `Content-Type`.
    ///
    /// ```
    /// use tower_redis_session::{Error, response::HttpError};
    ///
    /// let (request, ()) = http::Request::new(()).into_parts();
    /// let response = Error::unavailable("down").response_to(&request, "one moment, please");
    /// assert_eq!((response.status().as_u16(), *response.body()), (503, "one moment, please"));
    /// assert_eq!(response.headers()["retry-after"], "1");
    /// ```
    fn response_to<B>(&self, request: &Parts, body: B) -> Response<B>
    where
        Self: Sized,
    {
        head(self, request.extensions.get()).map(|()| body)
    }
}

/// Status line and headers of the response to an error.
pub(crate) fn head<E: HttpError>(error: &E, session: Option<&SessionContext>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = error.status();
    let headers = response.headers_mut();
    if error.status() == StatusCode::UNAUTHORIZED {
        // A 401 has to name a scheme (RFC 9110 section 15.5.2): RFC 6750 section 3 for tokens in
        // that header.
        let bearer = session.is_some_and(SessionContext::is_asked_by_authorization);
        let own = if bearer { "Bearer" } else { "Session" };
        if let Ok(challenge) = HeaderValue::from_str(error.challenge().unwrap_or(own)) {
            let _ = headers.insert(WWW_AUTHENTICATE, challenge);
        }
    }
    if let Some(wait) = error.retry_after() {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        let _ = headers.insert(RETRY_AFTER, seconds.max(1).into());
    }
    response
}

impl HttpError for Error {
    fn status(&self) -> StatusCode {
        Self::status(self)
    }

    fn code(&self) -> &'static str {
        Self::code(self)
    }

    fn retry_after(&self) -> Option<Duration> {
        Self::retry_after(self)
    }

    fn grpc_code(&self) -> i32 {
        Self::grpc_code(self)
    }
}

impl Error {
    /// A word for programs: `unauthenticated`, `session_expired`, `forbidden`, `session_moved` (a
    /// retry with the new cookie succeeds), `session_too_large`, `unavailable`, else
    /// `session_failed`.
    ///
    /// ```
    /// # use tower_redis_session::Error;
    /// assert_eq!(Error::unavailable("down").code(), "unavailable");
    /// ```
    pub fn code(&self) -> &'static str {
        match self.kind() {
            ErrorKind::Absent | ErrorKind::Revoked | ErrorKind::Ambiguous => "unauthenticated",
            ErrorKind::Expired => "session_expired",
            ErrorKind::Forbidden => "forbidden",
            ErrorKind::Moved => "session_moved",
            ErrorKind::TooLarge => "session_too_large",
            ErrorKind::Unavailable | ErrorKind::Misconfigured | ErrorKind::Unsupported => {
                "unavailable"
            }
            ErrorKind::Corrupt | ErrorKind::Closed | ErrorKind::Value | ErrorKind::Invalid => {
                "session_failed"
            }
        }
    }

    /// The HTTP response for this error: [`status`](Self::status), `Retry-After` with a 503,
    /// `WWW-Authenticate` with a 401 (RFC 9110 section 15.5.2), an empty body. Its scheme is
    /// `Session`, for which no browser prompts for a password.
    ///
    /// ```
    /// # use tower_redis_session::Error;
    /// let response: http::Response<String> = Error::unavailable("down").response();
    /// assert_eq!(response.status(), 503);
    /// assert_eq!(response.headers()["retry-after"], "1");
    /// ```
    pub fn response<B: Default>(&self) -> Response<B> {
        head(self, None).map(|()| B::default())
    }
}
