//! Keyed lock: callers with the same key take turns, others do not wait.

use std::{hash::Hash, time::Duration};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::sync::slot_map::{Slot, SlotMap};

/// Maximum wait for a turn. Turns only avoid conflicts; a caller that waits longer continues
/// without, so correctness must not depend on them.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// One lock per key, which exists only while it is held or waited for.
#[derive(Debug)]
pub(crate) struct KeyedLock<K>(SlotMap<K, Mutex<()>>);

/// A turn; released when dropped.
#[derive(Debug)]
pub(crate) struct KeyedGuard<'a, K: Eq + Hash> {
    // Dropped in this order: the lock is released before its slot.
    _guard: Option<OwnedMutexGuard<()>>,
    _slot: Slot<'a, K, Mutex<()>>,
}

impl<K: Clone + Eq + Hash> KeyedLock<K> {
    /// Whether a caller has a turn, or waits for one.
    pub(crate) fn is_held(&self, key: &K) -> bool {
        self.0.is_held(key)
    }

    /// Waits for earlier callers with this key, up to the maximum.
    pub(crate) async fn acquire(&self, key: K) -> KeyedGuard<'_, K> {
        // Cancellation safety: a caller dropped during the wait releases its slot.
        let slot = self.0.hold(key);
        let lock = std::sync::Arc::clone(slot.value());
        let guard = tokio::time::timeout(LONGEST_WAIT, lock.lock_owned()).await.ok();
        KeyedGuard { _guard: guard, _slot: slot }
    }
}

impl<K> Default for KeyedLock<K> {
    fn default() -> Self {
        Self(SlotMap::default())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use crate::sync::keyed_lock::*;

    #[tokio::test]
    async fn one_key_takes_turns_others_pass_and_nothing_stays() {
        let locks = KeyedLock::default();
        let first = locks.acquire("one").await;
        let other = locks.acquire("other").await;
        let mut waiting = Box::pin(locks.acquire("one"));
        let mut leaves = Box::pin(locks.acquire("one"));
        assert!(poll!(&mut waiting).is_pending() && poll!(&mut leaves).is_pending());
        drop(leaves);
        drop(first);
        drop(waiting.await);
        drop(other);
        assert_eq!(locks.0.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_goes_on_without() {
        let locks = KeyedLock::default();
        let first = locks.acquire("one").await;
        assert!(first._guard.is_some());
        assert!(locks.acquire("one").await._guard.is_none());
        let mut third = Box::pin(locks.acquire("one"));
        assert!(poll!(&mut third).is_pending(), "who went on without left the lock as it was");
    }
}
