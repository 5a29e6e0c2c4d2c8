//! The former cookie, which this one has replaced.

use http::HeaderValue;

use crate::{
    error::ConfigError,
    session::token::Token,
    transport::cookie::{CookieConfig, find},
};

impl CookieConfig {
    /// Also accepts the session's cookie under a former name, domain, path or prefix: for a
    /// transition period. `former` is the previous configuration; its name counts, and the
    /// attributes that a browser needs to remove it.
    ///
    /// A session that is found under the former name only gets the new cookie with the response,
    /// and the former cookie is removed. The session keeps its id. If a request has both, the new
    /// one counts, whether or not it opens a session, and the former one is removed; a sign-in or a
    /// logout ends its session, too. Without this setting the former name is no longer accepted:
    /// keep it for as long as a session may live.
    ///
    /// Tokens belong to a kind of session, by default the cookie's name. After a change of the name
    /// the layer needs the former name as its
    /// [`session_kind`](crate::RedisSessionLayerBuilder::session_kind), permanently; otherwise it
    /// does not build.
    ///
    /// If only domain or path change, the two cookies cannot be distinguished: both open their
    /// session, and the former one is removed when a sign-in, a renewal or a logout sets or removes
    /// the new one.
    ///
    /// The cookie of a [visitor without a session](crate::SessionContext::csrf_token) changes with
    /// it. A form that was opened before the change is accepted while its token is valid, the
    /// setting is there and the visitor has no new cookie; new tokens belong to the new cookie. The
    /// former one is removed when a session begins or ends.
    ///
    /// Deployment caveat: while a weaker former name is accepted, an attacker who could plant that
    /// cookie before still can.
    ///
    /// ```
    /// use tower_redis_session::{CookieConfig, MemoryStore, RedisSessionLayer, Transport};
    ///
    /// let former = CookieConfig::new("sid").domain("example.org");
    /// let cookie = CookieConfig::new("__Host-session").former(former);
    /// let layer = RedisSessionLayer::builder(MemoryStore::new())
    ///     .transport(Transport::cookie(cookie))
    ///     .session_kind("sid")
    ///     .build()?;
    /// # drop(layer);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn former(mut self, former: Self) -> Self {
        self.former = Some(Box::new(former));
        self
    }

    pub(super) fn check_former(&self) -> Result<(), ConfigError> {
        let Some(former) = &self.former else { return Ok(()) };
        let fault = |fault| Err(ConfigError::new("former cookie", fault));
        if former.former.is_some() {
            return fault("has a former cookie itself");
        }
        if !former.domains.is_empty() {
            return fault("has a list of domains: give the one to remove");
        }
        if (&former.name, &former.domain, &former.path) == (&self.name, &self.domain, &self.path) {
            return fault("has the name, domain and path of the new one");
        }
        former.check().map_err(|error| error.named("former cookie"))
    }

    pub(crate) fn has_former(&self) -> bool {
        self.former.is_some()
    }

    /// Whether the former cookie has another name.
    pub(crate) fn is_renamed(&self) -> bool {
        self.former.as_ref().is_some_and(|former| former.name != self.name)
    }

    /// The tokens in cookies of the former name.
    pub(crate) fn former_tokens<'a>(&self, lines: impl Iterator<Item = &'a [u8]>) -> Vec<Token> {
        let former = self.former.as_ref().filter(|_| self.is_renamed());
        former.map_or_else(Vec::new, |former| find(lines, &former.name))
    }

    pub(crate) fn former_removal(&self) -> Option<HeaderValue> {
        self.former.as_ref()?.removal()
    }
}
