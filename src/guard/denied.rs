//! Why a request does not go on.

use std::time::Duration;

use http::StatusCode;

use crate::error::{Error, ErrorKind};

/// A request that does not go on.
#[derive(Clone, Debug)]
pub struct Denied {
    reason: DeniedReason,
    error: Option<Error>,
}

/// What a request lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeniedReason {
    /// Nobody is signed in, or there is no session: 401.
    Unauthenticated,
    /// There was a session, and its time is over: 401.
    Expired,
    /// Somebody is signed in, too long ago for this: 401.
    Stale,
    /// Somebody is signed in who may not: 403.
    Forbidden,
    /// No platform is chosen: 403.
    NoPlatform,
    /// The store does not answer, so nobody knows: 503.
    Unavailable,
    /// The session cannot be used as it is: the status of the error.
    Failed,
}

impl Denied {
    /// For a reason that is no error.
    ///
    /// ```
    /// # use tower_redis_session::guard::{Denied, DeniedReason};
    /// assert_eq!(Denied::new(DeniedReason::Forbidden).status(), 403);
    /// ```
    #[must_use]
    pub const fn new(reason: DeniedReason) -> Self {
        Self { reason, error: None }
    }

    /// For an error of the session.
    ///
    /// ```
    /// # use tower_redis_session::{Error, ErrorKind, guard::{Denied, DeniedReason}};
    /// let denied = Denied::by(Error::new(ErrorKind::Expired, "its time is over"));
    /// assert_eq!(denied.reason(), DeniedReason::Expired);
    /// ```
    #[must_use]
    pub fn by(error: Error) -> Self {
        let reason = match error.kind() {
            // What cannot be read, or be told apart, opens nothing, and a new sign-in is the way
            // on.
            ErrorKind::Absent | ErrorKind::Revoked | ErrorKind::Corrupt | ErrorKind::Ambiguous => {
                DeniedReason::Unauthenticated
            }
            ErrorKind::Expired => DeniedReason::Expired,
            _ if error.status() == StatusCode::SERVICE_UNAVAILABLE => DeniedReason::Unavailable,
            _ => DeniedReason::Failed,
        };
        Self { reason, error: Some(error) }
    }

    /// What is missing.
    ///
    /// ```
    /// # use tower_redis_session::guard::{Denied, DeniedReason};
    /// assert_eq!(Denied::new(DeniedReason::Stale).reason(), DeniedReason::Stale);
    /// ```
    #[must_use]
    pub const fn reason(&self) -> DeniedReason {
        self.reason
    }

    /// The error that it comes from, if it comes from one: for the log, not for the client.
    ///
    /// ```
    /// # use tower_redis_session::guard::{Denied, DeniedReason};
    /// assert!(Denied::new(DeniedReason::Stale).error().is_none());
    /// ```
    #[must_use]
    pub const fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// The status that says so (RFC 9110 section 15).
    ///
    /// ```
    /// # use tower_redis_session::guard::{Denied, DeniedReason};
    /// assert_eq!(Denied::new(DeniedReason::Unauthenticated).status(), 401);
    /// ```
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.reason {
            DeniedReason::Unauthenticated | DeniedReason::Expired | DeniedReason::Stale => {
                StatusCode::UNAUTHORIZED
            }
            DeniedReason::Forbidden | DeniedReason::NoPlatform => StatusCode::FORBIDDEN,
            DeniedReason::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            DeniedReason::Failed => {
                self.error().map_or(StatusCode::INTERNAL_SERVER_ERROR, Error::status)
            }
        }
    }

    /// A word for clients that read no prose; it stays what it is.
    ///
    /// ```
    /// # use tower_redis_session::guard::{Denied, DeniedReason};
    /// assert_eq!(Denied::new(DeniedReason::NoPlatform).code(), "platform_required");
    /// ```
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.reason {
            DeniedReason::Unauthenticated => "unauthenticated",
            DeniedReason::Expired => "session_expired",
            DeniedReason::Stale => "reauthentication_required",
            DeniedReason::Forbidden => "forbidden",
            DeniedReason::NoPlatform => "platform_required",
            DeniedReason::Unavailable => "unavailable",
            DeniedReason::Failed => "session_failed",
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        (self.reason == DeniedReason::Unavailable).then_some(Duration::from_secs(1))
    }
}
