//! Error types: `Error`, opaque with a kind, and `ConfigError` for settings.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::StatusCode;

type Source = Arc<dyn StdError + Send + Sync>;

/// Why a session could not be used. Never holds a secret: safe to log and to print.
///
/// ```
/// use tower_redis_session::{Error, ErrorKind};
///
/// let error = Error::unavailable(std::io::Error::other("connection refused"));
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// assert_eq!(error.status(), http::StatusCode::SERVICE_UNAVAILABLE);
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    text: Cow<'static, str>,
    source: Option<Source>,
}

/// The kinds of [`Error`], for callers to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no session: no cookie, or no record for it in the store.
    Absent,
    /// The session's idle or absolute timeout has passed.
    Expired,
    /// All sessions of the user were revoked while the user signed in; or a guard has ended the
    /// session, since its user was deactivated or has another stamp.
    Revoked,
    /// The user has no right to what was requested.
    Forbidden,
    /// The store could not be reached in time, or did not report whether a write happened.
    Unavailable,
    /// The store is reachable but not as configured: wrong password, a replica, not a Redis.
    Misconfigured,
    /// The stored bytes cannot be decoded. They are kept unchanged until logout or login.
    Corrupt,
    /// The stored bytes are of a newer version of this crate. They are kept unchanged.
    Unsupported,
    /// The record would exceed the configured limit; the stored record is unchanged.
    TooLarge,
    /// The handle was used after its response was sent, or the change needs a cookie and the head
    /// of the response has been sent.
    Closed,
    /// The session has moved to another id, which the client has received or is being sent: only a
    /// retry with the new token succeeds.
    Moved,
    /// Several cookies of the session's name each open a session; none is used until a sign-in.
    Ambiguous,
    /// A value could not be serialized to JSON, or the JSON not deserialized to the requested type.
    Value,
    /// An argument is out of its range; the text names it.
    Invalid,
}

impl Error {
    /// An error of `kind` with the caller's text: lower case, no full stop, no secret.
    ///
    /// ```
    /// # use tower_redis_session::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Invalid, "the platform's name is empty");
    /// assert_eq!(error.to_string(), "the platform's name is empty");
    /// ```
    pub fn new(kind: ErrorKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, text: text.into(), source: None }
    }

    /// An `Unavailable` error with its cause.
    ///
    /// ```
    /// # use tower_redis_session::{Error, ErrorKind};
    /// let error = Error::unavailable(std::io::Error::other("no route"));
    /// assert!(std::error::Error::source(&error).is_some());
    /// ```
    pub fn unavailable(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Unavailable, "the session store is unavailable").with_source(cause)
    }

    /// The same error with a cause behind it.
    ///
    /// ```
    /// # use tower_redis_session::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Misconfigured, "wrong password")
    ///     .with_source(std::io::Error::other("WRONGPASS"));
    /// assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "WRONGPASS");
    /// ```
    #[must_use]
    pub fn with_source(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(cause.into()));
        self
    }

    /// The kind of the error, to match on.
    ///
    /// ```
    /// # use tower_redis_session::{Error, ErrorKind};
    /// assert_eq!(Error::new(ErrorKind::Absent, "no session").kind(), ErrorKind::Absent);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The HTTP status that fits (RFC 9110 section 15): 401 for absent, expired, revoked and
    /// ambiguous, 403 for forbidden, 409 for moved, 413 for too large, 503 where the store is at
    /// fault, else 500.
    ///
    /// ```
    /// # use tower_redis_session::{Error, ErrorKind};
    /// assert_eq!(Error::new(ErrorKind::Absent, "no session").status(), 401);
    /// ```
    pub fn status(&self) -> StatusCode {
        match self.kind {
            ErrorKind::Absent | ErrorKind::Expired | ErrorKind::Revoked | ErrorKind::Ambiguous => {
                StatusCode::UNAUTHORIZED
            }
            ErrorKind::Moved => StatusCode::CONFLICT,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Unavailable | ErrorKind::Misconfigured | ErrorKind::Unsupported => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ErrorKind::Corrupt | ErrorKind::Closed | ErrorKind::Value | ErrorKind::Invalid => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// How long a client should wait before it tries again; `None` where a retry cannot help.
    ///
    /// ```
    /// # use tower_redis_session::{Error, ErrorKind};
    /// let error = Error::unavailable("down");
    /// assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(1)));
    /// assert_eq!(Error::new(ErrorKind::Absent, "no session").retry_after(), None);
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(Duration::from_secs(1))
    }

    /// Whether stored bytes exist and cannot be decoded.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self.kind, ErrorKind::Corrupt | ErrorKind::Unsupported)
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the response of this session handle has been sent")
    }

    pub(crate) fn ended() -> Self {
        Self::new(ErrorKind::Absent, "the session ended during the request")
    }

    pub(crate) fn moved() -> Self {
        Self::new(ErrorKind::Moved, "the session moved to another id during the request")
    }

    pub(crate) fn absent() -> Self {
        Self::new(ErrorKind::Absent, "there is no session")
    }

    /// The library's own text may quote the value, which may be a secret: only its position is
    /// reported.
    pub(crate) fn value(error: serde_json::Error) -> Self {
        let (what, line, column) = (error.classify(), error.line(), error.column());
        Self::new(ErrorKind::Value, "the value does not fit its type")
            .with_source(format!("{what:?} error at line {line} column {column}"))
    }

    /// The same with the key of the value.
    pub(crate) fn of_key(self, key: &str) -> Self {
        Self { text: format!("{} (key {key:?})", self.text).into(), ..self }
    }

    pub(crate) fn random_source(error: getrandom::Error) -> Self {
        Self::unavailable(format!("the system's random source failed: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.kind).field("text", &self.text);
        debug.field("source", &self.source.as_ref().map(ToString::to_string)).finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error with its causes, for a log line.
pub(crate) struct Causes<'a>(pub(crate) &'a Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = StdError::source(self.0);
        while let Some(error) = cause {
            let said = error.to_string();
            // Some libraries print their source in their own text.
            if !text.ends_with(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        f.write_str(&text)
    }
}

/// An invalid setting: its name, and what is wrong with it. Never contains the value of a secret.
///
/// ```
/// use tower_redis_session::CookieConfig;
///
/// let error = CookieConfig::new("__Host-id").domain("example.org").check().unwrap_err();
/// assert_eq!(error.setting(), "cookie domain");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    setting: Cow<'static, str>,
    fault: Cow<'static, str>,
}

impl ConfigError {
    pub(crate) fn new(
        setting: impl Into<Cow<'static, str>>,
        fault: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { setting: setting.into(), fault: fault.into() }
    }

    /// What is wrong with the setting.
    #[cfg(feature = "tls")]
    pub(crate) fn fault(&self) -> &str {
        &self.fault
    }

    /// The same fault under another name.
    pub(crate) fn named(self, setting: &'static str) -> Self {
        Self { setting: setting.into(), ..self }
    }

    /// The invalid setting: its name in the builder, or the name of the environment variable.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert_eq!(CookieConfig::new("a b").check().unwrap_err().setting(), "cookie name");
    /// ```
    pub fn setting(&self) -> &str {
        &self.setting
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.fault)
    }
}

impl StdError for ConfigError {}
