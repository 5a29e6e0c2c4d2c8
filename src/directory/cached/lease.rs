//! Fill lease: the right to fill an entry, held while the source is read.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    directory::cached::{cache::Cache, entry_id::EntryId},
    error::ErrorKind,
    session::write_id::WriteId,
    store::redis::entries::{Entry, Filler, Taken},
};

/// Released when dropped, also if it is unknown whether it was acquired, so that others need not
/// wait for its expiry.
pub(super) struct Lease {
    cache: Arc<Cache>,
    entry_id: EntryId,
    key: Box<str>,
    mark: WriteId,
    /// Rest of the caller's budget.
    left: Duration,
    held: bool,
}

impl Lease {
    /// A lease that is not acquired yet.
    pub(super) fn new(cache: &Arc<Cache>, entry_id: &EntryId, key: &str, mark: WriteId) -> Self {
        let (left, cache) = (cache.times.budget, Arc::clone(cache));
        Self { cache, entry_id: entry_id.clone(), key: key.into(), mark, left, held: false }
    }

    /// Reads the entry, and acquires the lease if a fill is due and the lease is free. `None` if
    /// Redis is unavailable or slow.
    ///
    /// Cancellation safety: dropped here, it may have been acquired, and is released.
    pub(super) async fn take(&mut self, ahead: Duration) -> Option<Taken> {
        let (asked, times) = (Instant::now(), self.cache.times);
        self.held = true;
        let taken = self.cache.entries.take(self.entry(), &self.mark, times.loader_lease, ahead);
        let taken = self.cache.within(&self.key, times.budget, taken).await;
        self.left = times.budget.saturating_sub(asked.elapsed());
        match taken {
            Ok(taken) => {
                self.held = taken.filler == Filler::Ours;
                Some(taken)
            }
            Err(error) => {
                tracing::debug!(kind = ?self.entry_id.kind, %error, "directory entry not read");
                if error.kind() == ErrorKind::Corrupt {
                    // No entry exists under the key, so removing it loses nothing.
                    let keys = [&*self.key];
                    let removed = self.cache.entries.remove(&keys);
                    self.held = self.cache.within(&self.key, self.left, removed).await.is_err();
                }
                None
            }
        }
    }

    /// Fills the entry with the source's value, unless it was invalidated in the meantime.
    ///
    /// Cancellation safety: dropped here, the lease is released or was used.
    pub(super) async fn fill(mut self, payload: &[u8]) {
        let Some(packed) = self.cache.pack(&self.entry_id, &self.key, payload) else {
            return self.clear().await;
        };
        // An own invalidation that Redis has not confirmed: the value may be older than the change.
        if self.cache.is_in_doubt(&self.key) {
            return;
        }
        let life = self.cache.times.time_to_live;
        let fill = self.cache.entries.fill(self.entry(), &self.mark, &packed, life);
        match self.cache.within(&self.key, self.left, fill).await {
            Ok(filled) => {
                self.held = false;
                tracing::debug!(kind = ?self.entry_id.kind, filled, "directory entry loaded");
            }
            Err(error) => {
                tracing::debug!(kind = ?self.entry_id.kind, %error, "directory entry not filled");
            }
        }
    }

    /// Removes the entry and the lease: the value is not cacheable.
    pub(super) async fn clear(mut self) {
        let cleared = self.cache.entries.clear(self.entry());
        self.held = self.cache.within(&self.key, self.left, cleared).await.is_err();
    }

    /// Lets the lease expire: until then no other caller retries.
    pub(super) fn keep(mut self) {
        self.held = false;
    }

    fn entry(&self) -> Entry<'_> {
        Entry { key: &self.key, name: &self.entry_id.name }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (cache, entry_id, key) =
            (Arc::clone(&self.cache), self.entry_id.clone(), self.key.clone());
        let mark = self.mark;
        drop(runtime.spawn(async move {
            let entry = Entry { key: &key, name: &entry_id.name };
            let released = cache.entries.release(entry, &mark);
            let _ = cache.within(&key, cache.times.budget, released).await;
        }));
    }
}
