//! The reference model of a store, and the one to test with: no server, no sleep.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Expected, SaveOutcome, Store, StoreFuture};
use crate::{
    clock::Clock,
    error::Error,
    record::{Activity, Record},
    status::{Serving, Status},
    token::SessionId,
};

/// How many writes pass between two sweeps of records that have ended.
const SWEEP_EVERY: usize = 1024;

/// Sessions in the memory of this process: for tests, development and a single small server.
///
/// Sessions end with the process. With [`with_clock`](Self::with_clock) a test moves time itself.
///
/// ```
/// use tower_redis_session::{MemoryStore, RedisSessionLayer};
///
/// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
/// # drop(layer);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
pub struct MemoryStore {
    state: Mutex<State>,
    clock: Clock,
}

#[derive(Default)]
struct State {
    records: HashMap<SessionId, Record>,
    writes: usize,
}

impl MemoryStore {
    /// An empty store on the system's clock.
    ///
    /// ```
    /// # use tower_redis_session::MemoryStore;
    /// assert!(MemoryStore::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    /// An empty store on a clock of the caller's; the layer above uses the same.
    ///
    /// ```
    /// # use tower_redis_session::{ManualClock, MemoryStore, Store};
    /// let manual = ManualClock::new();
    /// let store = MemoryStore::with_clock(manual.clock());
    /// assert_eq!(store.clock().now(), manual.clock().now());
    /// ```
    pub fn with_clock(clock: Clock) -> Self {
        Self { state: Mutex::default(), clock }
    }

    /// How many sessions are alive.
    ///
    /// ```
    /// # use tower_redis_session::MemoryStore;
    /// assert_eq!(MemoryStore::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        let now = self.clock.now();
        self.state().records.values().filter(|record| record.end() > now).count()
    }

    /// Whether no session is alive.
    ///
    /// ```
    /// # use tower_redis_session::MemoryStore;
    /// assert!(MemoryStore::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is one insert or remove, so a panic elsewhere left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save_now(&self, id: &SessionId, expected: Expected, record: &Record) -> SaveOutcome {
        let mut state = self.state();
        match (state.records.get(id), expected) {
            (None, Expected::Version(_)) => return SaveOutcome::Gone,
            (Some(_), Expected::Absent) => return SaveOutcome::Taken,
            (Some(current), Expected::Version(version)) if current.version() != version => {
                return SaveOutcome::Conflict(current.clone());
            }
            _ => {}
        }
        state.put(*id, record, &self.clock);
        SaveOutcome::Saved
    }

    fn delete_now(&self, id: &SessionId, expected: u64) -> SaveOutcome {
        let mut state = self.state();
        match state.records.get(id) {
            None => return SaveOutcome::Gone,
            Some(current) if current.version() != expected => {
                return SaveOutcome::Conflict(current.clone());
            }
            Some(_) => {}
        }
        state.records.remove(id);
        SaveOutcome::Saved
    }

    fn renew_now(
        &self,
        old: &SessionId,
        expected: u64,
        new: &SessionId,
        record: &Record,
    ) -> SaveOutcome {
        let mut state = self.state();
        match state.records.get(old) {
            None => return SaveOutcome::Gone,
            Some(current) if current.version() != expected => {
                return SaveOutcome::Conflict(current.clone());
            }
            Some(_) => {}
        }
        if state.records.contains_key(new) {
            return SaveOutcome::Taken;
        }
        state.records.remove(old);
        state.put(*new, record, &self.clock);
        SaveOutcome::Saved
    }

    fn touch_now(&self, id: &SessionId, version: u64, activity: Activity) -> bool {
        let mut state = self.state();
        let record = state.records.get_mut(id).filter(|record| record.version() == version);
        record.is_some_and(|record| record.touch(activity))
    }
}

impl State {
    fn put(&mut self, id: SessionId, record: &Record, clock: &Clock) {
        self.writes += 1;
        if self.writes.is_multiple_of(SWEEP_EVERY) {
            let now = clock.now();
            self.records.retain(|_, record| record.end() > now);
        }
        self.records.insert(id, record.clone());
    }
}

impl Store for MemoryStore {
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        done(self.state().records.get(id).cloned())
    }

    fn save<'a>(
        &'a self,
        id: &'a SessionId,
        expected: Expected,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        done(self.save_now(id, expected, record))
    }

    fn renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        done(self.renew_now(old, expected, new, record))
    }

    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        version: u64,
        activity: Activity,
    ) -> StoreFuture<'a, bool> {
        done(self.touch_now(id, version, activity))
    }

    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, ()> {
        self.state().records.remove(id);
        done(())
    }

    fn delete_if<'a>(&'a self, id: &'a SessionId, expected: u64) -> StoreFuture<'a, SaveOutcome> {
        done(self.delete_now(id, expected))
    }

    fn clock(&self) -> Clock {
        self.clock.clone()
    }

    fn status(&self) -> Status {
        Status::of(Serving::Memory)
    }
}

fn done<'a, T: Send + 'a>(value: T) -> StoreFuture<'a, T> {
    Box::pin(std::future::ready(Ok::<T, Error>(value)))
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("sessions", &self.len()).finish_non_exhaustive()
    }
}
