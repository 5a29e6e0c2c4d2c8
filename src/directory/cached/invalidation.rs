//! Telling the cache that something changed.

use std::{future::Future, sync::Arc};

use crate::directory::{
    Directory,
    cached::{CachedDirectory, cache::Cache, envelope::Kind},
};

/// What of a user changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DirectoryPart {
    /// Who the user is, and whether still active.
    User,
    /// The platforms: one was added, edited, deleted, made the default, or has other credentials.
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
    /// The user changed, in the source: call it after the commit. Answers whether Redis has
    /// confirmed it. Otherwise it is repeated until Redis does, and this process asks the source
    /// until then; the change itself is none the worse for it.
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

    /// A platform of the user was added, edited, deleted, made the default, or has other
    /// credentials; as [`invalidate_user`](Self::invalidate_user). All credentials of the user go
    /// with it.
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

    /// The settings of the user changed; as [`invalidate_user`](Self::invalidate_user).
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

    /// Runs `save`, which changes the source, and invalidates after it: what counts is the commit,
    /// and a loader that read before it cannot fill in what it read. Also if `save` fails, since a
    /// failure may leave it open whether it happened, and if this is dropped on the way. What
    /// `save` answers is the answer.
    ///
    /// Where only some fields change, `save` reads, changes and writes them in one transaction of
    /// the source: the cache holds nothing that a write could start from.
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

    /// How many keys there are whose removal Redis has not confirmed yet: zero, but for an outage
    /// and the moments after it.
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

/// One that has to happen, whatever becomes of whoever asked for it.
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
    /// Cancellation safety: dropped here or before, the keys stay in doubt, and are removed by the
    /// task that tends those.
    async fn run(mut self) -> bool {
        let number = self.cache.doubt(&self.keys);
        self.state = State::Begun;
        if !self.cache.may_ask() {
            return false;
        }
        let limit = self.cache.times.budget;
        let removed = self.cache.within(limit, self.cache.entries.remove(&self.keys)).await;
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
