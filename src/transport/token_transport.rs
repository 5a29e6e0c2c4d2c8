//! How a client carries its token: in a cookie, or in a header for clients that keep none.

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
/// Headers that say something else already, in a request or in a response.
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

/// How clients send the token of their session, and where a response hands out a new one.
///
/// A layer has one transport, so that a page's script can never choose the weaker. A service with
/// browsers and other clients has two layers on one store: their sessions stand in the same list.
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
    /// A cookie, as browsers keep it. This is the default.
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

    /// `Authorization: Bearer` with the token (RFC 6750, section 2.1). A new token comes in the
    /// response's `Session-Token`; an empty one tells that the token opens nothing any more.
    /// Cookies are neither read nor sent, so other sites can send no request in the client's name.
    ///
    /// ```
    /// # use tower_redis_session::Transport;
    /// let transport = Transport::bearer();
    /// ```
    #[must_use]
    pub const fn bearer() -> Self {
        Self(Kind::Header { request: AUTHORIZATION, bearer: true, response: SESSION_TOKEN })
    }

    /// A header of the application's, with nothing but the token, in requests and responses alike.
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
                Err(ConfigError::new("transport", "the header has a meaning of its own"))
            }
            Kind::Header { .. } => Ok(()),
        }
    }

    /// The header of requests that the token comes in, and on which answers depend.
    pub(crate) fn request_header(&self) -> &HeaderName {
        match &self.0 {
            Kind::Cookie(_) => &COOKIE_HEADER,
            Kind::Header { request, .. } => request,
        }
    }

    /// The cookie of a visitor without a session; none where clients send nothing unasked.
    pub(crate) fn visitor_cookie(&self) -> Option<CookieConfig> {
        match &self.0 {
            Kind::Cookie(cookie) => Some(cookie.for_visitors()),
            Kind::Header { .. } => None,
        }
    }

    /// Whether browsers send the token by themselves, also with requests that another site made.
    pub(crate) fn is_ambient(&self) -> bool {
        matches!(self.0, Kind::Cookie(_))
    }

    /// Whether it comes back over TLS only.
    pub(crate) fn needs_tls(&self) -> bool {
        matches!(&self.0, Kind::Cookie(cookie) if cookie.is_secure())
    }

    /// The name of the cookie or of the header that the token comes in.
    pub(crate) fn name(&self) -> &str {
        match &self.0 {
            Kind::Cookie(cookie) => cookie.name(),
            Kind::Header { request, .. } => request.as_str(),
        }
    }

    /// Every well-formed token in `lines` of that header, so many at most.
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

    /// Which of the cookie's domains `request` is for.
    pub(crate) fn place_of<B>(&self, request: &Request<B>) -> DomainPlace {
        match &self.0 {
            Kind::Cookie(cookie) => cookie.place_of(request),
            Kind::Header { .. } => DomainPlace::default(),
        }
    }

    /// The cookie, if its place was another cookie's.
    pub(crate) fn successor(&self) -> Option<&CookieConfig> {
        match &self.0 {
            Kind::Cookie(cookie) if cookie.has_former() => Some(cookie),
            _ => None,
        }
    }

    /// The header that hands `token` out; `max_age` in seconds, for a cookie that is to outlive the
    /// browser's end.
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

    /// Whether the client keeps the token longer than the browser runs; a header is the client's
    /// own.
    pub(crate) fn lasts(&self, remembered: bool) -> bool {
        match &self.0 {
            Kind::Cookie(cookie) => remembered || cookie.is_persistent(),
            Kind::Header { .. } => false,
        }
    }

    /// The header that takes the token away.
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

/// What follows the scheme `Bearer`, in any letter case, and at least one space.
fn credentials(line: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = line.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest)
}
