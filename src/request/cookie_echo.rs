//! Warning, once per process, if a cookie that was just set is not sent back because it is `Secure`
//! and the connection is plain HTTP.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use http::{
    HeaderMap, HeaderName, Request,
    header::{ACCEPT_LANGUAGE, FORWARDED, HOST, ORIGIN, USER_AGENT, VIA},
    uri::Scheme,
};

/// Number of requests checked per process: a developer meets this with the first few.
const LOOKED_AT: u32 = 1_000;

/// Headers that proxies add. Behind a proxy it is unknown whether the client uses TLS, unless a
/// header says so.
const PROXIED: [HeaderName; 4] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Browsers send it to trustworthy origins only, and those receive `Secure` cookies too.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

static WARNED: AtomicBool = AtomicBool::new(false);

/// The last client that received a cookie over plain HTTP, until any cookie is sent back.
#[derive(Debug)]
pub(crate) struct CookieEcho {
    /// Number of requests still to be checked; 0 once a cookie was sent back.
    left: AtomicU32,
    given: AtomicU64,
}

/// A cheap fingerprint of the client; none for requests that are not checked, or may have come over
/// TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PlainClient(u64);

impl CookieEcho {
    /// `needs_tls`: the cookie is `Secure`.
    pub(crate) fn new(needs_tls: bool) -> Self {
        let left = if needs_tls { LOOKED_AT } else { 0 };
        Self { left: AtomicU32::new(left), given: AtomicU64::new(0) }
    }

    /// One atomic load per request, except for the first ones.
    pub(crate) fn client<B>(&self, request: &Request<B>) -> PlainClient {
        match self.left.load(Relaxed) {
            0 => PlainClient::default(),
            left => {
                // Two concurrent requests may count as one, which is harmless.
                let _ = self.left.compare_exchange(left, left - 1, Relaxed, Relaxed);
                if is_plain(request) { PlainClient::of(request) } else { PlainClient::default() }
            }
        }
    }

    pub(crate) fn gave(&self, client: PlainClient) {
        if client != PlainClient::default() {
            self.given.store(client.0, Relaxed);
        }
    }

    /// A cookie was sent back: cookies work.
    pub(crate) fn came_back(&self) {
        if self.left.load(Relaxed) != 0 {
            self.left.store(0, Relaxed);
            self.given.store(0, Relaxed);
        }
    }

    /// A request that accesses its session has no cookie. Returns whether it should have had one.
    pub(crate) fn came_without(&self, client: PlainClient) -> bool {
        let is_missing = client != PlainClient::default() && self.given.load(Relaxed) == client.0;
        if is_missing && !WARNED.swap(true, Relaxed) {
            tracing::warn!(
                "session cookie not sent back: it is Secure, and clients do not send it over plain \
                 HTTP. For development use SESSION_INSECURE_HTTP=true, or \
                 CookieConfig::insecure_http()"
            );
        }
        is_missing
    }
}

impl PlainClient {
    fn of<B>(request: &Request<B>) -> Self {
        let mut hasher = DefaultHasher::new();
        for name in [HOST, USER_AGENT, ACCEPT_LANGUAGE] {
            request.headers().get(name).hash(&mut hasher);
        }
        Self(hasher.finish() | 1)
    }
}

/// Whether the client certainly connected without TLS.
fn is_plain<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let says = |name: &HeaderName, start: &[u8]| {
        headers.get(name).is_some_and(|value| value.as_bytes().starts_with(start))
    };
    if request.uri().scheme() == Some(&Scheme::HTTPS) || headers.contains_key(FETCH_SITE) {
        return false;
    }
    if headers.contains_key(FORWARDED_PROTO) {
        return headers.get(FORWARDED_PROTO).is_some_and(|value| value == "http");
    }
    if PROXIED.iter().any(|name| headers.contains_key(name)) || says(&ORIGIN, b"https:") {
        return false;
    }
    says(&ORIGIN, b"http:") || is_of_a_developer(request.uri().host(), headers)
}

/// An IP address, or a host name for which no certificate is issued.
fn is_of_a_developer(host: Option<&str>, headers: &HeaderMap) -> bool {
    let Some(host) = host.or_else(|| headers.get(HOST)?.to_str().ok()) else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    host.starts_with('[') || !name.contains('.') || name.parse::<std::net::Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use crate::request::cookie_echo::*;

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let request = Request::get("/").header("user-agent", "python-requests/2");
        let with = |request: http::request::Builder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        headers.iter().fold(request, with).body(()).unwrap()
    }

    #[test]
    fn only_a_client_that_came_without_tls_is_missed() {
        let local = ("host", "127.0.0.1:3000");
        for (name, headers, missed) in [
            ("an address", &[local][..], true),
            ("an address of the sixth version", &[("host", "[::1]:3000")], true),
            ("a name of the house", &[("host", "devbox:8080")], true),
            ("a public name", &[("host", "shop.example:8080")], false),
            (
                "a public name, from a page",
                &[("host", "a.example"), ("origin", "http://a.example")],
                true,
            ),
            ("a page over TLS", &[local, ("origin", "https://a.example")], false),
            ("a proxy that says nothing", &[local, ("x-forwarded-for", "192.0.2.1")], false),
            ("a proxy with TLS", &[local, ("x-forwarded-proto", "https")], false),
            ("a proxy without", &[local, ("via", "1.1 p"), ("x-forwarded-proto", "http")], true),
            ("a browser at loopback", &[local, ("sec-fetch-site", "none")], false),
        ] {
            let echo = CookieEcho::new(true);
            let request = request(headers);
            assert!(!echo.came_without(echo.client(&request)), "{name}: nothing was set");
            echo.gave(echo.client(&request));
            assert_eq!(echo.came_without(echo.client(&request)), missed, "{name}");
        }
    }

    #[test]
    fn nobody_is_missed_once_a_cookie_came_back_or_by_another_client() {
        let request = request(&[("host", "127.0.0.1")]);
        let echo = CookieEcho::new(true);
        echo.gave(echo.client(&request));
        let other = Request::get("/").header("host", "127.0.0.1").body(()).unwrap();
        assert!(!echo.came_without(echo.client(&other)));
        echo.came_back();
        assert!(!echo.came_without(echo.client(&request)));
        let plain = CookieEcho::new(false);
        plain.gave(plain.client(&request));
        assert!(!plain.came_without(plain.client(&request)));
    }

    #[test]
    fn a_process_looks_at_so_many_requests_and_no_more() {
        let request = request(&[("host", "127.0.0.1")]);
        let echo = CookieEcho::new(true);
        for _ in 0..LOOKED_AT {
            assert_ne!(echo.client(&request), PlainClient::default());
        }
        assert_eq!(echo.client(&request), PlainClient::default());
    }
}
