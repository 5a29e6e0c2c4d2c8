//! Invalidation of cache entries after a change.

use std::{future::Future, sync::Arc};

use crate::directory::{
    Directory,
    cached::{CachedDirectory, cache::Cache, envelope::Kind},
};

/// The part of a user's data that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DirectoryPart {
    /// The user's data, including whether the user is active.
    User,
    /// The platforms: one was added, edited, deleted or made the default, or its credentials
    /// changed.
    Platforms,
    /// The settings.
    Settings,
}

impl DirectoryPart {
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::User => &[Kind::User],
            Self::Platforms => &[Kind::Platforms, Kind::Credentials],
            Self::Settings => &[Kind::Settings],
        }
    }
}

impl<D: Directory + 'static> CachedDirectory<D> {
    /// Invalidates a user's entry. Call it after the change is committed in the source. Returns
    /// whether Redis has confirmed it; otherwise the removal is repeated until Redis does, and this
    /// process reads the source until then. The change itself is not affected.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let nothing_there = RedisConfig::from_host("127.0.0.1", 1);
    /// let directory = CachedDirectory::builder(Accounts, nothing_there).build()?;
    /// assert!(!directory.invalidate_user("alice").await);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn invalidate_user(&self, user_id: &str) -> bool {
        self.invalidation(user_id, DirectoryPart::User).run().await
    }

    /// Invalidates a user's platforms after one was added, edited, deleted or made the default, or
    /// its credentials changed; see [`invalidate_user`](Self::invalidate_user). All cached
    /// credentials of the user are removed too.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let nothing_there = RedisConfig::from_host("127.0.0.1", 1);
    /// let directory = CachedDirectory::builder(Accounts, nothing_there).build()?;
    /// directory.invalidate_platforms("alice").await;
    /// assert_eq!(directory.unconfirmed(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn invalidate_platforms(&self, user_id: &str) -> bool {
        self.invalidation(user_id, DirectoryPart::Platforms).run().await
    }

    /// Invalidates a user's settings; see [`invalidate_user`](Self::invalidate_user).
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let nothing_there = RedisConfig::from_host("127.0.0.1", 1);
    /// let directory = CachedDirectory::builder(Accounts, nothing_there).build()?;
    /// assert!(!directory.invalidate_settings("alice").await);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn invalidate_settings(&self, user_id: &str) -> bool {
        self.invalidation(user_id, DirectoryPart::Settings).run().await
    }

    /// Runs `save`, which changes the source, and invalidates after its commit, so that no loader
    /// that read before it can store what it read. Invalidates also if `save` fails, since the
    /// change may have been committed anyway, and if this future is dropped. Returns the result of
    /// `save`.
    ///
    /// To change single fields, `save` should read, modify and write in one transaction of the
    /// source: the cached value is no basis for a write.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// use tower_redis_session::directory::DirectoryPart;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let nothing_there = RedisConfig::from_host("127.0.0.1", 1);
    /// # async fn set_max_posts(_: u32) -> Result<u32, std::io::Error> { Ok(70) }
    /// let directory = CachedDirectory::builder(Accounts, nothing_there).build()?;
    /// let saved = directory.change("alice", DirectoryPart::Settings, set_max_posts(70)).await;
    /// assert_eq!(saved?, 70);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn change<T>(
        &self,
        user_id: &str,
        part: DirectoryPart,
        save: impl Future<Output = T>,
    ) -> T {
        let invalidation = self.invalidation(user_id, part);
        let saved = save.await;
        let _ = invalidation.run().await;
        saved
    }

    /// Number of keys whose removal Redis has not confirmed yet: zero, except during an outage and
    /// shortly after it.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, directory::CachedDirectory, testing::Accounts};
    /// # let redis = RedisConfig::from_host("127.0.0.1", 1);
    /// let directory = CachedDirectory::builder(Accounts, redis).build()?;
    /// assert_eq!(directory.unconfirmed(), 0);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn unconfirmed(&self) -> usize {
        self.inner.cache.in_doubt()
    }

    fn invalidation(&self, user_id: &str, part: DirectoryPart) -> Invalidation {
        let cache = Arc::clone(&self.inner.cache);
        let keys = part.kinds().iter().map(|kind| cache.key(*kind, user_id)).collect();
        Invalidation { cache, keys, state: State::Planned }
    }
}

/// An invalidation that has to complete even if its caller is dropped.
struct Invalidation {
    cache: Arc<Cache>,
    keys: Vec<Box<str>>,
    state: State,
}

enum State {
    Planned,
    Begun,
    Done,
}

impl Invalidation {
    /// Cancellation safety: dropped here or before, the keys stay pending, and the background task
    /// removes them.
    async fn run(mut self) -> bool {
        let number = self.cache.doubt(&self.keys);
        self.state = State::Begun;
        // All have the same server: that of the user.
        let Some(key) = self.keys.first().filter(|key| self.cache.may_ask(key)) else {
            return false;
        };
        let limit = self.cache.times.budget;
        let removed = self.cache.within(key, limit, self.cache.entries.remove(&self.keys)).await;
        match removed {
            Ok(()) => {
                self.cache.settle(&self.keys, number);
                self.state = State::Done;
            }
            Err(error) => tracing::debug!(%error, "directory entries not removed yet"),
        }
        matches!(self.state, State::Done)
    }
}

impl Drop for Invalidation {
    fn drop(&mut self) {
        if matches!(self.state, State::Planned) {
            let _ = self.cache.doubt(&self.keys);
        }
        if !matches!(self.state, State::Done) {
            self.cache.tend();
        }
    }
}
