//! Configuration of a CSRF layer, and its defaults.

use std::{fmt, sync::Arc, time::Duration};

use http::{
    HeaderName,
    header::{AUTHORIZATION, COOKIE, HOST, ORIGIN},
    request::Parts,
};

use crate::{
    csrf::{layer::CsrfLayer, rules::Rules},
    error::ConfigError,
    transport::origin::Origin,
};

/// Configures a [`CsrfLayer`]. The lifetime of tokens is set on the session layer
/// ([`RedisSessionLayerBuilder::csrf_lifetime`](crate::RedisSessionLayerBuilder::csrf_lifetime)),
/// since handlers verify tokens too.
#[must_use]
pub struct CsrfBuilder {
    rules: Rules,
    origins: Vec<String>,
}

impl CsrfLayer {
    /// Starts the configuration of a layer.
    ///
    /// ```
    /// # use tower_redis_session::csrf::CsrfLayer;
    /// assert!(CsrfLayer::builder().build().is_ok());
    /// ```
    pub fn builder() -> CsrfBuilder {
        CsrfBuilder::new()
    }
}

impl CsrfBuilder {
    fn new() -> Self {
        Self { rules: Rules::default(), origins: Vec::new() }
    }

    /// The header in which scripts send the token. Defaults to `x-csrf-token`.
    ///
    /// ```
    /// # use tower_redis_session::csrf::CsrfLayer;
    /// let header = http::HeaderName::from_static("x-xsrf-token");
    /// assert!(CsrfLayer::builder().header(header).build().is_ok());
    /// ```
    pub fn header(mut self, name: HeaderName) -> Self {
        self.rules.header = name;
        self
    }

    /// The field in which forms send the token. Defaults to `csrf_token`.
    ///
    /// ```
    /// # use tower_redis_session::csrf::CsrfLayer;
    /// assert!(CsrfLayer::builder().field("authenticity").build().is_ok());
    /// assert!(CsrfLayer::builder().field("").build().is_err());
    /// ```
    pub fn field(mut self, name: &str) -> Self {
        self.rules.field = name.into();
        self
    }

    /// Maximum size of a form that is read to find its token, in bytes; a larger one is rejected
    /// with status 413. A request with its token in the header is not read, so its size does not
    /// matter. From 128 bytes to 16 MiB. Defaults to 64 KiB.
    ///
    /// ```
    /// # use tower_redis_session::csrf::CsrfLayer;
    /// assert!(CsrfLayer::builder().max_form_size(1024 * 1024).build().is_ok());
    /// ```
    pub fn max_form_size(mut self, bytes: usize) -> Self {
        self.rules.max_form_size = bytes;
        self
    }

    /// Timeout for a form to arrive, if it has to be read; a slower one is rejected with 408. At
    /// least 1 ms. Defaults to 30 seconds.
    ///
    /// ```
    /// # use tower_redis_session::csrf::CsrfLayer;
    /// # use std::time::Duration;
    /// assert!(CsrfLayer::builder().form_timeout(Duration::from_secs(5)).build().is_ok());
    /// ```
    pub fn form_timeout(mut self, timeout: Duration) -> Self {
        self.rules.form_timeout = timeout;
        self
    }

    /// Origins besides the service's own whose pages may send requests, in the form that browsers
    /// send: `https://app.example.org`, with a port that is not the scheme's usual one. Add the
    /// service's own where a proxy does not pass on the browser's `Host`. Their requests still need
    /// a token. Defaults to none.
    ///
    /// ```
    /// # use tower_redis_session::csrf::CsrfLayer;
    /// let layer = CsrfLayer::builder().trusted_origins(["https://app.example.org"]).build();
    /// assert!(layer.is_ok());
    /// let layer = CsrfLayer::builder().trusted_origins(["https://app.example.org/"]).build();
    /// assert!(layer.is_err());
    /// ```
    pub fn trusted_origins<O>(mut self, origins: impl IntoIterator<Item = O>) -> Self
    where
        O: Into<String>,
    {
        self.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Lets pages of other hosts of the same site send requests, where the browser sends
    /// `Sec-Fetch-Site: same-site`: for a site whose subdomains all have one owner. A host whose
    /// browser sends `Origin` alone still has to be a trusted origin. Defaults to off.
    ///
    /// ```
    /// # use tower_redis_session::csrf::CsrfLayer;
    /// assert!(CsrfLayer::builder().allow_same_site().build().is_ok());
    /// ```
    pub fn allow_same_site(mut self) -> Self {
        self.rules.same_site = true;
        self
    }

    /// Lets requests for exactly this path pass unverified, whatever their method: a webhook, for
    /// example, which has a signature of its own. Compared byte by byte with the path that the
    /// client [requested](crate::guard::requested_place), including what routers have stripped
    /// since. Paths below it and other spellings do not match. Defaults to none; each call adds
    /// one.
    ///
    /// ```
    /// # use tower_redis_session::csrf::CsrfLayer;
    /// assert!(CsrfLayer::builder().exempt_path("/webhook").build().is_ok());
    /// assert!(CsrfLayer::builder().exempt_path("webhook").build().is_err());
    /// ```
    pub fn exempt_path(mut self, path: &str) -> Self {
        self.rules.exempt_paths.push(path.into());
        self
    }

    /// Lets requests pass unverified for which `exempt` returns true. Do not decide by anything
    /// that a page of another site can produce, such as a header without CORS. In a router that
    /// strips prefixes [`requested_place`](crate::guard::requested_place) returns the whole path.
    /// Each call adds one.
    ///
    /// ```
    /// # use tower_redis_session::csrf::CsrfLayer;
    /// let builder = CsrfLayer::builder().exempt(|parts| parts.uri.path().starts_with("/hooks/"));
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn exempt<F>(mut self, exempt: F) -> Self
    where
        F: Fn(&Parts) -> bool + Send + Sync + 'static,
    {
        self.rules.exempt.push(Arc::new(exempt));
        self
    }

    /// Builds the layer.
    ///
    /// # Errors
    ///
    /// The first setting that is out of its range or malformed.
    ///
    /// ```
    /// # use tower_redis_session::csrf::CsrfLayer;
    /// let error = CsrfLayer::builder().max_form_size(0).build().unwrap_err();
    /// assert_eq!(error.setting(), "max form size");
    /// ```
    pub fn build(mut self) -> Result<CsrfLayer, ConfigError> {
        for text in &self.origins {
            let origin = Origin::parse(text.as_bytes());
            let fault =
                || ConfigError::new("trusted origin", "is not scheme://host or with a port");
            self.rules.trusted.push(origin.ok_or_else(fault)?);
        }
        let rules = &self.rules;
        if [AUTHORIZATION, COOKIE, HOST, ORIGIN].contains(&rules.header) {
            return Err(ConfigError::new("csrf header", "has a meaning of its own"));
        }
        if rules.field.is_empty() {
            return Err(ConfigError::new("csrf field", "is empty"));
        }
        if !(128..=16 * 1024 * 1024).contains(&rules.max_form_size) {
            return Err(ConfigError::new("max form size", "is not between 128 bytes and 16 MiB"));
        }
        if rules.form_timeout < Duration::from_millis(1) {
            return Err(ConfigError::new("form timeout", "is below 1 ms"));
        }
        if !rules.exempt_paths.iter().all(|path| path.starts_with('/')) {
            return Err(ConfigError::new("exempt path", "does not start with /"));
        }
        Ok(CsrfLayer::with(self.rules))
    }
}

impl fmt::Debug for CsrfBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfBuilder")
            .field("rules", &self.rules)
            .field("trusted_origins", &self.origins)
            .finish()
    }
}
