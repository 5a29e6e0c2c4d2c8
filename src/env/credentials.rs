//! Credentials by a function, which no variable can hold.

use std::{error::Error as StdError, future::Future};

use crate::{
    env::{config::EnvConfig, storage::Storage},
    store::ServerCredentials,
};

impl EnvConfig {
    /// Credentials of the configured Redis by a function, in place of `REDIS_PASSWORD`: see
    /// [`RedisConfig::credentials`](crate::RedisConfig::credentials). No effect without Redis.
    ///
    /// ```
    /// # use tower_redis_session::{EnvConfig, store::ServerCredentials};
    /// # let only_redis = |name: &str| (name == "SESSION_STORAGE").then(|| "redis".to_owned());
    /// # let config = EnvConfig::from_lookup(only_redis)?;
    /// async fn token() -> std::io::Result<ServerCredentials> {
    ///     let token = tokio::fs::read_to_string("/run/secrets/redis").await?;
    ///     Ok(ServerCredentials::new(token.trim_end()))
    /// }
    ///
    /// let layer = config.redis_credentials(token).layer()?;
    /// # drop(layer);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn redis_credentials<F, R, E>(mut self, function: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<ServerCredentials, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.storage = match self.storage {
            Storage::Redis(redis) => Storage::Redis(redis.credentials(function)),
            #[cfg(feature = "_database")]
            Storage::Durable { redis, database, strict } => {
                Storage::Durable { redis: redis.credentials(function), database, strict }
            }
            other => other,
        };
        self
    }

    /// The same for the configured PostgreSQL: see
    /// [`DatabaseConfig::credentials`](crate::DatabaseConfig::credentials). No effect without a
    /// database; with SQLite [`layer`](Self::layer) returns an error.
    ///
    /// ```
    /// # use tower_redis_session::{EnvConfig, store::ServerCredentials};
    /// # fn start(config: EnvConfig) -> Result<(), tower_redis_session::ConfigError> {
    /// async fn token() -> std::io::Result<ServerCredentials> {
    ///     let token = tokio::fs::read_to_string("/run/secrets/postgres").await?;
    ///     Ok(ServerCredentials::new(token.trim_end()))
    /// }
    ///
    /// let layer = config.database_credentials(token).layer()?;
    /// # drop(layer);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "_database")]
    #[must_use]
    pub fn database_credentials<F, R, E>(mut self, function: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<ServerCredentials, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.storage = match self.storage {
            Storage::Database(database) => Storage::Database(database.credentials(function)),
            #[cfg(feature = "redis")]
            Storage::Durable { redis, database, strict } => {
                Storage::Durable { redis, database: database.credentials(function), strict }
            }
            other => other,
        };
        self
    }
}
