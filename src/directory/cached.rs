//! Cache of a directory in Redis.
//!
//! | file | holds |
//! |---|---|
//! | `builder` | `CachedDirectoryBuilder` |
//! | `times` | time to live and other durations |
//! | `lookup` | read through the cache |
//! | `cache` | connection, availability, pending invalidations |
//! | `breakers` | pure: which server is called |
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

mod breakers;
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

/// A [`Directory`] with a cache in Redis: one loader reads an entry from the source, all instances
/// share it.
///
/// - **Read-through.** A missing entry is loaded from the source by the holder of its lease; other
///   callers wait for it, within this process and across processes. Shortly before it expires, an
///   entry is refreshed in the background.
/// - **Consistent.** After a change call [`invalidate_user`](Self::invalidate_user) or a similar
///   method, or wrap the write in [`change`](Self::change): from then on no caller reads the old
///   value, and no loader that read it before can store it. Without invalidation an entry is stale
///   for at most its time to live and the duration of its load.
/// - **Redis may fail.** Then the source is read instead, within the budget. An invalidation that
///   Redis has not confirmed is remembered and repeated until it is; until then this process reads
///   the changed entries from the source. Other processes may read the old value from a Redis that
///   they still reach; if this process ends in the meantime, or Redis returns with older data, as
///   after a failover, the time to live is the bound.
/// - **Sentinel and Cluster.** All entries of a user are in one hash slot, that of the user's
///   sessions if the key prefix is the same. A node that is lost costs its own entries the source.
/// - **Secrets.** Credentials are cached only with a key ring (crate feature `encryption`), and
///   only as ciphertext. Ciphertext that cannot be opened is loaded from the source. All other
///   entries are stored in plain text.
///
/// A missing user and missing credentials are not cached, so they are found as soon as they exist.
/// An entry above 64 KiB is not cached. A user id or a platform id above 1,024 bytes is looked up
/// in the source alone.
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
    /// Loads in progress; the encoded result, for callers that share one.
    loaders: Loaders<EntryId, Result<Option<Bytes>, Error>>,
}

impl<D: Directory + 'static> CachedDirectory<D> {
    /// The directory behind the cache.
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

    /// Start-up check of Redis: sends every command and calls every script that the cache needs
    /// once, on keys of its own, which are removed again. Optional: without Redis the source is
    /// used.
    ///
    /// # Errors
    ///
    /// `Unavailable` if Redis is unreachable, and `Misconfigured`, with the name of the command, if
    /// it rejects one.
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

    /// Health of Redis as last seen by calls; a cluster answers while one of its nodes does.
    /// Performs no I/O.
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

    /// From the source, never cached: a password change takes effect at once.
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
