//! Failed attempts in the memory of this process.

use std::{
    collections::HashMap,
    fmt,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::Clock,
    store::{
        AttemptOutcome, AttemptStore, AttemptWrite, StoreFuture,
        attempts::{AttemptKey, AttemptRow, Change, TAG_LEN},
    },
};

/// Failed attempts in the memory of this process, for a [`MemoryStore`](crate::MemoryStore) and for
/// stores of yours. Clones are one table. Instances that do not share it count apart, and a restart
/// forgets every failure.
///
/// ```
/// use tower_redis_session::{clock::Clock, store::AttemptTable};
///
/// let table = AttemptTable::new(Clock::system());
/// assert!(table.is_empty());
/// ```
#[derive(Clone)]
pub struct AttemptTable {
    buckets: Arc<Mutex<HashMap<u32, Bucket>>>,
    clock: Clock,
}

type Bucket = Vec<([u8; TAG_LEN], AttemptRow)>;

impl AttemptTable {
    /// An empty table on this clock.
    ///
    /// ```
    /// # use tower_redis_session::{clock::Clock, store::AttemptTable};
    /// assert_eq!(AttemptTable::new(Clock::system()).len(), 0);
    /// ```
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { buckets: Arc::default(), clock }
    }

    /// Number of rows, with those that have ended and are not replaced yet.
    ///
    /// ```
    /// # use tower_redis_session::{clock::Clock, store::AttemptTable};
    /// assert_eq!(AttemptTable::new(Clock::system()).len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets().values().map(Vec::len).sum()
    }

    /// Whether it has no row.
    ///
    /// ```
    /// # use tower_redis_session::{clock::Clock, store::AttemptTable};
    /// assert!(AttemptTable::new(Clock::system()).is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<u32, Bucket>> {
        // Nothing that can panic runs under this lock.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(&self, write: &AttemptWrite) -> AttemptOutcome {
        let (mut buckets, now) = (self.buckets(), self.clock.now());
        let found: Vec<_> = write.keys().map(|key| find(&buckets, &key)).collect();
        let (outcome, changes) = write.decide(&found, now);
        for (place, (key, change)) in write.keys().zip(changes).enumerate() {
            match change {
                Change::Keep => {}
                Change::Remove => {
                    let bucket = buckets.entry(key.bucket).or_default();
                    bucket.retain(|(tag, _)| *tag != key.tag);
                }
                Change::Put(row) => {
                    let bucket = buckets.entry(key.bucket).or_default();
                    put(bucket, &key, row, (write, place), now.as_millis());
                }
            }
        }
        outcome
    }
}

fn find(buckets: &HashMap<u32, Bucket>, key: &AttemptKey) -> Option<AttemptRow> {
    let found = buckets.get(&key.bucket)?.iter().find(|(tag, _)| *tag == key.tag);
    found.map(|(_, row)| *row)
}

fn put(
    bucket: &mut Bucket,
    key: &AttemptKey,
    mut row: AttemptRow,
    (write, place): (&AttemptWrite, usize),
    now: u64,
) {
    if let Some((_, stored)) = bucket.iter_mut().find(|(tag, _)| *tag == key.tag) {
        *stored = row;
        return;
    }
    bucket.retain(|(_, row)| row.ends > now);
    if bucket.len() >= usize::try_from(write.ways).unwrap_or(usize::MAX) {
        // None of this attempt's own, which may have been put just now.
        let others = bucket.iter().enumerate();
        let others = others.filter(|(_, (tag, _))| write.keys().all(|key| key.tag != *tag));
        let weakest = others.min_by_key(|(_, (_, row))| row.weight());
        if let Some(weakest) = weakest.map(|(weakest, _)| weakest) {
            let (_, displaced) = bucket.swap_remove(weakest);
            row = write.taking_over(place, row, displaced.failures, now);
        }
    }
    bucket.push((key.tag, row));
}

impl AttemptStore for AttemptTable {
    fn write<'a>(&'a self, write: &'a AttemptWrite) -> StoreFuture<'a, AttemptOutcome> {
        Box::pin(ready(Ok(self.decide(write))))
    }
}

impl fmt::Debug for AttemptTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptTable").field("rows", &self.len()).finish_non_exhaustive()
    }
}
