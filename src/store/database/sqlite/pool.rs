//! Idle connections. A broken one, or one with abandoned work, is not returned.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::{
    runtime::{Handle, Id},
    sync::{Semaphore, SemaphorePermit},
};

use crate::telemetry::instruments::{Stopwatch, System};

/// A bounded set of connections. Opens none itself: the holder of a slot connects.
pub(super) struct Pool<C> {
    slots: Semaphore,
    idle: Mutex<Vec<Idle<C>>>,
    open: AtomicU32,
}

struct Idle<C> {
    connection: C,
    /// A connection ends with the runtime in which it was opened.
    runtime: Option<Id>,
}

impl<C> Pool<C> {
    pub(super) fn new(size: u32) -> Self {
        let slots = usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS);
        Self { slots: Semaphore::new(slots), idle: Mutex::default(), open: AtomicU32::new(0) }
    }

    /// Waits for a slot, with the connection that was used last if there is one.
    pub(super) async fn take(&self) -> PoolSlot<'_, C> {
        // Never closed; without a permit there would only be one more connection.
        let watch = Stopwatch::start();
        let permit = self.slots.acquire().await.ok();
        watch.connection(System::Sqlite, true);
        let here = runtime();
        let mut idle = self.idle();
        let mut found = None;
        while let Some(last) = idle.pop() {
            if last.runtime == here {
                found = Some(last);
                break;
            }
            let _ = self.open.fetch_sub(1, Ordering::Relaxed);
        }
        let connection = found.map(|idle| idle.connection);
        PoolSlot { pool: self, connection, _permit: permit }
    }

    /// Number of open connections, and of idle ones among them.
    pub(super) fn state(&self) -> (u32, u32) {
        let idle = u32::try_from(self.idle().len()).unwrap_or(u32::MAX);
        (self.open.load(Ordering::Relaxed), idle)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle<C>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

/// The right to use one connection.
pub(super) struct PoolSlot<'a, C> {
    pool: &'a Pool<C>,
    connection: Option<C>,
    _permit: Option<SemaphorePermit<'a>>,
}

impl<'a, C> PoolSlot<'a, C> {
    /// The connection of the slot; `None` if one has to be opened.
    pub(super) fn connection(&mut self) -> Option<&mut C> {
        self.connection.as_mut()
    }

    fn discard(&mut self) {
        if self.connection.take().is_some() {
            let _ = self.pool.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Sets the connection of the slot.
    pub(super) fn with(mut self, connection: C) -> Self {
        self.discard();
        let _ = self.pool.open.fetch_add(1, Ordering::Relaxed);
        self.connection = Some(connection);
        self
    }

    /// Returns the connection for the next holder. Only after work that has completed.
    pub(super) fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            let idle = Idle { connection, runtime: runtime() };
            self.pool.idle().push(idle);
        }
    }
}

// Cancellation safety: dropped work leaves its connection in an unknown state. It is closed at
// once, without a message to the server.
impl<C> Drop for PoolSlot<'_, C> {
    fn drop(&mut self) {
        self.discard();
    }
}

impl<C> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, idle) = self.state();
        f.debug_struct("Pool").field("open", &open).field("idle", &idle).finish()
    }
}
