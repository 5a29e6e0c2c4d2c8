//! Cookie domain by the request's host, for a service under several domains.

use std::borrow::Cow;

use http::{Request, header::HOST, uri::Authority};

use crate::{
    error::ConfigError,
    transport::cookie::{CookieConfig, DomainPlace},
};

impl CookieConfig {
    /// Sends the cookie to subdomains too, with the one of `domains` that contains the request's
    /// host; of several the longest. For tenants with domains of their own. A request for any other
    /// host, without a host, or with two `Host` headers gets a cookie for its host only, never one
    /// for another domain. Not with [`domain`](Self::domain), nor with a `__Host-` name. Defaults
    /// to none.
    ///
    /// The host is that of the request target, otherwise of `Host` (RFC 9112 section 3.2.2),
    /// without the port. `X-Forwarded-Host` is not trusted: a proxy has to pass `Host` on.
    ///
    /// Deployment caveat: this chooses where browsers send the cookie. It does not bind a session
    /// to a tenant: a client can send its own token to another domain manually.
    ///
    /// ```
    /// # use tower_redis_session::CookieConfig;
    /// let cookie = CookieConfig::new("__Secure-id").domains(["a.example", "b.example"]);
    /// assert!(cookie.check().is_ok());
    /// assert!(cookie.domain("c.example").check().is_err());
    /// ```
    pub fn domains<D: Into<String>>(mut self, domains: impl IntoIterator<Item = D>) -> Self {
        self.domains = domains.into_iter().map(Into::into).collect();
        self
    }

    pub(super) fn check_domains(&self) -> Result<(), ConfigError> {
        if !self.domains.is_empty() && self.domain.is_some() {
            return Err(ConfigError::new(
                "cookie domains",
                "cannot be combined with a single domain",
            ));
        }
        let one = |domain: &String| self.clone().at_domain(domain).check();
        let checked = self.domains.iter().try_for_each(one);
        checked.map_err(|error| error.named("cookie domains"))
    }

    /// The domain of `request`.
    pub(crate) fn place_of<B>(&self, request: &Request<B>) -> DomainPlace {
        if self.domains.is_empty() {
            return DomainPlace::default();
        }
        let Some(authority) = authority(request) else { return DomainPlace::default() };
        let host = authority.host();
        let host = host.strip_suffix('.').unwrap_or(host);
        let places = self.domains.iter().enumerate();
        let place = places.filter(|(_, domain)| is_within(host, domain));
        DomainPlace(place.max_by_key(|(_, domain)| domain.len()).map(|(place, _)| place))
    }

    /// The cookie for that domain, or for the host only.
    pub(crate) fn at(&self, place: DomainPlace) -> Cow<'_, Self> {
        match place.0.and_then(|place| self.domains.get(place)) {
            Some(domain) => Cow::Owned(self.clone().at_domain(domain)),
            None => Cow::Borrowed(self),
        }
    }

    fn at_domain(self, domain: &str) -> Self {
        Self { domains: Vec::new(), domain: Some(domain.to_owned()), ..self }
    }
}

/// Whether `host` is `domain` or below it.
fn is_within(host: &str, domain: &str) -> bool {
    let Some(at) = host.len().checked_sub(domain.len()) else { return false };
    let (above, own) = host.as_bytes().split_at(at);
    own.eq_ignore_ascii_case(domain.as_bytes()) && (above.is_empty() || above.ends_with(b"."))
}

/// Authority of the request: that of the target takes precedence over `Host`.
fn authority<B>(request: &Request<B>) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next()?;
    // Fails closed: with two it is unknown which one a proxy used.
    if hosts.next().is_some() {
        return None;
    }
    Authority::try_from(host.as_bytes()).ok()
}
