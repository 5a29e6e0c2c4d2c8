//! `OldRedis`: the old store, if it is a Redis.

use crate::{
    error::ConfigError,
    import::{
        old_session::OldSession,
        old_sessions::{OldSessions, StoredSession},
    },
    store::{
        StoreFuture,
        redis::{RedisConfig, foreign::ForeignKeys},
    },
};

/// The Redis of the other library, one server or a primary behind Sentinel: reads a key by `GET`,
/// and deletes it by `DEL`.
///
/// Its user needs the right to `GET`, `DEL` and `TIME`, with a database number in the URL also to
/// `SELECT`, behind Sentinel also to `INFO`, and to no other key than those of the old sessions. Of
/// the configuration, address, credentials, TLS and limits count, not the prefix.
///
/// ```
/// use tower_redis_session::{RedisConfig, import::OldRedis};
///
/// let old = OldRedis::new(RedisConfig::new("redis://127.0.0.1:6379/1"))?; // opens no connection
/// # drop(old);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct OldRedis(ForeignKeys);

impl OldRedis {
    /// Opens no connection.
    ///
    /// # Errors
    ///
    /// The first invalid setting, or a cluster; its text never contains the password.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, import::OldRedis};
    /// assert!(OldRedis::new(RedisConfig::new("http://127.0.0.1")).is_err());
    /// assert!(OldRedis::new(RedisConfig::cluster(["redis://127.0.0.1"])).is_err());
    /// ```
    pub fn new(config: RedisConfig) -> Result<Self, ConfigError> {
        ForeignKeys::new(&config).map(Self)
    }
}

impl OldSessions for OldRedis {
    fn load<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async move { Ok(self.0.get(old.key()).await?.map(StoredSession::new)) })
    }

    fn delete<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, ()> {
        Box::pin(self.0.delete(old.key()))
    }
}
