//! The database as the directory of the crate, with a cache in Redis where there is a Redis.

use tower_redis_session::{
    ConfigError, Error, RedisConfig,
    directory::{CachedDirectory, Credentials, Directory, DirectoryPart, PlatformInfo, UserInfo},
};

use super::{Data, DataError};
use crate::captions::settings::Settings;

impl Directory for Data {
    type Settings = Settings;

    async fn user(&self, user_id: &str) -> Result<Option<UserInfo>, Error> {
        Ok(self.user_by_id(user_id).await?)
    }

    async fn platforms(&self, user_id: &str) -> Result<Vec<PlatformInfo>, Error> {
        Ok(self.platforms_of(user_id).await?)
    }

    async fn settings(&self, user_id: &str) -> Result<Option<Settings>, Error> {
        Ok(self.settings_of(user_id).await?)
    }

    async fn credentials(
        &self,
        user_id: &str,
        platform_id: &str,
    ) -> Result<Option<Credentials>, Error> {
        Ok(self.token_of(user_id, platform_id).await?)
    }
}

/// Whom the handlers ask: the database, or what Redis has of it.
#[derive(Clone, Debug)]
pub(crate) enum People {
    Direct(Data),
    Cached(CachedDirectory<Data>),
}

impl People {
    pub(crate) fn new(data: Data, redis: Option<RedisConfig>) -> Result<Self, ConfigError> {
        let Some(redis) = redis else { return Ok(Self::Direct(data)) };
        let keys = data.keys.clone();
        Ok(Self::Cached(CachedDirectory::builder(data, redis).key_ring(keys).build()?))
    }

    /// Runs `save`, after which nobody is told what was before it.
    pub(crate) async fn change<T>(
        &self,
        user: &str,
        part: DirectoryPart,
        save: impl Future<Output = Result<T, DataError>>,
    ) -> Result<T, DataError> {
        match self {
            Self::Direct(_) => save.await,
            Self::Cached(cached) => cached.change(user, part, save).await,
        }
    }
}

impl Directory for People {
    type Settings = Settings;

    async fn user(&self, user_id: &str) -> Result<Option<UserInfo>, Error> {
        match self {
            Self::Direct(data) => data.user(user_id).await,
            Self::Cached(cached) => cached.user(user_id).await,
        }
    }

    async fn platforms(&self, user_id: &str) -> Result<Vec<PlatformInfo>, Error> {
        match self {
            Self::Direct(data) => data.platforms(user_id).await,
            Self::Cached(cached) => cached.platforms(user_id).await,
        }
    }

    async fn settings(&self, user_id: &str) -> Result<Option<Settings>, Error> {
        match self {
            Self::Direct(data) => data.settings(user_id).await,
            Self::Cached(cached) => cached.settings(user_id).await,
        }
    }

    async fn credentials(
        &self,
        user_id: &str,
        platform_id: &str,
    ) -> Result<Option<Credentials>, Error> {
        match self {
            Self::Direct(data) => data.credentials(user_id, platform_id).await,
            Self::Cached(cached) => cached.credentials(user_id, platform_id).await,
        }
    }
}
