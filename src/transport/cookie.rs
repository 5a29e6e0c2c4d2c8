//! The session cookie: name, attributes, and parsing.
//!
//! | file | holds |
//! |---|---|
//! | `attributes` | validation of the configuration |
//! | `domains` | the domain by the request's host |
//! | `former` | the cookie that this one has replaced |
//! | `parse` | finding tokens in a request |

use cookie::{Cookie, CookieBuilder};
use http::HeaderValue;

use crate::{error::ConfigError, session::token::Token};

mod attributes;
mod domains;
mod former;
mod parse;

#[cfg(feature = "import")]
pub(crate) use crate::transport::cookie::parse::values;
pub(crate) use crate::transport::cookie::parse::{TOKENS_MAX, find};

/// Browsers' limit on name and value together (RFC 6265bis section 5.6).
const PAIR_MAX: usize = 4096;
/// Browsers' limit on the age of a cookie: 400 days (RFC 6265bis section 5.5).
const AGE_MAX: u64 = 34_560_000;

/// Name and attributes of the session cookie.
///
/// The default is `__Host-session; Secure; HttpOnly; SameSite=Lax; Path=/` without `Max-Age`: a
/// browser session cookie. Methods that weaken it are named `insecure_..`; contradictory attributes
/// fail at `build` (RFC 6265bis section 4.1.3).
///
/// ```
/// use tower_redis_session::{CookieConfig, SameSite};
///
/// let cookie = CookieConfig::new("__Secure-shop").domain("example.org");
/// let cookie = cookie.same_site(SameSite::Strict);
/// assert!(cookie.check().is_ok());
/// assert!(CookieConfig::new("__Host-shop").domain("example.org").check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct CookieConfig {
    name: String,
    domain: Option<String>,
    domains: Vec<String>,
    path: String,
    same_site: SameSite,
    secure: bool,
    http_only: bool,
    partitioned: bool,
    persistent: bool,
    former: Option<Box<CookieConfig>>,
}

/// Index of the request's domain in the list of domains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DomainPlace(Option<usize>);

/// Which cross-site requests carry the cookie (RFC 6265bis section 5.6.7). No value replaces
/// protection against request forgery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// None.
    Strict,
    /// Top-level navigations with a safe method.
    Lax,
    /// All; requires `Secure`.
    None,
}

impl CookieConfig {
    /// A cookie of that name with the safe attributes. A name that starts with `__Host-` or
    /// `__Secure-` must meet the browsers' rules for that prefix.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert_eq!(CookieConfig::new("__Host-id").name(), "__Host-id");
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            domain: None,
            domains: Vec::new(),
            path: "/".into(),
            same_site: SameSite::Lax,
            secure: true,
            http_only: true,
            partitioned: false,
            persistent: false,
            former: None,
        }
    }

    /// A cookie named `session` that is also sent over plain HTTP, for development: the default one
    /// is `Secure`, and never sent back without TLS by clients that are not browsers, nor by
    /// browsers except to loopback. An attacker on the network can steal the session.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert_eq!(CookieConfig::insecure_http().name(), "session");
    /// assert!(CookieConfig::insecure_http().check().is_ok());
    /// ```
    pub fn insecure_http() -> Self {
        Self::new("session").insecure_allow_plain_http()
    }

    /// The name. Defaults to `__Host-session`.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert_eq!(CookieConfig::default().name(), "__Host-session");
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends the cookie to subdomains of `domain` too; not with a `__Host-` name. Defaults to the
    /// host that set it only.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert!(CookieConfig::new("id").domain("example.org").check().is_ok());
    /// ```
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sends the cookie for paths below `path` only; not with a `__Host-` name. Defaults to `/`.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert!(CookieConfig::new("id").path("/app").check().is_ok());
    /// ```
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Which cross-site requests carry the cookie. Defaults to `Lax`.
    ///
    /// ```
    /// # use tower_redis_session::{CookieConfig, SameSite};
    /// assert!(CookieConfig::default().same_site(SameSite::Strict).check().is_ok());
    /// ```
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Stores the cookie separately for each top-level site (CHIPS), for pages inside frames.
    /// Defaults to off.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert!(CookieConfig::default().partitioned().check().is_ok());
    /// ```
    pub fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    /// Makes every cookie persistent, with `Max-Age` up to the session's absolute timeout (400 days
    /// at most). The server never relies on it. Defaults to off; for single sessions see
    /// [`SessionExpiry::remembered`](crate::SessionExpiry::remembered).
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert!(CookieConfig::default().persistent().check().is_ok());
    /// ```
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Sends the cookie without encryption too, so an attacker on the network can steal the
    /// session. Only for plain HTTP on a private network; browsers treat loopback as secure anyway.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert!(CookieConfig::new("id").insecure_allow_plain_http().check().is_ok());
    /// assert!(CookieConfig::default().insecure_allow_plain_http().check().is_err());
    /// ```
    pub fn insecure_allow_plain_http(mut self) -> Self {
        self.secure = false;
        self
    }

    /// Makes the cookie readable by scripts, so an injected script can steal the session.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert!(CookieConfig::new("id").insecure_allow_scripts().check().is_ok());
    /// ```
    pub fn insecure_allow_scripts(mut self) -> Self {
        self.http_only = false;
        self
    }

    /// Whether browsers accept the cookie as configured. The layer's `build` checks the same.
    ///
    /// # Errors
    ///
    /// The attribute that is malformed or contradicts another.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// let error = CookieConfig::new("id").path("app").check().unwrap_err();
    /// assert_eq!(error.to_string(), "cookie path: does not start with /");
    /// ```
    pub fn check(&self) -> Result<(), ConfigError> {
        attributes::check(self)
    }

    /// The additional cookie of a visitor without a session: under another name, never readable by
    /// scripts, never persistent.
    pub(crate) fn for_visitors(&self) -> Self {
        let name = format!("{}_csrf", self.name);
        let former = self.former.as_ref().map(|former| Box::new(former.for_visitors()));
        Self { name, http_only: true, persistent: false, former, ..self.clone() }
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    pub(crate) fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// The header that sets `token`; `max_age` in seconds is used if the cookie is persistent.
    pub(crate) fn set(
        &self,
        token: &Token,
        max_age: Option<u64>,
        remembered: bool,
    ) -> Option<HeaderValue> {
        let mut cookie = self.attributes(token.encode());
        if self.persistent || remembered {
            let seconds = max_age.unwrap_or(AGE_MAX).clamp(1, AGE_MAX);
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            cookie = cookie.max_age(time::Duration::seconds(seconds));
        }
        header(cookie)
    }

    /// The header that removes the cookie, with every attribute of the one that set it: browsers
    /// ignore any other for a prefixed name (RFC 6265bis section 5.7).
    pub(crate) fn removal(&self) -> Option<HeaderValue> {
        let epoch = time::OffsetDateTime::UNIX_EPOCH;
        let cookie = self.attributes(String::new());
        header(cookie.max_age(time::Duration::ZERO).expires(epoch))
    }

    fn attributes(&self, value: String) -> CookieBuilder<'_> {
        let same_site = match self.same_site {
            SameSite::Strict => cookie::SameSite::Strict,
            SameSite::Lax => cookie::SameSite::Lax,
            SameSite::None => cookie::SameSite::None,
        };
        let mut cookie = Cookie::build((self.name.as_str(), value))
            .path(self.path.as_str())
            .same_site(same_site)
            .secure(self.secure)
            .http_only(self.http_only)
            .partitioned(self.partitioned);
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(domain.as_str());
        }
        cookie
    }
}

fn header(cookie: CookieBuilder<'_>) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(cookie.to_string()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self::new("__Host-session")
    }
}

#[cfg(test)]
#[path = "cookie/tests.rs"]
mod tests;
