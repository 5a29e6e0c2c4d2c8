//! Transport of the token: in a cookie, or in a header for clients without cookies.

use http::{
    HeaderName, HeaderValue, Request,
    header::{
        AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST,
        PROXY_AUTHORIZATION, SET_COOKIE, TRANSFER_ENCODING, VARY,
    },
};

use crate::{
    error::ConfigError,
    session::token::Token,
    transport::cookie::{self, CookieConfig, DomainPlace, TOKENS_MAX},
};

static COOKIE_HEADER: HeaderName = COOKIE;
/// Headers that have another meaning in requests or responses.
const RESERVED: &[HeaderName] = &[
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    COOKIE,
    SET_COOKIE,
    VARY,
    CACHE_CONTROL,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    TRANSFER_ENCODING,
    CONNECTION,
    HOST,
];
const SESSION_TOKEN: HeaderName = HeaderName::from_static("session-token");

/// How clients send the token of their session, and where a response returns a new one.
///
/// A layer has one transport, so that a page's script can never choose the weaker one. A service
/// for browsers and other clients uses two layers on one store: their sessions are in the same
/// list.
///
/// ```
/// use tower_redis_session::{MemoryStore, RedisSessionLayer, Transport};
///
/// let api = RedisSessionLayer::builder(MemoryStore::new()).transport(Transport::bearer());
/// assert!(api.build().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Transport(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Cookie(CookieConfig),
    Header { request: HeaderName, bearer: bool, response: HeaderName },
}

impl Transport {
    /// A cookie. This is the default.
    ///
    /// ```
    /// # use tower_redis_session::{CookieConfig, MemoryStore, RedisSessionLayer, Transport};
    /// let transport = Transport::cookie(CookieConfig::new("__Host-shop"));
    /// # RedisSessionLayer::builder(MemoryStore::new()).transport(transport).build().unwrap();
    /// ```
    #[must_use]
    pub const fn cookie(cookie: CookieConfig) -> Self {
        Self(Kind::Cookie(cookie))
    }

    /// `Authorization: Bearer` with the token (RFC 6750, section 2.1). A new token is returned in
    /// the response header `Session-Token`; the response to a logout has it with an empty value.
    /// Cookies are neither read nor sent, so other sites cannot send requests in the client's name.
    ///
    /// ```
    /// # use tower_redis_session::Transport;
    /// let transport = Transport::bearer();
    /// ```
    #[must_use]
    pub const fn bearer() -> Self {
        Self(Kind::Header { request: AUTHORIZATION, bearer: true, response: SESSION_TOKEN })
    }

    /// A header of the application, containing only the token, in requests and responses alike.
    ///
    /// ```
    /// # use tower_redis_session::Transport;
    /// let transport = Transport::header(http::HeaderName::from_static("x-session"));
    /// ```
    #[must_use]
    pub fn header(name: HeaderName) -> Self {
        Self(Kind::Header { request: name.clone(), bearer: false, response: name })
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match &self.0 {
            Kind::Cookie(cookie) => cookie.check(),
            Kind::Header { request, bearer: false, .. } if RESERVED.contains(request) => {
                Err(ConfigError::new("transport", "the header has another meaning in HTTP"))
            }
            Kind::Header { .. } => Ok(()),
        }
    }

    /// The request header that carries the token, and on which responses vary.
    pub(crate) fn request_header(&self) -> &HeaderName {
        match &self.0 {
            Kind::Cookie(_) => &COOKIE_HEADER,
            Kind::Header { request, .. } => request,
        }
    }

    /// The cookie of a visitor without a session; `None` if clients send nothing automatically.
    pub(crate) fn visitor_cookie(&self) -> Option<CookieConfig> {
        match &self.0 {
            Kind::Cookie(cookie) => Some(cookie.for_visitors()),
            Kind::Header { .. } => None,
        }
    }

    /// Whether browsers send the token automatically, also with cross-site requests.
    pub(crate) fn is_ambient(&self) -> bool {
        matches!(self.0, Kind::Cookie(_))
    }

    /// Whether clients send it back over TLS only.
    pub(crate) fn needs_tls(&self) -> bool {
        matches!(&self.0, Kind::Cookie(cookie) if cookie.is_secure())
    }

    /// The name of the cookie or header that carries the token.
    pub(crate) fn name(&self) -> &str {
        match &self.0 {
            Kind::Cookie(cookie) => cookie.name(),
            Kind::Header { request, .. } => request.as_str(),
        }
    }

    /// Every well-formed token in `lines` of that header, up to the limit.
    pub(crate) fn tokens<'a>(&self, lines: impl Iterator<Item = &'a [u8]>) -> Vec<Token> {
        match &self.0 {
            Kind::Cookie(cookie) => cookie::find(lines, cookie.name()),
            Kind::Header { bearer, .. } => lines
                .filter_map(|line| if *bearer { credentials(line) } else { Some(line) })
                .filter_map(|text| Token::parse(text.trim_ascii()))
                .take(TOKENS_MAX)
                .collect(),
        }
    }

    /// The cookie domain of `request`.
    pub(crate) fn place_of<B>(&self, request: &Request<B>) -> DomainPlace {
        match &self.0 {
            Kind::Cookie(cookie) => cookie.place_of(request),
            Kind::Header { .. } => DomainPlace::default(),
        }
    }

    /// The cookie, if it has replaced a former one.
    pub(crate) fn successor(&self) -> Option<&CookieConfig> {
        match &self.0 {
            Kind::Cookie(cookie) if cookie.has_former() => Some(cookie),
            _ => None,
        }
    }

    /// The header that sets `token`; `max_age` in seconds, for a persistent cookie.
    pub(crate) fn set(
        &self,
        token: &Token,
        max_age: Option<u64>,
        remembered: bool,
        place: DomainPlace,
    ) -> Option<(HeaderName, HeaderValue)> {
        match &self.0 {
            Kind::Cookie(cookie) => {
                Some((SET_COOKIE, cookie.at(place).set(token, max_age, remembered)?))
            }
            Kind::Header { response, .. } => {
                let mut value = HeaderValue::try_from(token.encode()).ok()?;
                value.set_sensitive(true);
                Some((response.clone(), value))
            }
        }
    }

    /// Whether the client keeps the token after the browser closes; with a header that is up to the
    /// client.
    pub(crate) fn lasts(&self, remembered: bool) -> bool {
        match &self.0 {
            Kind::Cookie(cookie) => remembered || cookie.is_persistent(),
            Kind::Header { .. } => false,
        }
    }

    /// The header that removes the token.
    pub(crate) fn removal(&self, place: DomainPlace) -> Option<(HeaderName, HeaderValue)> {
        match &self.0 {
            Kind::Cookie(cookie) => Some((SET_COOKIE, cookie.at(place).removal()?)),
            Kind::Header { response, .. } => Some((response.clone(), HeaderValue::from_static(""))),
        }
    }
}

impl Default for Transport {
    fn default() -> Self {
        Self::cookie(CookieConfig::default())
    }
}

/// The credentials after the scheme `Bearer`, in any letter case, and at least one space.
fn credentials(line: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = line.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest)
}
