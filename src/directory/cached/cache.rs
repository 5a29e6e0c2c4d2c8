//! The cache of one process: availability of Redis, and pending invalidations.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::task::AbortHandle;

use crate::{
    clock::{moment::Moment, uptime::Uptime},
    directory::cached::{
        breakers::Breakers,
        doubts::Doubts,
        entry_id::EntryId,
        envelope::Kind,
        sealing::{Sealing, Unreadable},
        times::Times,
    },
    error::{Causes, Error},
    session::write_id::WriteIds,
    store::redis::entries::{Entries, Server},
    sync::backoff::Backoff,
    telemetry::health::BackendHealth,
};

/// Maximum length of a user or platform id, in bytes.
const ID_MAX: usize = 1024;
/// Pauses between attempts to remove invalidated keys.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
/// Keys removed at once.
const KEYS_AT_ONCE: usize = 64;

pub(super) struct Cache {
    pub(super) entries: Entries,
    pub(super) times: Times,
    pub(super) write_ids: WriteIds,
    sealing: Sealing,
    uptime: Uptime,
    breakers: Mutex<Breakers>,
    doubts: Mutex<(Doubts, Option<AbortHandle>)>,
}

impl Cache {
    pub(super) fn new(entries: Entries, times: Times, sealing: Sealing) -> Self {
        let (write_ids, uptime, breakers, doubts) = Default::default();
        Self { entries, times, write_ids, sealing, uptime, breakers, doubts }
    }

    pub(super) fn key(&self, kind: Kind, user: &str) -> Box<str> {
        self.entries.key(kind.letter(), user)
    }

    /// Whether Redis is used for an entry.
    pub(super) fn serves(&self, entry_id: &EntryId, key: &str) -> bool {
        entry_id.user.len() <= ID_MAX
            && entry_id.name.len() <= ID_MAX
            && self.sealing.can_keep(entry_id.kind)
            && !self.is_in_doubt(key)
            && self.may_ask(key)
    }

    pub(super) fn is_in_doubt(&self, key: &str) -> bool {
        self.doubts().0.is_in_doubt(key, self.uptime.now())
    }

    /// Whether the server of that key may be called.
    pub(super) fn may_ask(&self, key: &str) -> bool {
        self.breakers().admit(&self.entries.server(key), self.uptime.now())
    }

    pub(super) fn pack(&self, entry_id: &EntryId, key: &str, payload: &[u8]) -> Option<Vec<u8>> {
        self.sealing.pack(entry_id, key, payload)
    }

    pub(super) fn unpack<'a>(
        &self,
        entry_id: &EntryId,
        key: &str,
        entry: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, Unreadable> {
        self.sealing.unpack(entry_id, key, entry)
    }

    /// Waits for the server of a key within the budget, and records whether it responded.
    ///
    /// Cancellation safety: a command that is abandoned may still run; every one is harmless when
    /// late.
    pub(super) async fn within<T>(
        &self,
        key: &str,
        limit: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let server = self.entries.server(key);
        let result = tokio::time::timeout(limit, work).await;
        let result = result.unwrap_or_else(|_| Err(Error::unavailable("no reply in time")));
        match &result {
            Ok(_) => {
                if self.breakers().succeed(&server) {
                    let node = server.node();
                    tracing::info!(node, "redis available: directory entries are cached");
                }
            }
            Err(error) => {
                let servers = || self.entries.all_servers();
                if self.breakers().fail(&server, servers, self.uptime.now()) {
                    let (node, cause) = (server.node(), Causes(error));
                    tracing::warn!(
                        node,
                        %cause,
                        "redis unavailable: directory entries are read from the source"
                    );
                }
            }
        }
        result
    }

    /// Marks keys as pending until Redis has removed them; returns the number that settles them.
    pub(super) fn doubt(&self, keys: &[Box<str>]) -> u64 {
        // Until the lease ends the old value may be stored, and live for its time to live from then
        // on.
        let longest = self.times.loader_lease.saturating_add(self.times.time_to_live);
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let end = self.uptime.now().as_millis().saturating_add(longest);
        self.doubts().0.add(keys, Moment::from_millis(end))
    }

    pub(super) fn settle(&self, keys: &[Box<str>], number: u64) {
        self.doubts().0.settle(keys, number);
    }

    /// Starts the task that removes pending keys once Redis is available, unless it runs.
    pub(super) fn tend(self: &Arc<Self>) {
        let mut doubts = self.doubts();
        if doubts.1.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        // Without a runtime the keys stay pending until the next call.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        doubts.1 = Some(runtime.spawn(remove_all(Arc::downgrade(self))).abort_handle());
    }

    pub(super) fn in_doubt(&self) -> usize {
        self.doubts().0.len()
    }

    pub(super) async fn check(&self) -> Result<(), Error> {
        self.entries.check().await
    }

    pub(super) fn health(&self) -> BackendHealth {
        let answers = self.breakers().let_one_pass(&self.entries.all_servers());
        BackendHealth { answers, ..self.entries.health() }
    }

    /// Removes pending keys; whether all servers of them have confirmed it.
    async fn remove(&self, keys: Vec<Box<str>>, number: u64) -> bool {
        let mut groups = BTreeMap::<Server, Vec<Box<str>>>::new();
        for key in keys {
            groups.entry(self.entries.server(&key)).or_default().push(key);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        // A node that is lost delays the others only until that is known.
        groups.sort_by_key(|(server, _)| !self.breakers().is_closed(server));
        let mut all = true;
        for (_, keys) in groups {
            all &= self.remove_from_one(&keys, number).await;
        }
        all
    }

    /// The same for keys of one server.
    async fn remove_from_one(&self, keys: &[Box<str>], number: u64) -> bool {
        let limit = self.times.budget;
        for keys in keys.chunks(KEYS_AT_ONCE) {
            let Some(first) = keys.first() else { continue };
            if self.within(first, limit, self.entries.remove(keys)).await.is_err() {
                return false;
            }
            self.settle(keys, number);
            tracing::info!(count = keys.len(), "directory entries removed after an outage");
        }
        true
    }

    fn breakers(&self) -> MutexGuard<'_, Breakers> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubts(&self) -> MutexGuard<'_, (Doubts, Option<AbortHandle>)> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes pending keys until there are none, or the cache has been dropped.
async fn remove_all(cache: std::sync::Weak<Cache>) {
    let mut backoff = BACKOFF;
    loop {
        let Some(cache) = cache.upgrade() else { return };
        let (keys, number) = {
            let mut doubts = cache.doubts();
            let all = doubts.0.all();
            if all.0.is_empty() {
                // Under the lock: a later invalidation finds no task and starts one.
                doubts.1 = None;
                return;
            }
            all
        };
        if cache.remove(keys, number).await {
            backoff.reset();
            continue;
        }
        drop(cache);
        backoff.pause().await;
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("entries", &self.entries)
            .field("times", &self.times)
            .field("sealing", &self.sealing)
            .field("in_doubt", &self.in_doubt())
            .finish_non_exhaustive()
    }
}
