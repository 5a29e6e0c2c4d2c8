//! Keys of another program, which are read and deleted and never written.

use redis::{FromRedisValue as _, Value};

use crate::{
    clock::compared::Compared,
    error::{ConfigError, Error, ErrorKind},
    store::redis::{RedisConfig, client::pool::Connections},
};

/// The Redis of another program.
#[derive(Debug)]
pub(crate) struct ForeignKeys(Connections);

impl ForeignKeys {
    /// Opens no connection.
    pub(crate) fn new(config: &RedisConfig) -> Result<Self, ConfigError> {
        Connections::new(config, &[], None, Compared::default(), None).map(Self)
    }

    /// The string under `key`.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut get = redis::cmd("GET");
        let found = self.0.read(get.arg(key)).await?;
        let unreadable = |_| Error::new(ErrorKind::Corrupt, "the old session's key has no string");
        Option::<Vec<u8>>::from_redis_value(found).map_err(unreadable)
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<(), Error> {
        let mut del = redis::cmd("DEL");
        // Safe to run twice.
        self.0.read(del.arg(key)).await.map(|_: Value| ())
    }
}
