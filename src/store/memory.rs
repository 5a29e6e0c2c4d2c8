//! In-memory store: the reference model, for tests without a server or sleeps.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::Clock,
    error::Error,
    session::{
        record::{Record, Touch},
        token::SessionId,
    },
    store::{
        AttemptStore, Expected, LoginWrite, SaveOutcome, Store, StoreFuture, UserStore,
        memory::{attempts::AttemptTable, state::State},
    },
    telemetry::{
        events::Events,
        health::{Health, Serving},
    },
};

pub(crate) mod attempts;
mod state;

/// Sessions in the memory of this process: for tests, development and a single small server.
///
/// Sessions end with the process. Clones are one store, for two layers. With
/// [`with_clock`](Self::with_clock) a test controls the time.
///
/// ```
/// use tower_redis_session::{MemoryStore, RedisSessionLayer};
///
/// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
/// # drop(layer);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    attempts: AttemptTable,
    clock: Clock,
    events: Events,
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

    /// An empty store with the given clock; the layer above uses it too.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, clock::ManualClock, store::Store};
    /// let manual = ManualClock::new();
    /// let store = MemoryStore::with_clock(manual.clock());
    /// assert_eq!(store.clock().now(), manual.clock().now());
    /// ```
    pub fn with_clock(clock: Clock) -> Self {
        let attempts = AttemptTable::new(clock.clone());
        Self { state: Arc::default(), attempts, clock, events: Events::default() }
    }

    /// Number of live sessions.
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

impl Store for MemoryStore {
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        done(self.state().load(id, self.clock.now()))
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
        activity: Touch,
    ) -> StoreFuture<'a, bool> {
        done(self.state().touch(id, version, activity))
    }

    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, bool> {
        done(self.state().delete(id, self.clock.now()))
    }

    fn delete_version<'a>(
        &'a self,
        id: &'a SessionId,
        expected: u64,
    ) -> StoreFuture<'a, SaveOutcome> {
        done(self.state().delete_version(id, expected))
    }

    fn attempts(&self) -> Option<&dyn AttemptStore> {
        Some(&self.attempts)
    }

    fn clock(&self) -> Clock {
        self.clock.clone()
    }

    fn events(&self) -> Events {
        self.events.clone()
    }

    fn health(&self) -> Health {
        Health::new(Serving::Memory)
    }
}

impl UserStore for MemoryStore {
    fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
        done(self.state().epoch(user))
    }

    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
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
