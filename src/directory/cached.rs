//! A directory with a cache in Redis in front of it.
//!
//! | file | holds |
//! |---|---|
//! | `builder` | `CachedDirectoryBuilder` |
//! | `times` | time to live and other durations |
//! | `lookup` | read through the cache |
//! | `cache` | connection, availability, pending invalidations |
//! | `part` | user, platforms, settings, credentials: how each is loaded and kept |
//! | `entry_id` | pure: the key of an entry |
//! | `envelope` | pure: the bytes of an entry |
//! | `lease` | the right to fill an entry |
//! | `invalidation` | invalidation after a change |
//! | `doubts` | pure: entries that Redis may still hold although they changed |
//! | `sealing` | encryption of credentials |

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::{
    directory::{
        Credentials, Directory, PlatformInfo, UserInfo,
        cached::{cache::Cache, entry_id::EntryId},
    },
    error::Error,
    sync::single_flight::Loaders,
    telemetry::health::BackendHealth,
};

pub(super) mod builder;
mod cache;
mod doubts;
mod entry_id;
mod envelope;
pub(super) mod invalidation;
mod lease;
mod lookup;
mod part;
mod sealing;
mod times;

/// A [`Directory`] whose answers are kept in Redis for a while: one loader asks the source, all
/// instances read what it got.
///
/// - **Read through.** What Redis does not have is asked of the source by whoever holds the lease
///   for it; others wait for the answer, within this process and across processes. Before it ends
///   an entry is brought up to date in the background, and nobody waits.
/// - **Right.** After a change call [`invalidate_user`](Self::invalidate_user) and the like, or
///   wrap the save in [`change`](Self::change): from then on nobody reads the old value, nor does a
///   loader put it back that read it before. Without that an entry is old by its time to live at
///   most, and by what its loader took.
/// - **Redis may be away.** Then the source answers, within the budget. An invalidation that Redis
///   did not confirm is remembered and repeated until it does; until then this process asks the
///   source for what was changed. Other processes may read the old value from a Redis that they
///   still reach, and if this one dies meanwhile, or Redis comes back with older data, the time to
///   live is the bound.
/// - **Secrets.** Credentials are kept only if there is a key ring (crate feature `sealed`), and
///   then as ciphertext. What does not open is asked of the source. Everything else lies there
///   readable.
///
/// A user or credentials that do not exist are asked for each time, so that they are there as soon
/// as they exist. An entry above 64 KiB is not kept. A user id or a platform id above 1,024 bytes
/// is asked of the source alone.
///
/// Clones share one cache and its connections.
///
/// ```
/// # use tower_redis_session::testing::Accounts;
/// use tower_redis_session::{RedisConfig, directory::{CachedDirectory, Directory}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let config = RedisConfig::from_host("127.0.0.1", 1);
/// // Nothing listens there: the source answers.
/// let directory = CachedDirectory::builder(Accounts, config).build()?;
/// assert_eq!(directory.user("alice").await?.unwrap().role, "member");
/// # Ok(())
/// # }
/// ```
pub struct CachedDirectory<D> {
    inner: Arc<Inner<D>>,
}

struct Inner<D> {
    source: D,
    cache: Arc<Cache>,
    /// Who asks just now; the answer as it is kept, for those who share it.
    loaders: Loaders<EntryId, Result<Option<Bytes>, Error>>,
}

impl<D: Directory + 'static> CachedDirectory<D> {
    /// What the cache is in front of.
    ///
    /// ```
    /// # use tower_redis_session::{
    /// #     RedisConfig, directory::{CachedDirectory, Directory}, testing::Accounts,
    /// # };
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let redis = RedisConfig::from_host("127.0.0.1", 1);
    /// let directory = CachedDirectory::builder(Accounts, redis).build()?;
    /// assert_eq!(directory.source().settings("bob").await?, None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn source(&self) -> &D {
        &self.inner.source
    }

    /// Asks Redis now: sends every command that the cache needs once and calls every script, in a
    /// place of its own that is removed again. Not needed: without Redis the source answers.
    ///
    /// # Errors
    ///
    /// `Unavailable` if Redis does not answer, and `Misconfigured`, with the command named, if it
    /// refuses one.
    ///
    /// ```
    /// # use tower_redis_session::{
    /// #     ErrorKind, RedisConfig, directory::CachedDirectory, testing::Accounts,
    /// # };
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let redis = RedisConfig::from_host("127.0.0.1", 1);
    /// let directory = CachedDirectory::builder(Accounts, redis).build()?;
    /// assert_eq!(directory.check().await.unwrap_err().kind(), ErrorKind::Unavailable);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn check(&self) -> Result<(), Error> {
        self.inner.cache.check().await
    }

    /// How Redis does, as far as calls have noticed. Asks nobody.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// # let redis = RedisConfig::from_host("127.0.0.1", 1);
    /// let directory = CachedDirectory::builder(Accounts, redis).build()?;
    /// assert!(directory.health().answers);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn health(&self) -> BackendHealth {
        self.inner.cache.health()
    }
}

impl<D: Directory + 'static> Directory for CachedDirectory<D> {
    type Settings = D::Settings;

    async fn user(&self, user_id: &str) -> Result<Option<UserInfo>, Error> {
        self.inner.get::<part::User>(user_id, "").await
    }

    /// From the source, and never kept: a change of the password counts at once.
    async fn stamp(&self, user_id: &str) -> Result<Option<String>, Error> {
        self.inner.source.stamp(user_id).await
    }

    async fn platforms(&self, user_id: &str) -> Result<Vec<PlatformInfo>, Error> {
        self.inner.get::<part::Platforms>(user_id, "").await
    }

    async fn settings(&self, user_id: &str) -> Result<Option<D::Settings>, Error> {
        self.inner.get::<part::Settings>(user_id, "").await
    }

    async fn credentials(
        &self,
        user_id: &str,
        platform_id: &str,
    ) -> Result<Option<Credentials>, Error> {
        self.inner.get::<part::Secret>(user_id, platform_id).await
    }
}

impl<D> Clone for CachedDirectory<D> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<D> fmt::Debug for CachedDirectory<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedDirectory")
            .field("cache", &self.inner.cache)
            .field("loaders", &self.inner.loaders)
            .finish_non_exhaustive()
    }
}
