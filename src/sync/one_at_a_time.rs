//! At most one concurrent task for each key.

use std::{
    collections::HashSet,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// The keys with a task in progress.
pub(crate) struct OneAtATime<K: Eq + Hash>(Arc<Mutex<HashSet<K>>>);

/// The turn of a key; the next task may start when it is dropped.
pub(crate) struct Turn<K: Clone + Eq + Hash> {
    under_way: Arc<Mutex<HashSet<K>>>,
    key: K,
}

impl<K: Clone + Eq + Hash> OneAtATime<K> {
    /// `None` while another task holds the turn of that key.
    pub(crate) fn begin(&self, key: K) -> Option<Turn<K>> {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        first.then(|| Turn { under_way: Arc::clone(&self.0), key })
    }
}

impl<K: Clone + Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        let _ = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<K: Eq + Hash> Default for OneAtATime<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

// Not the keys, which may identify a person.
impl<K: Eq + Hash> fmt::Debug for OneAtATime<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OneAtATime").finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash> fmt::Debug for Turn<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Turn").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::sync::one_at_a_time::*;

    #[test]
    fn one_a_key_and_the_next_when_it_is_over() {
        let turns = OneAtATime::default();
        let first = turns.begin("a").unwrap();
        assert!(turns.begin("a").is_none() && turns.begin("b").is_some());
        drop(first);
        assert!(turns.begin("a").is_some());
    }
}
