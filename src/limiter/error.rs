//! Errors of a limiter.

use std::{error::Error as StdError, fmt, time::Duration};

use http::StatusCode;

use crate::{error::Error, response::HttpError, telemetry::ThrottledBy};

/// An attempt that has to wait. Its response, 429 with `Retry-After`, is the same whatever
/// throttled it, and for accounts that do not exist.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_redis_session::{
///     MemoryStore,
///     limiter::{AttemptError, AttemptLimit, SignInLimiter, ThrottledBy},
/// };
///
/// let limiter = SignInLimiter::builder(MemoryStore::new()).pair(AttemptLimit::new(1)).build()?;
/// let _ = limiter.begin("alice", "192.0.2.1".parse()?).await?;
/// let again = limiter.begin("alice", "192.0.2.1".parse()?).await;
/// let Err(AttemptError::Throttled(throttled)) = again else { panic!("admitted") };
/// assert_eq!(throttled.retry_after().as_secs(), 1);
/// assert_eq!(throttled.by(), ThrottledBy::Account);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    by: ThrottledBy,
    wait: Duration,
}

impl Throttled {
    pub(super) const fn new(by: ThrottledBy, wait: Duration) -> Self {
        Self { by, wait }
    }

    /// How long until the next attempt is admitted, rounded up to whole seconds. One of several
    /// concurrent attempts is then admitted.
    ///
    /// ```
    /// # use tower_redis_session::limiter::Throttled;
    /// fn header(throttled: &Throttled) -> u64 {
    ///     throttled.retry_after().as_secs()
    /// }
    /// ```
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        let up = u64::from(self.wait.subsec_nanos() > 0);
        Duration::from_secs(self.wait.as_secs().saturating_add(up).max(1))
    }

    /// Which limit throttled it: for logs, not for the response.
    ///
    /// ```
    /// # use tower_redis_session::limiter::{Throttled, ThrottledBy};
    /// fn is_spraying(throttled: &Throttled) -> bool {
    ///     throttled.by() == ThrottledBy::Network
    /// }
    /// ```
    #[must_use]
    pub const fn by(&self) -> ThrottledBy {
        self.by
    }
}

impl fmt::Display for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many attempts")
    }
}

impl StdError for Throttled {}

impl HttpError for Throttled {
    fn status(&self) -> StatusCode {
        StatusCode::TOO_MANY_REQUESTS
    }

    fn code(&self) -> &'static str {
        "too_many_attempts"
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(Self::retry_after(self))
    }

    /// 8 `RESOURCE_EXHAUSTED`.
    fn grpc_code(&self) -> i32 {
        8
    }
}

/// Why an attempt did not begin: the password must not be checked.
///
/// ```
/// use tower_redis_session::{Error, limiter::AttemptError, response::HttpError};
///
/// let error = AttemptError::from(Error::unavailable("down"));
/// assert_eq!((error.status().as_u16(), error.code()), (503, "unavailable"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AttemptError {
    /// It has to wait: 429.
    Throttled(Throttled),
    /// The store cannot count it, or the client's address is not known: 503.
    Store(Error),
}

impl From<Error> for AttemptError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl AttemptError {
    fn cause(&self) -> &dyn HttpError {
        match self {
            Self::Throttled(throttled) => throttled,
            Self::Store(error) => error,
        }
    }
}

impl HttpError for AttemptError {
    fn status(&self) -> StatusCode {
        self.cause().status()
    }

    fn code(&self) -> &'static str {
        self.cause().code()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.cause().retry_after()
    }

    fn grpc_code(&self) -> i32 {
        self.cause().grpc_code()
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.cause(), f)
    }
}

impl StdError for AttemptError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause().source()
    }
}
