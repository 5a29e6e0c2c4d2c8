//! The cache of one process: availability of Redis, and pending invalidations.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::task::AbortHandle;

use crate::{
    clock::{moment::Moment, uptime::Uptime},
    directory::cached::{
        doubts::Doubts,
        entry_id::EntryId,
        envelope::Kind,
        sealing::{Sealing, Unreadable},
        times::Times,
    },
    error::{Causes, Error},
    session::write_id::WriteIds,
    store::redis::entries::Entries,
    sync::{
        backoff::Backoff,
        circuit_breaker::{CircuitBreaker, Policy, Retry},
    },
    telemetry::health::BackendHealth,
};

/// Maximum length of a user or platform id, in bytes.
const ID_MAX: usize = 1024;
/// Pauses between attempts to remove invalidated keys.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
/// When the circuit breaker opens, and who retries.
const POLICY: Policy = Policy { threshold: 3, retry: Retry::OneEvery(Duration::from_secs(1)) };
/// Keys removed by one command.
const KEYS_PER_COMMAND: usize = 256;

pub(super) struct Cache {
    pub(super) entries: Entries,
    pub(super) times: Times,
    pub(super) write_ids: WriteIds,
    sealing: Sealing,
    uptime: Uptime,
    breaker: Mutex<CircuitBreaker<Moment>>,
    doubts: Mutex<(Doubts, Option<AbortHandle>)>,
}

impl Cache {
    pub(super) fn new(entries: Entries, times: Times, sealing: Sealing) -> Self {
        let (write_ids, uptime, doubts) = Default::default();
        let breaker = Mutex::new(CircuitBreaker::new(POLICY));
        Self { entries, times, write_ids, sealing, uptime, breaker, doubts }
    }

    pub(super) fn key(&self, kind: Kind, user: &str) -> Box<str> {
        format!("{}{}:{user}", self.entries.prefix(), kind.letter()).into()
    }

    /// Whether Redis is used for an entry.
    pub(super) fn serves(&self, entry_id: &EntryId, key: &str) -> bool {
        entry_id.user.len() <= ID_MAX
            && entry_id.name.len() <= ID_MAX
            && self.sealing.can_keep(entry_id.kind)
            && !self.is_in_doubt(key)
            && self.may_ask()
    }

    pub(super) fn is_in_doubt(&self, key: &str) -> bool {
        self.doubts().0.is_in_doubt(key, self.uptime.now())
    }

    pub(super) fn may_ask(&self) -> bool {
        self.breaker().admit(self.uptime.now())
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

    /// Waits for Redis within the budget, and records whether it responded.
    ///
    /// Cancellation safety: a command that is abandoned may still run; every one is harmless when
    /// late.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let result = tokio::time::timeout(limit, work).await;
        let result = result.unwrap_or_else(|_| Err(Error::unavailable("no reply in time")));
        match &result {
            Ok(_) => {
                if self.breaker().succeed() {
                    tracing::info!("redis available: directory entries are cached");
                }
            }
            Err(error) => {
                if self.breaker().fail(self.uptime.now()) {
                    let cause = Causes(error);
                    tracing::warn!(
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
        let answers = self.breaker().is_closed();
        BackendHealth { answers, ..self.entries.health() }
    }

    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker<Moment>> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
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
            let some = doubts.0.some(KEYS_PER_COMMAND);
            if some.0.is_empty() {
                // Under the lock: a later invalidation finds no task and starts one.
                doubts.1 = None;
                return;
            }
            some
        };
        let limit = cache.times.budget;
        if cache.within(limit, cache.entries.remove(&keys)).await.is_ok() {
            cache.settle(&keys, number);
            tracing::info!(count = keys.len(), "directory entries removed after an outage");
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

#[cfg(test)]
mod tests {
    use crate::directory::cached::cache::*;

    #[test]
    fn after_three_failures_in_a_row_one_a_second_tries() {
        let at = Moment::from_millis;
        let mut breaker = CircuitBreaker::new(POLICY);
        assert!(!breaker.fail(at(1)) && !breaker.fail(at(2)));
        assert!(!breaker.succeed(), "was never left alone");
        assert!(!breaker.fail(at(3)) && !breaker.fail(at(4)) && breaker.admit(at(4)));
        assert!(breaker.fail(at(5)), "the third in a row");
        assert!(!breaker.admit(at(5)) && !breaker.admit(at(1_004)));
        assert!(breaker.admit(at(1_005)), "one tries");
        assert!(!breaker.admit(at(1_006)), "and nobody beside it");
        assert!(!breaker.fail(at(1_100)), "was left alone before");
        assert!(!breaker.admit(at(2_099)) && breaker.admit(at(2_100)));
        assert!(breaker.succeed());
        assert!(breaker.admit(at(2_101)) && breaker.admit(at(2_101)));
    }
}
