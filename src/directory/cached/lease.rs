//! The right to fill an entry, held while its source is asked.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    directory::cached::{cache::Cache, place::Place},
    error::ErrorKind,
    session::write_id::Mark,
    store::redis::entries::{Entry, Taken, Turn},
};

/// Given back when dropped, also if it is not known whether it was taken: others need not wait for
/// its end then.
pub(super) struct Lease {
    cache: Arc<Cache>,
    place: Place,
    key: Box<str>,
    mark: Mark,
    /// What is left of the caller's budget.
    left: Duration,
    held: bool,
}

impl Lease {
    /// Not taken yet.
    pub(super) fn new(cache: &Arc<Cache>, place: &Place, key: &str, mark: Mark) -> Self {
        let (left, cache) = (cache.times.budget, Arc::clone(cache));
        Self { cache, place: place.clone(), key: key.into(), mark, left, held: false }
    }

    /// Reads the entry, and takes the lease where it is due and free. `None` if Redis is of no use.
    ///
    /// Cancellation safety: dropped here, it may have been taken, and is given back.
    pub(super) async fn take(&mut self, ahead: Duration) -> Option<Taken> {
        let (asked, times) = (Instant::now(), self.cache.times);
        self.held = true;
        let taken = self.cache.entries.take(self.entry(), &self.mark, times.loader_lease, ahead);
        let taken = self.cache.within(times.budget, taken).await;
        self.left = times.budget.saturating_sub(asked.elapsed());
        match taken {
            Ok(taken) => {
                self.held = taken.turn == Turn::Ours;
                Some(taken)
            }
            Err(error) => {
                tracing::debug!(kind = ?self.place.kind, %error, "directory entry not read");
                if error.kind() == ErrorKind::Corrupt {
                    // No entry stands under the key, so it is nothing that anybody could miss.
                    let keys = [&*self.key];
                    let removed = self.cache.entries.remove(&keys);
                    self.held = self.cache.within(self.left, removed).await.is_err();
                }
                None
            }
        }
    }

    /// Fills the entry with what the source said, unless it was invalidated meanwhile.
    ///
    /// Cancellation safety: dropped here, the lease is given back or was used.
    pub(super) async fn fill(mut self, payload: &[u8]) {
        let Some(packed) = self.cache.pack(&self.place, &self.key, payload) else {
            return self.clear().await;
        };
        // Our own change that Redis has not been told yet: the value may be older than that.
        if self.cache.is_in_doubt(&self.key) {
            return;
        }
        let life = self.cache.times.time_to_live;
        let fill = self.cache.entries.fill(self.entry(), &self.mark, &packed, life);
        match self.cache.within(self.left, fill).await {
            Ok(filled) => {
                self.held = false;
                tracing::debug!(kind = ?self.place.kind, filled, "directory entry loaded");
            }
            Err(error) => {
                tracing::debug!(kind = ?self.place.kind, %error, "directory entry not filled");
            }
        }
    }

    /// Removes the entry, and the lease with it: there is nothing worth keeping.
    pub(super) async fn clear(mut self) {
        let cleared = self.cache.entries.clear(self.entry());
        self.held = self.cache.within(self.left, cleared).await.is_err();
    }

    /// Lets the lease run out: for that long nobody else tries.
    pub(super) fn keep(mut self) {
        self.held = false;
    }

    fn entry(&self) -> Entry<'_> {
        Entry { key: &self.key, name: &self.place.name }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (cache, place, key) = (Arc::clone(&self.cache), self.place.clone(), self.key.clone());
        let mark = self.mark;
        drop(runtime.spawn(async move {
            let entry = Entry { key: &key, name: &place.name };
            let _ = cache.within(cache.times.budget, cache.entries.release(entry, &mark)).await;
        }));
    }
}
