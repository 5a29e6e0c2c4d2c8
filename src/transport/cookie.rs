//! The cookie: its name and attributes, and how the token is found in a request.
//!
//! | file | holds |
//! |---|---|
//! | `attributes` | what a configuration must hold |
//! | `domains` | the domain by the request's host |
//! | `former` | the cookie that this one has taken the place of |
//! | `parse` | finding tokens in a request |

use cookie::{Cookie, CookieBuilder};
use http::HeaderValue;

use crate::{error::ConfigError, session::token::Token};

mod attributes;
mod domains;
mod former;
mod parse;

pub(crate) use crate::transport::cookie::parse::{TOKENS_MAX, find};

/// The browsers' bound on name and value together (RFC 6265bis section 5.6).
const PAIR_MAX: usize = 4096;
/// Cookies live no longer than 400 days (RFC 6265bis section 5.5).
const AGE_MAX: u64 = 34_560_000;

/// Name and attributes of the session cookie.
///
/// The default is `__Host-session; Secure; HttpOnly; SameSite=Lax; Path=/` and ends with the
/// browser. What weakens it has a name that says so; what contradicts itself does not build
/// (RFC 6265bis section 4.1.3).
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

/// The place in the list of the domain that a request's host belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DomainPlace(Option<usize>);

/// With which requests of other sites the browser sends the cookie (RFC 6265bis section 5.6.7).
/// None of them replaces protection against forged requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// With none.
    Strict,
    /// With top-level navigations that only read.
    Lax,
    /// With all; needs `Secure`.
    None,
}

impl CookieConfig {
    /// A cookie of that name with the safe attributes. A name that starts with `__Host-` or
    /// `__Secure-` is held to what browsers ask of it.
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

    /// A cookie named `session` that also goes over plain HTTP, for development: the default one is
    /// `Secure`, and clients that are no browser, as well as browsers at any address but
    /// loopback, never send it back without TLS. Anyone on the way can take the session.
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
    /// host that set it, and only that.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert!(CookieConfig::new("id").domain("example.org").check().is_ok());
    /// ```
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sends the cookie below `path` only; not with a `__Host-` name. Defaults to `/`.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert!(CookieConfig::new("id").path("/app").check().is_ok());
    /// ```
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// With which requests of other sites the browser sends it. Defaults to `Lax`.
    ///
    /// ```
    /// # use tower_redis_session::{CookieConfig, SameSite};
    /// assert!(CookieConfig::default().same_site(SameSite::Strict).check().is_ok());
    /// ```
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Keeps a jar for each top-level site (CHIPS), for pages inside frames. Defaults to off.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert!(CookieConfig::default().partitioned().check().is_ok());
    /// ```
    pub fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    /// Lets every cookie outlive the browser's end, by `Max-Age` up to the session's absolute end
    /// (400 days at most). The server never relies on it. Defaults to off; for some
    /// sessions only see [`SessionExpiry::remembered`](crate::SessionExpiry::remembered).
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert!(CookieConfig::default().persistent().check().is_ok());
    /// ```
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Sends the cookie without encryption too, so anyone on the way can take the session. Only
    /// for plain HTTP on a network of your own; browsers treat loopback as secure anyway.
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

    /// Lets scripts of the page read the cookie, so any script that gets in can take the session.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// assert!(CookieConfig::new("id").insecure_allow_scripts().check().is_ok());
    /// ```
    pub fn insecure_allow_scripts(mut self) -> Self {
        self.http_only = false;
        self
    }

    /// Whether browsers would take the cookie as configured; the layer's `build` asks the same.
    ///
    /// # Errors
    ///
    /// Names the attribute that is malformed or contradicts the rest.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// let error = CookieConfig::new("id").path("app").check().unwrap_err();
    /// assert_eq!(error.to_string(), "cookie path: does not start with /");
    /// ```
    pub fn check(&self) -> Result<(), ConfigError> {
        attributes::check(self)
    }

    /// The cookie beside it for a visitor without a session: under another name, never readable by
    /// scripts, and over with the browser.
    pub(crate) fn for_visitors(&self) -> Self {
        let name = format!("{}_csrf", self.name);
        Self { name, http_only: true, persistent: false, former: None, ..self.clone() }
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    pub(crate) fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// The header that hands `token` to the browser; `max_age` in seconds counts if it is to
    /// outlive the browser's end.
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

    /// The header that takes it away again, with every attribute of the one that set it: browsers
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
