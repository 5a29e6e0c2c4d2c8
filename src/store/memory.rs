//! The reference model of a store, and the one to test with: no server, no sleep.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::{Clock, timestamp::Timestamp},
    error::Error,
    session::{
        record::{Activity, Record},
        token::SessionId,
    },
    store::{Expected, Login, SaveOutcome, Store, StoreFuture},
    telemetry::status::{Serving, Status},
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
    epochs: HashMap<Box<str>, u64>,
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
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn save(
        &mut self,
        id: &SessionId,
        expected: Expected,
        record: &Record,
        now: Timestamp,
    ) -> SaveOutcome {
        match (self.records.get(id), expected) {
            (None, Expected::Version(_)) => return SaveOutcome::Gone,
            (Some(_), Expected::Absent) => return SaveOutcome::Taken,
            (Some(current), Expected::Version(version)) if current.version() != version => {
                return SaveOutcome::Conflict(current.clone());
            }
            _ => {}
        }
        self.put(*id, record, now);
        SaveOutcome::Saved
    }

    fn delete_if(&mut self, id: &SessionId, expected: u64) -> SaveOutcome {
        match self.records.get(id) {
            None => return SaveOutcome::Gone,
            Some(current) if current.version() != expected => {
                return SaveOutcome::Conflict(current.clone());
            }
            Some(_) => {}
        }
        self.records.remove(id);
        SaveOutcome::Saved
    }

    fn renew(
        &mut self,
        old: &SessionId,
        expected: u64,
        new: &SessionId,
        record: &Record,
        now: Timestamp,
    ) -> SaveOutcome {
        match self.records.get(old) {
            None => return SaveOutcome::Gone,
            Some(current) if current.version() != expected => {
                return SaveOutcome::Conflict(current.clone());
            }
            Some(_) => {}
        }
        if self.records.contains_key(new) {
            return SaveOutcome::Taken;
        }
        self.records.remove(old);
        self.put(*new, record, now);
        SaveOutcome::Saved
    }

    fn login(&mut self, login: Login<'_>, now: Timestamp) -> SaveOutcome {
        let Login { old, new, record, epoch, limit } = login;
        let user = record.user().unwrap_or_default();
        if epoch.is_some_and(|epoch| epoch != self.epoch(user)) {
            return SaveOutcome::Revoked;
        }
        let outcome = match old {
            Some((old, expected)) => self.renew(old, expected, new, record, now),
            None => self.save(new, Expected::Absent, record, now),
        };
        if let (SaveOutcome::Saved, Some(limit)) = (&outcome, limit) {
            self.end_oldest(user, new, usize::try_from(limit.get()).unwrap_or(usize::MAX), now);
        }
        outcome
    }

    /// Ends the oldest sessions of a user beyond `limit`; `new` stays.
    fn end_oldest(&mut self, user: &str, new: &SessionId, limit: usize, now: Timestamp) {
        let theirs = |(id, record): &(&SessionId, &Record)| {
            record.user() == Some(user) && *id != new && record.end() > now
        };
        let others = self.records.iter().filter(theirs);
        let mut others: Vec<_> = others.map(|(id, record)| (record.created(), *id)).collect();
        others.sort_unstable();
        for (_, id) in others.iter().rev().skip(limit.saturating_sub(1)) {
            self.records.remove(id);
        }
    }

    fn epoch(&self, user: &str) -> u64 {
        self.epochs.get(user).copied().unwrap_or_default()
    }

    fn sessions_of(&self, user: &str) -> Vec<(SessionId, Record)> {
        let theirs = self.records.iter().filter(|(_, record)| record.user() == Some(user));
        theirs.map(|(id, record)| (*id, record.clone())).collect()
    }

    fn revoke_all(&mut self, user: &str, keep: Option<&SessionId>, now: Timestamp) -> u64 {
        *self.epochs.entry(user.into()).or_default() += 1;
        let mut alive = 0;
        self.records.retain(|id, record| {
            let theirs = record.user() == Some(user) && keep != Some(id);
            alive += u64::from(theirs && record.end() > now);
            !theirs
        });
        alive
    }

    fn touch(&mut self, id: &SessionId, version: u64, activity: Activity) -> bool {
        let record = self.records.get_mut(id).filter(|record| record.version() == version);
        record.is_some_and(|record| record.touch(activity))
    }

    fn put(&mut self, id: SessionId, record: &Record, now: Timestamp) {
        self.writes += 1;
        if self.writes.is_multiple_of(SWEEP_EVERY) {
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
        done(self.state().save(id, expected, record, self.clock.now()))
    }

    fn begin_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        done(self.state().renew(old, expected, new, record, self.clock.now()))
    }

    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        version: u64,
        activity: Activity,
    ) -> StoreFuture<'a, bool> {
        done(self.state().touch(id, version, activity))
    }

    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, ()> {
        self.state().records.remove(id);
        done(())
    }

    fn delete_if<'a>(&'a self, id: &'a SessionId, expected: u64) -> StoreFuture<'a, SaveOutcome> {
        done(self.state().delete_if(id, expected))
    }

    fn epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
        done(self.state().epoch(user))
    }

    fn login<'a>(&'a self, login: Login<'a>) -> StoreFuture<'a, SaveOutcome> {
        done(self.state().login(login, self.clock.now()))
    }

    fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        done(self.state().sessions_of(user))
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        keep: Option<&'a SessionId>,
    ) -> StoreFuture<'a, u64> {
        done(self.state().revoke_all(user, keep, self.clock.now()))
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
