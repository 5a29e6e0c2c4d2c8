//! Credentials of a platform; redacted in `Debug`.

use std::fmt;

/// The secret of a platform, such as an access token. Redacted in `Debug`; not serializable and not
/// comparable.
///
/// ```
/// use tower_redis_session::directory::Credentials;
///
/// let token = Credentials::new("mQ3x..");
/// assert_eq!(token.expose(), "mQ3x..");
/// assert_eq!(format!("{token:?}"), "Credentials(..)");
/// ```
#[derive(Clone)]
pub struct Credentials(Box<str>);

impl Credentials {
    /// Wraps a secret. Encode several, such as a token and a client key, as JSON.
    ///
    /// ```
    /// # use tower_redis_session::directory::Credentials;
    /// let both = Credentials::new(r#"{"id":"app","secret":"mQ3x.."}"#);
    /// assert!(both.expose().starts_with('{'));
    /// ```
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into().into_boxed_str())
    }

    /// The secret itself, to be sent to the platform only.
    ///
    /// ```
    /// # use tower_redis_session::directory::Credentials;
    /// assert_eq!(Credentials::new("mQ3x..").expose().len(), 6);
    /// ```
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}
