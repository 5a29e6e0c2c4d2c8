//! Reasons for which a guard rejects a request.

use std::{fmt, time::Duration};

use http::StatusCode;

use crate::{
    error::{Error, ErrorKind},
    response::HttpError,
};

/// Why a request was denied: a condition that it does not meet, or an error of its session.
///
/// ```
/// # use tower_redis_session::{Error, ErrorKind, guard::{Denied, DeniedKind}};
/// let denied = Denied::from(Error::new(ErrorKind::Expired, "its time is over"));
/// assert_eq!(denied.kind(), DeniedKind::Expired);
/// assert_eq!(denied.to_string(), "the session has expired");
/// ```
#[derive(Clone, Debug)]
pub struct Denied {
    reason: DeniedKind,
    error: Option<Error>,
}

/// What a request lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeniedKind {
    /// No session, or no user signed in: 401.
    Unauthenticated,
    /// There was a session, and its time is over: 401.
    Expired,
    /// The sign-in is too long ago for this: 401.
    Stale,
    /// The user lacks the role or permission: 403.
    Forbidden,
    /// No platform is chosen: 403.
    NoPlatform,
    /// The store is unavailable, so the session is unknown: 503.
    Unavailable,
    /// The session cannot be used as it is: the status of the error.
    Failed,
}

impl Denied {
    /// For a reason that is no error.
    ///
    /// ```
    /// # use tower_redis_session::guard::{Denied, DeniedKind};
    /// assert_eq!(Denied::new(DeniedKind::Forbidden).status(), 403);
    /// ```
    #[must_use]
    pub const fn new(reason: DeniedKind) -> Self {
        Self { reason, error: None }
    }

    /// What is missing.
    ///
    /// ```
    /// # use tower_redis_session::guard::{Denied, DeniedKind};
    /// assert_eq!(Denied::new(DeniedKind::Stale).kind(), DeniedKind::Stale);
    /// ```
    #[must_use]
    pub const fn kind(&self) -> DeniedKind {
        self.reason
    }

    /// The error that it comes from, if it comes from one: for the log, not for the client.
    ///
    /// ```
    /// # use tower_redis_session::guard::{Denied, DeniedKind};
    /// assert!(Denied::new(DeniedKind::Stale).error().is_none());
    /// ```
    #[must_use]
    pub const fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// The status that says so (RFC 9110 section 15).
    ///
    /// ```
    /// # use tower_redis_session::guard::{Denied, DeniedKind};
    /// assert_eq!(Denied::new(DeniedKind::Unauthenticated).status(), 401);
    /// ```
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.reason {
            DeniedKind::Unauthenticated | DeniedKind::Expired | DeniedKind::Stale => {
                StatusCode::UNAUTHORIZED
            }
            DeniedKind::Forbidden | DeniedKind::NoPlatform => StatusCode::FORBIDDEN,
            DeniedKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            DeniedKind::Failed => {
                self.error().map_or(StatusCode::INTERNAL_SERVER_ERROR, Error::status)
            }
        }
    }

    /// A word for clients that read no prose; it stays what it is.
    ///
    /// ```
    /// # use tower_redis_session::guard::{Denied, DeniedKind};
    /// assert_eq!(Denied::new(DeniedKind::NoPlatform).code(), "platform_required");
    /// ```
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.reason {
            DeniedKind::Unauthenticated => "unauthenticated",
            DeniedKind::Expired => "session_expired",
            DeniedKind::Stale => "reauthentication_required",
            DeniedKind::Forbidden => "forbidden",
            DeniedKind::NoPlatform => "platform_required",
            DeniedKind::Unavailable => "unavailable",
            DeniedKind::Failed => self.error().map_or("session_failed", Error::code),
        }
    }

    /// The gRPC status code that says so: 16 `UNAUTHENTICATED`, 7 `PERMISSION_DENIED`, 14
    /// `UNAVAILABLE`, or that of the error.
    ///
    /// ```
    /// # use tower_redis_session::guard::{Denied, DeniedKind};
    /// assert_eq!(Denied::new(DeniedKind::Unauthenticated).grpc_code(), 16);
    /// ```
    #[must_use]
    pub fn grpc_code(&self) -> i32 {
        match self.reason {
            DeniedKind::Unauthenticated | DeniedKind::Expired | DeniedKind::Stale => 16,
            DeniedKind::Forbidden | DeniedKind::NoPlatform => 7,
            DeniedKind::Unavailable => 14,
            DeniedKind::Failed => self.error().map_or(13, Error::grpc_code),
        }
    }
}

impl HttpError for Denied {
    fn status(&self) -> StatusCode {
        Self::status(self)
    }

    fn code(&self) -> &'static str {
        Self::code(self)
    }

    fn retry_after(&self) -> Option<Duration> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(Duration::from_secs(1))
    }

    fn grpc_code(&self) -> i32 {
        Self::grpc_code(self)
    }
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        let reason = match error.kind() {
            // An unreadable or ambiguous session admits no user; a new sign-in helps.
            ErrorKind::Absent | ErrorKind::Revoked | ErrorKind::Corrupt | ErrorKind::Ambiguous => {
                DeniedKind::Unauthenticated
            }
            ErrorKind::Expired => DeniedKind::Expired,
            _ if error.status() == StatusCode::SERVICE_UNAVAILABLE => DeniedKind::Unavailable,
            _ => DeniedKind::Failed,
        };
        Self { reason, error: Some(error) }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            DeniedKind::Unauthenticated => "no user is signed in",
            DeniedKind::Expired => "the session has expired",
            DeniedKind::Stale => "the sign-in is too long ago",
            DeniedKind::Forbidden => "the user lacks a permission",
            DeniedKind::NoPlatform => "no platform is chosen",
            DeniedKind::Unavailable => "the session store is unavailable",
            DeniedKind::Failed => "the session cannot be used",
        })
    }
}

impl std::error::Error for Denied {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.as_ref().map(|error| error as _)
    }
}
