//! Which tokens open a session, for how long an old one does, and how live ones are watched.

use std::time::Duration;

use crate::layer::builder::RedisSessionLayerBuilder;

impl RedisSessionLayerBuilder {
    /// For how long after a renewal or a sign-in a request with the old token still reads what the
    /// session was before: requests that the client sent before it knew the new token. Default
    /// 10 s, at most a minute; zero for not at all.
    ///
    /// Such a request sees the user and the values of before the move, never what came since, and
    /// nothing once the session has ended. What it writes is dropped, and its answer changes no
    /// cookie; a sign-in in it begins a session of its own with those values. Whoever has stolen
    /// the old token reads as long.
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

    /// The kind of sessions that this layer's tokens open. Of two layers on one store with
    /// different kinds neither opens the other's sessions, whatever cookie their token came in.
    /// Defaults to the name of the cookie or header: give it to keep sessions through a change of
    /// that name, or to open the same ones by a cookie and by a header.
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

    /// How often the store is asked whether the sessions of live connections
    /// ([`SessionContext::live`](crate::SessionContext::live)) are still there: the longest that
    /// such a connection outlives its session when that was ended on another instance. 10 ms to 1
    /// hour. Defaults to 1 second. Asks nothing while there is no live session.
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
