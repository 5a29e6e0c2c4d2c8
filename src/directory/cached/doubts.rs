//! Pending invalidations: keys that Redis may still hold although they changed. Pure, over a given
//! now.

use std::collections::HashMap;

use crate::clock::moment::Moment;

/// Maximum number of remembered keys. Beyond it no entry of Redis is trusted for a while.
const KEYS_MAX: usize = 4_096;

/// Keys whose removal Redis has not confirmed.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    keys: HashMap<Box<str>, u64>,
    drawn: u64,
    /// Until when every key is pending, since there were too many to remember.
    all_until: Option<Moment>,
}

impl Doubts {
    /// Marks the keys as pending from now on; the number distinguishes this mark from later ones.
    /// `end` is when all entries that Redis holds now have expired.
    pub(super) fn add(&mut self, keys: &[Box<str>], end: Moment) -> u64 {
        self.drawn += 1;
        for key in keys {
            if self.keys.len() < KEYS_MAX || self.keys.contains_key(key) {
                let _ = self.keys.insert(key.clone(), self.drawn);
            } else {
                self.all_until = self.all_until.max(Some(end));
            }
        }
        self.drawn
    }

    /// The keys were removed after mark `number` was set: clears it, and no later one.
    pub(super) fn settle(&mut self, keys: &[Box<str>], number: u64) {
        for key in keys {
            if self.keys.get(key).is_some_and(|doubt| *doubt <= number) {
                let _ = self.keys.remove(key);
            }
        }
    }

    pub(super) fn is_in_doubt(&self, key: &str, now: Moment) -> bool {
        self.keys.contains_key(key) || self.all_until.is_some_and(|end| now < end)
    }

    /// The pending keys, and the number that settles them.
    pub(super) fn all(&self) -> (Vec<Box<str>>, u64) {
        (self.keys.keys().cloned().collect(), self.drawn)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use crate::directory::cached::doubts::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn keys(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn a_doubt_ends_by_a_removal_that_was_sent_after_it_began() {
        let mut doubts = Doubts::default();
        let _ = doubts.add(&keys(&["a", "b"]), at(9));
        assert!(doubts.is_in_doubt("a", at(1)) && doubts.is_in_doubt("b", at(1)));
        assert!(!doubts.is_in_doubt("c", at(1)));
        let (all, number) = doubts.all();
        // Changed once more while the removal is under way.
        let later = doubts.add(&keys(&["a"]), at(9));
        doubts.settle(&all, number);
        assert!(doubts.is_in_doubt("a", at(1)) && !doubts.is_in_doubt("b", at(1)));
        doubts.settle(&keys(&["a"]), later);
        assert_eq!(doubts.len(), 0);
    }

    #[test]
    fn too_many_to_remember_put_everything_in_doubt_until_all_of_it_is_over() {
        let mut doubts = Doubts::default();
        for count in 0..KEYS_MAX {
            let _ = doubts.add(&keys(&[&count.to_string()]), at(50));
        }
        assert!(!doubts.is_in_doubt("another", at(1)));
        let _ = doubts.add(&keys(&["0"]), at(60));
        assert!(!doubts.is_in_doubt("another", at(1)), "it was remembered before");
        let _ = doubts.add(&keys(&["one too many"]), at(100));
        let _ = doubts.add(&keys(&["an earlier end"]), at(70));
        assert!(doubts.is_in_doubt("another", at(99)) && !doubts.is_in_doubt("another", at(100)));
        assert!(doubts.is_in_doubt("0", at(100)));
        assert_eq!((doubts.all().0.len(), doubts.len()), (KEYS_MAX, KEYS_MAX));
    }
}
