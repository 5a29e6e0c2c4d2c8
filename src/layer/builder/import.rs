//! Setting of an import: the take-over of old sessions.

use crate::{import::TakeOver, layer::builder::RedisSessionLayerBuilder};

impl RedisSessionLayerBuilder {
    /// Takes sessions of another library over: a request whose own cookie opens no session, and
    /// that has one of the other library, is served with that session under a new token. A request
    /// with a session of this layer costs a search in its cookie lines. Defaults to none.
    ///
    /// If either store fails, methods of the session fail with `Unavailable` and no cookie changes.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisConfig, RedisSessionLayer};
    /// # use tower_redis_session::import::{Format, Importer, OldRedis, TakeOver};
    /// # let importer = Importer::builder(Format::FlaskSession).no_users().build()?;
    /// # let old = OldRedis::new(RedisConfig::new("redis://127.0.0.1:6379/1"))?;
    /// let take_over = TakeOver::new(importer, old).take_over_key(b"too short");
    /// let builder = RedisSessionLayer::builder(MemoryStore::new()).import(take_over);
    /// assert_eq!(builder.build().unwrap_err().setting(), "take-over key");
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn import(mut self, take_over: TakeOver) -> Self {
        self.take_over = Some(take_over);
        self
    }
}
