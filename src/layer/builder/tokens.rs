//! Settings of tokens: kind, grace after a renewal, watch interval.

use std::time::Duration;

use crate::layer::builder::RedisSessionLayerBuilder;

impl RedisSessionLayerBuilder {
    /// Grace period after a renewal or a sign-in: how long a request with the old token still reads
    /// the session as it was before, since the client may have sent it before it had the new token.
    /// Default 10 s, at most a minute; zero turns it off.
    ///
    /// Such a request sees the user and the values from before the move, never later ones, and no
    /// session once it has ended. Its writes are dropped, and its response changes no cookie; a
    /// sign-in in it creates a new session with those values. A thief of the old token can read for
    /// as long.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.renewal_grace(Duration::from_secs(30)).build().is_ok());
    /// ```
    pub fn renewal_grace(mut self, grace: Duration) -> Self {
        self.renewal_grace = grace;
        self
    }

    /// The kind of sessions that this layer's tokens open. Two layers on one store with different
    /// kinds do not open each other's sessions, whatever cookie carries the token. Defaults to the
    /// name of the cookie or header: set it to keep sessions when that name changes, or to open the
    /// same ones by a cookie and by a header.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.session_kind("shop").build().is_ok());
    /// ```
    pub fn session_kind(mut self, name: impl Into<String>) -> Self {
        self.session_kind = Some(name.into());
        self
    }

    /// Interval at which the store is polled for the sessions of live connections
    /// ([`SessionContext::live`](crate::SessionContext::live)): the longest that such a connection
    /// outlives a session that another instance ended. 10 ms to 1 hour. Defaults to 1 second. No
    /// polls while there is no live session.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.watch_interval(Duration::from_millis(200)).build().is_ok());
    /// ```
    pub fn watch_interval(mut self, interval: Duration) -> Self {
        self.watch_interval = interval;
        self
    }
}
