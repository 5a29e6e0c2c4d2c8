//! Idle connections, and attempts to open more.
//!
//! The library's pool validates a connection at each return: one that was used a moment ago is kept
//! here instead, and returned to the pool when it is unused for a second.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::postgres::PgConnection;
use tokio::{
    runtime::{Handle, Id},
    sync::Notify,
    time::{sleep, timeout},
};

use crate::store::database::{
    failure::late,
    postgres::{
        attempts::Attempts,
        failure::Failure,
        pool::{Held, Pool},
        server::Server,
    },
};

/// How long a connection is kept here. One used within this time is not validated again, which
/// would be a second round trip.
const REST: Duration = Duration::from_secs(1);
/// However much it is used, a connection is returned to the pool at this interval, which closes it
/// when it is old.
const SEEN_EVERY: Duration = Duration::from_secs(5 * 60);

pub(super) struct Idle {
    pool: Pool,
    timeout: Duration,
    state: Mutex<State>,
    /// A connection became idle, or an attempt to open one has ended.
    changed: Notify,
}

#[derive(Default)]
struct State {
    resting: Vec<Resting>,
    /// Number of callers that wait for a connection now.
    wanting: usize,
    attempts: Attempts,
    /// When the task was started that returns connections to the pool.
    keeper: Option<Instant>,
}

struct Resting {
    connection: Held,
    /// When the pool returned it.
    taken: Instant,
    since: Instant,
    /// A connection ends with the runtime in which it was opened.
    runtime: Option<Id>,
}

impl Idle {
    pub(super) fn new(server: &Arc<Server>, size: u32, timeout: Duration) -> Self {
        let pool = Pool::new(server, size);
        Self { pool, timeout, state: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Number of open connections, and of idle ones among them.
    pub(super) fn state(&self) -> (u32, u32) {
        let (open, idle) = self.pool.state();
        let resting = u32::try_from(self.lock().resting.len()).unwrap_or(u32::MAX);
        (open, idle.saturating_add(resting))
    }

    /// A connection that was used a moment ago.
    pub(super) fn take_at_once(self: &Arc<Self>) -> Option<Busy> {
        let here = runtime();
        let mut state = self.lock();
        let place = state.resting.iter().rposition(|resting| resting.runtime == here)?;
        let resting = state.resting.swap_remove(place);
        drop(state);
        let is_good = resting.since.elapsed() <= REST
            && resting.taken.elapsed() <= SEEN_EVERY
            && !self.pool.server.is_doubted(resting.taken);
        if !is_good {
            self.give_back(vec![resting]);
            return None;
        }
        let Resting { connection, taken, runtime, .. } = resting;
        Some(Busy { idle: Arc::clone(self), connection: Some(connection), taken, runtime })
    }

    /// Waits for a connection, or returns why there is none. For no more callers than there may be
    /// connections.
    ///
    /// Cancellation safety: a connection that comes too late is kept for the next caller.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Busy, Failure> {
        let (_wants, since) = (self.wants(), Instant::now());
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            let _ = changed.as_mut().enable();
            if let Some(busy) = self.take_at_once() {
                return Ok(busy);
            }
            match self.pause(since)? {
                Some(pause) => {
                    let _ = timeout(pause, changed).await;
                }
                None => {
                    self.attempt();
                    changed.await;
                }
            }
        }
    }

    /// The pause before the next attempt; the cause, if an attempt failed since then and no
    /// connection is in use.
    fn pause(&self, since: Instant) -> Result<Option<Duration>, Failure> {
        let attempts = &self.lock().attempts;
        match attempts.failed_since(since) {
            Some(failure) if self.pool.state().0 == 0 => Err(failure.clone()),
            _ => Ok(attempts.pause(Instant::now())),
        }
    }

    /// Starts a connection attempt, up to one per waiting caller.
    fn attempt(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut state = self.lock();
        let wanting = state.wanting;
        let Some(ticket) = state.attempts.begin(wanting, Instant::now()) else { return };
        // The pool validates connections of other runtimes before they are used here.
        let here = Some(runtime.id());
        let strangers = state.resting.extract_if(.., |resting| resting.runtime != here);
        let strangers = strangers.collect();
        drop(state);
        self.give_back(strangers);
        let attempt = Attempt { idle: Arc::clone(self), ticket };
        drop(runtime.spawn(async move {
            let connected = attempt.idle.pool.connect().await;
            attempt.end(connected);
        }));
    }

    /// Why no connection came in time.
    pub(super) fn no_connection(&self) -> Failure {
        if let Some(failure) = self.pool.server.awaits_credentials() {
            return failure;
        }
        let state = self.lock();
        state.attempts.cause().cloned().unwrap_or_else(|| Failure::refused(late()))
    }

    fn wants(&self) -> Wants<'_> {
        self.lock().wanting += 1;
        Wants(self)
    }

    fn put(self: &Arc<Self>, resting: Resting) {
        let mut state = self.lock();
        state.resting.push(resting);
        let is_kept = state.keeper.is_some_and(|started| started.elapsed() < 2 * REST);
        if !is_kept {
            state.keeper = Some(Instant::now());
        }
        drop(state);
        self.changed.notify_one();
        if let (false, Ok(runtime)) = (is_kept, Handle::try_current()) {
            let idle = Arc::downgrade(self);
            drop(runtime.spawn(async move {
                loop {
                    sleep(REST).await;
                    if !idle.upgrade().is_some_and(|idle| idle.clear_away()) {
                        return;
                    }
                }
            }));
        }
    }

    /// Returns idle connections to the pool after their time; reports whether any is left.
    fn clear_away(&self) -> bool {
        let mut state = self.lock();
        let old = state.resting.extract_if(.., |resting| resting.since.elapsed() >= REST);
        let old = old.collect();
        let is_left = !state.resting.is_empty();
        state.keeper = is_left.then(Instant::now);
        drop(state);
        self.give_back(old);
        is_left
    }

    /// To the pool, which validates each; one that does not respond is closed.
    fn give_back(&self, rested: Vec<Resting>) {
        let runtime = Handle::try_current();
        for Resting { connection, taken, .. } in rested {
            if self.pool.server.is_shared() && self.pool.server.is_condemned(taken) {
                // Closed: the application's pool would lend it again.
                drop(connection);
                continue;
            }
            if let Ok(runtime) = &runtime {
                drop(runtime.spawn(connection.give_back(self.timeout)));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a single step, so a panic elsewhere left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller that waits for a connection now.
struct Wants<'a>(&'a Idle);

impl Drop for Wants<'_> {
    fn drop(&mut self) {
        self.0.lock().wanting -= 1;
    }
}

/// A connection attempt. A runtime that ends drops it; callers of other runtimes retry then.
struct Attempt {
    idle: Arc<Idle>,
    ticket: u64,
}

impl Attempt {
    fn end(self, connected: Result<Held, Failure>) {
        match connected {
            Ok(connection) => {
                self.idle.lock().attempts.succeed();
                let (now, runtime) = (Instant::now(), runtime());
                self.idle.put(Resting { connection, taken: now, since: now, runtime });
            }
            Err(failure) => self.idle.lock().attempts.fail(failure, Instant::now()),
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.idle.lock().attempts.end(self.ticket);
        self.idle.changed.notify_waiters();
    }
}

/// A connection in use.
pub(super) struct Busy {
    idle: Arc<Idle>,
    connection: Option<Held>,
    taken: Instant,
    runtime: Option<Id>,
}

impl Busy {
    pub(super) fn connection(&mut self) -> Option<&mut PgConnection> {
        self.connection.as_mut().and_then(Held::get)
    }

    pub(super) fn server(&self) -> &Arc<Server> {
        &self.idle.pool.server
    }

    /// Keeps it for the next caller. Only after work that has completed.
    pub(super) fn rest(mut self) {
        if let Some(connection) = self.connection.take() {
            let (taken, runtime) = (self.taken, self.runtime);
            self.idle.put(Resting { connection, taken, since: Instant::now(), runtime });
        }
    }
}

// Cancellation safety: dropped work leaves its connection in an unknown state. It is closed, and
// the others are validated before use.
impl Drop for Busy {
    fn drop(&mut self) {
        if self.connection.take().is_some() {
            self.server().suspect();
        }
    }
}

fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}
