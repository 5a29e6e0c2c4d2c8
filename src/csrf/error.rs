//! Errors of CSRF verification.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use http::{Response, StatusCode};

use crate::{error::Error, response::HttpError};

/// The fault of a rejected request.
///
/// ```
/// # tower_redis_session::testing::handle(|session| async move {
/// use tower_redis_session::csrf::CsrfErrorKind;
///
/// let refused = session.verify_csrf("not a token").await.unwrap_err();
/// assert_eq!(refused.kind(), Some(CsrfErrorKind::Malformed));
/// # Ok(()) });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CsrfErrorKind {
    /// The request has no token.
    Missing,
    /// The token is malformed.
    Malformed,
    /// The token is this session's, and its lifetime has passed.
    Expired,
    /// The token is not this session's: from another, from before a login, a renewal or a logout,
    /// or forged.
    Foreign,
    /// By `Sec-Fetch-Site` or `Origin`, a page of another site sent it.
    CrossSite,
    /// The form is larger than the limit for reading its token.
    TooLarge,
    /// The form broke off, or did not arrive in time.
    Incomplete,
}

impl CsrfErrorKind {
    /// The HTTP status that fits (RFC 9110 section 15.5): 403, 413 for too large, 408 for
    /// incomplete.
    ///
    /// ```
    /// # use tower_redis_session::csrf::CsrfErrorKind;
    /// assert_eq!(CsrfErrorKind::Missing.status(), 403);
    /// ```
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Incomplete => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::FORBIDDEN,
        }
    }
}

impl fmt::Display for CsrfErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no csrf token came",
            Self::Malformed => "the csrf token is malformed",
            Self::Expired => "the csrf token is expired",
            Self::Foreign => "the csrf token is not of this session",
            Self::CrossSite => "the request comes from another site",
            Self::TooLarge => "the form is too large to look for its csrf token",
            Self::Incomplete => "the form did not arrive whole",
        })
    }
}

impl StdError for CsrfErrorKind {}

/// Why a request was rejected. Never holds a secret: safe to log.
///
/// ```
/// use tower_redis_session::csrf::{CsrfError, CsrfErrorKind};
///
/// let refused = CsrfError::from(CsrfErrorKind::Expired);
/// assert_eq!(refused.to_string(), "the csrf token is expired");
/// assert_eq!(refused.response::<String>().status(), 403);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CsrfError {
    /// The request failed verification.
    Refused(CsrfErrorKind),
    /// The session could not be loaded, so the token was not verified.
    Session(Error),
}

impl CsrfError {
    /// The fault of the request; `None` if it could not be verified.
    ///
    /// ```
    /// # use tower_redis_session::{Error, csrf::CsrfError};
    /// assert_eq!(CsrfError::from(Error::unavailable("down")).kind(), None);
    /// ```
    #[must_use]
    pub fn kind(&self) -> Option<CsrfErrorKind> {
        match self {
            Self::Refused(fault) => Some(*fault),
            Self::Session(_) => None,
        }
    }

    /// The HTTP status that fits: [`CsrfErrorKind::status`] or [`Error::status`].
    ///
    /// ```
    /// # use tower_redis_session::{Error, csrf::CsrfError};
    /// assert_eq!(CsrfError::from(Error::unavailable("down")).status(), 503);
    /// ```
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(fault) => fault.status(),
            Self::Session(error) => error.status(),
        }
    }

    /// A word for programs, which does not name the fault: `csrf_failed` (a fresh page has a valid
    /// token), `form_too_large`, `form_timeout`, or that of the session's error.
    ///
    /// ```
    /// # use tower_redis_session::csrf::{CsrfError, CsrfErrorKind};
    /// assert_eq!(CsrfError::from(CsrfErrorKind::Expired).code(), "csrf_failed");
    /// ```
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(CsrfErrorKind::TooLarge) => "form_too_large",
            Self::Refused(CsrfErrorKind::Incomplete) => "form_timeout",
            Self::Refused(_) => "csrf_failed",
            Self::Session(error) => error.code(),
        }
    }

    /// The response for a handler that verifies by itself: [`status`](Self::status), `Retry-After`
    /// with a 503, an empty body.
    ///
    /// ```
    /// # use tower_redis_session::csrf::{CsrfError, CsrfErrorKind};
    /// let response = CsrfError::from(CsrfErrorKind::Missing).response::<String>();
    /// assert_eq!(response.status(), 403);
    /// ```
    #[must_use]
    pub fn response<B: Default>(&self) -> Response<B> {
        match self {
            Self::Refused(fault) => {
                let mut response = Response::new(B::default());
                *response.status_mut() = fault.status();
                response
            }
            Self::Session(error) => error.response(),
        }
    }
}

impl HttpError for CsrfError {
    fn status(&self) -> StatusCode {
        Self::status(self)
    }

    fn code(&self) -> &'static str {
        Self::code(self)
    }

    fn message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Refused(CsrfErrorKind::TooLarge) => "the form is too large",
            Self::Refused(CsrfErrorKind::Incomplete) => "the form did not arrive in time",
            // Does not name the fault: the page cannot mend it, and attackers need not know it.
            Self::Refused(_) => "the request could not be verified: reload the page and try again",
            Self::Session(_) => "the session could not be loaded: try again",
        })
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(_) => None,
            Self::Session(error) => error.retry_after(),
        }
    }

    fn grpc_code(&self) -> i32 {
        match self {
            Self::Refused(CsrfErrorKind::TooLarge) => 8,
            Self::Refused(CsrfErrorKind::Incomplete) => 4,
            Self::Refused(_) => 7,
            Self::Session(error) => error.grpc_code(),
        }
    }
}

impl From<CsrfErrorKind> for CsrfError {
    fn from(fault: CsrfErrorKind) -> Self {
        Self::Refused(fault)
    }
}

impl From<Error> for CsrfError {
    fn from(error: Error) -> Self {
        Self::Session(error)
    }
}

impl fmt::Display for CsrfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(fault) => fault.fmt(f),
            Self::Session(error) => error.fmt(f),
        }
    }
}

impl StdError for CsrfError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Session(error) => error.source(),
        }
    }
}
