//! `TakeOver`: how a layer takes old sessions over at their first request.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use http::Extensions;

use crate::{
    clock::timestamp::Timestamp,
    error::ConfigError,
    import::{
        importer::Importer,
        library::{Library, PeerOf},
        old_sessions::OldSessions,
    },
    request::{client::PeerAddress, old_library::TakeOverRules},
    session::claim::TakeOverKey,
    transport::Transport,
};

/// Shortest key, in bytes.
const KEY_MIN: usize = 32;
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Takes sessions of another library over at the first request with their cookie; for
/// [`RedisSessionLayerBuilder::import`](crate::RedisSessionLayerBuilder::import).
///
/// The old session becomes one session of this crate, with its user and values, under a new token.
/// Concurrent first requests, on any instances, are all served with it. The response sets the new
/// cookie and removes the old one, which opens nothing after the [grace](Self::grace), whatever an
/// old instance still writes.
///
/// ```
/// use tower_redis_session::{
///     MemoryStore, RedisConfig, RedisSessionLayer,
///     import::{Format, Importer, OldRedis, TakeOver},
/// };
///
/// let importer = Importer::builder(Format::ExpressSession)
///     .signed_cookie("keyboard cat")
///     .user_at(["passport", "user"])
///     .build()?;
/// let old = OldRedis::new(RedisConfig::new("redis://127.0.0.1:6379/1"))?;
/// # let secret = [7; 32];
/// let take_over = TakeOver::new(importer, old).take_over_key(secret); // 32 random bytes
/// let layer = RedisSessionLayer::builder(MemoryStore::new()).import(take_over).build()?;
/// # drop(layer);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[must_use]
pub struct TakeOver {
    importer: Importer,
    sessions: Arc<dyn OldSessions>,
    keys: Vec<TakeOverKey>,
    grace: Duration,
    keep_claims: Duration,
    until: Option<Timestamp>,
    peer: Arc<PeerOf>,
}

impl TakeOver {
    /// The sessions that `importer` finds and decodes, from the store `sessions`. A
    /// [key](Self::take_over_key) is required.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, import::{Format, Importer, OldRedis, TakeOver}};
    /// # let importer = Importer::builder(Format::FlaskSession).no_users().build()?;
    /// # let old = OldRedis::new(RedisConfig::new("redis://127.0.0.1:6379/1"))?;
    /// let take_over = TakeOver::new(importer, old).take_over_key([7; 32]);
    /// # drop(take_over);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn new(importer: Importer, sessions: impl OldSessions) -> Self {
        let peer = |extensions: &Extensions| Some(extensions.get::<PeerAddress>()?.0.ip());
        Self {
            importer,
            sessions: Arc::new(sessions),
            keys: Vec::new(),
            grace: 60 * SECOND,
            keep_claims: 60 * DAY,
            until: None,
            peer: Arc::new(peer),
        }
    }

    /// The key from which new tokens are derived: at least 32 random bytes, the same on all
    /// instances, in no store. Each further call adds a former key, so that the key can be changed
    /// during a deployment.
    ///
    /// A party with this key, a copy of the new store and the old session's id can compute the
    /// token of the session until its claim expires.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, import::{Format, Importer, OldRedis, TakeOver}};
    /// # let importer = Importer::builder(Format::FlaskSession).no_users().build()?;
    /// # let old = OldRedis::new(RedisConfig::new("redis://127.0.0.1:6379/1"))?;
    /// let take_over = TakeOver::new(importer, old)
    ///     .take_over_key([7; 32])
    ///     .take_over_key([6; 32]); // the key before
    /// # drop(take_over);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn take_over_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.keys.push(TakeOverKey::new(key.as_ref()));
        self
    }

    /// How long after the take-over the old cookie still opens the new session: for requests that
    /// the browser sent before it had the new cookie, and for one whose response was lost. 1 s to
    /// 10 minutes. Defaults to 60 s.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::{RedisConfig, import::{Format, Importer, OldRedis, TakeOver}};
    /// # let importer = Importer::builder(Format::FlaskSession).no_users().build()?;
    /// # let old = OldRedis::new(RedisConfig::new("redis://127.0.0.1:6379/1"))?;
    /// let take_over = TakeOver::new(importer, old).grace(Duration::from_secs(30));
    /// # drop(take_over);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How long it is known that an old session was taken over, or has ended: longer than the
    /// longest lifetime of an old session, and than an old instance may run and write its key
    /// again. 1 day to ten years. Defaults to 60 days; with [`until`](Self::until) at least as
    /// long as that.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::{RedisConfig, import::{Format, Importer, OldRedis, TakeOver}};
    /// # let importer = Importer::builder(Format::FlaskSession).no_users().build()?;
    /// # let old = OldRedis::new(RedisConfig::new("redis://127.0.0.1:6379/1"))?;
    /// let take_over = TakeOver::new(importer, old).keep_claims(Duration::from_secs(90 * 86_400));
    /// # drop(take_over);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn keep_claims(mut self, keep: Duration) -> Self {
        self.keep_claims = keep;
        self
    }

    /// The time from when on old cookies are ignored: the deployment plus the longest lifetime of
    /// an old session. Defaults to none.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, import::{Format, Importer, OldRedis, TakeOver}};
    /// # use tower_redis_session::Timestamp;
    /// # let importer = Importer::builder(Format::FlaskSession).no_users().build()?;
    /// # let old = OldRedis::new(RedisConfig::new("redis://127.0.0.1:6379/1"))?;
    /// let end = Timestamp::from_millis(1_893_456_000_000); // 2030-01-01
    /// let take_over = TakeOver::new(importer, old).until(end);
    /// # drop(take_over);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn until(mut self, end: Timestamp) -> Self {
        self.until = Some(end);
        self
    }

    /// Where to find the peer address that an axum_session signature includes. Defaults to
    /// [`PeerAddress`](crate::layer::PeerAddress).
    ///
    /// ```
    /// # use std::net::SocketAddr;
    /// # use tower_redis_session::{RedisConfig, import::{Format, Importer, OldRedis, TakeOver}};
    /// # let importer = Importer::builder(Format::AxumSession).no_users().build()?;
    /// # let old = OldRedis::new(RedisConfig::new("redis://127.0.0.1:6379/1"))?;
    /// use axum::extract::ConnectInfo; // with `into_make_service_with_connect_info`
    ///
    /// let take_over = TakeOver::new(importer, old)
    ///     .peer_address(|extensions| Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip()));
    /// # drop(take_over);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn peer_address<F>(mut self, peer: F) -> Self
    where
        F: Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    {
        self.peer = Arc::new(peer);
        self
    }

    /// The rules for a layer with this transport.
    pub(crate) fn rules(self, transport: &Transport) -> Result<TakeOverRules, ConfigError> {
        let fault = |setting, fault| Err(ConfigError::new(setting, fault));
        if !transport.is_ambient() {
            return fault("import", "needs a cookie: the layer's clients send a header");
        }
        if self.importer.cookie().name() == transport.name() {
            return fault("import cookie", "has the name of the new one");
        }
        if self.keys.is_empty() || self.keys.iter().any(|key| key.len() < KEY_MIN) {
            return fault("take-over key", "is missing or shorter than 32 bytes");
        }
        if !(SECOND..=600 * SECOND).contains(&self.grace) {
            return fault("import grace", "is not between 1 s and 10 minutes");
        }
        if !(DAY..=3_650 * DAY).contains(&self.keep_claims) {
            return fault("keep claims", "is not between 1 day and ten years");
        }
        let Self { importer, sessions, keys, grace, keep_claims, until, peer } = self;
        let library = Arc::new(Library { importer, sessions, peer });
        let deletions_fail = Arc::default();
        Ok(TakeOverRules { library, keys, grace, keep_claims, until, deletions_fail })
    }
}

impl fmt::Debug for TakeOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakeOver")
            .field("importer", &self.importer)
            .field("grace", &self.grace)
            .field("keep_claims", &self.keep_claims)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}
