//! A map whose slots exist only while they are held, so that it needs no clean-up.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// State shared by the holders of the same key.
pub(crate) struct SlotMap<K, V>(Mutex<HashMap<K, Entry<V>>>);

struct Entry<V> {
    holders: usize,
    value: Arc<V>,
}

impl<K: Clone + Eq + Hash, V: Default> SlotMap<K, V> {
    /// The slot of `key`: a new one, unless it is held.
    pub(crate) fn hold(&self, key: K) -> Slot<'_, K, V> {
        let mut slots = self.lock();
        let entry = slots.entry(key.clone()).or_default();
        entry.holders += 1;
        let value = Arc::clone(&entry.value);
        Slot { map: self, key, value }
    }
}

impl<K: Eq + Hash, V> SlotMap<K, V> {
    pub(crate) fn is_held(&self, key: &K) -> bool {
        self.lock().contains_key(key)
    }
}

impl<K, V> SlotMap<K, V> {
    /// Number of keys that are held.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A held slot. The last holder removes it from the map when dropped: a lock guard inside has to be
/// released before, since the next caller gets a new slot.
pub(crate) struct Slot<'a, K: Eq + Hash, V> {
    map: &'a SlotMap<K, V>,
    key: K,
    value: Arc<V>,
}

impl<K: Eq + Hash, V> Slot<'_, K, V> {
    pub(crate) const fn value(&self) -> &Arc<V> {
        &self.value
    }
}

impl<K: Eq + Hash, V> Drop for Slot<'_, K, V> {
    fn drop(&mut self) {
        let mut slots = self.map.lock();
        if let Some(entry) = slots.get_mut(&self.key) {
            entry.holders -= 1;
            if entry.holders == 0 {
                let _ = slots.remove(&self.key);
            }
        }
    }
}

impl<V: Default> Default for Entry<V> {
    fn default() -> Self {
        Self { holders: 0, value: Arc::default() }
    }
}

impl<K, V> Default for SlotMap<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

// Neither the keys, which may identify a person, nor the shared state.
impl<K, V> fmt::Debug for SlotMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotMap").field("held", &self.len()).finish()
    }
}

impl<K: Eq + Hash, V> fmt::Debug for Slot<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicU64, thread};

    use crate::sync::slot_map::*;

    #[test]
    fn those_who_hold_a_key_share_its_slot_and_the_last_takes_it_along() {
        let slots = SlotMap::<&str, AtomicU64>::default();
        let (one, two, other) = (slots.hold("a"), slots.hold("a"), slots.hold("b"));
        assert!(Arc::ptr_eq(one.value(), two.value()));
        assert!(!Arc::ptr_eq(one.value(), other.value()));
        assert_eq!(slots.len(), 2);
        drop(one);
        let three = slots.hold("a");
        assert!(Arc::ptr_eq(two.value(), three.value()), "still held");
        drop((two, three));
        assert_eq!(slots.len(), 1);
        drop(other);
        assert_eq!(slots.len(), 0);
    }

    #[test]
    fn nothing_stays_however_holders_come_and_go_at_the_same_time() {
        let slots = SlotMap::<u64, AtomicU64>::default();
        thread::scope(|scope| {
            for _ in 0..4 {
                let _ = scope.spawn(|| {
                    for turn in 0..2_000 {
                        let (_one, _two) = (slots.hold(turn % 3), slots.hold(turn % 2));
                    }
                });
            }
        });
        assert_eq!(slots.len(), 0);
    }
}
