//! Requests that wait for a connection.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long requests may wait for a connection before the store reports not ready.
const PATIENCE: Duration = Duration::from_millis(250);

#[derive(Default)]
pub(super) struct Waits {
    pub(super) waiting: usize,
    /// Since when a caller waits, or has waited for an attempt still in progress.
    pub(super) since: Option<Instant>,
}

impl Waits {
    /// Whether a caller waits in vain.
    pub(super) fn are_late(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) > PATIENCE)
    }
}

/// A request that waits for a connection.
pub(super) struct Waiting<'a, F: FnMut()> {
    waits: &'a Mutex<Waits>,
    ended: F,
}

impl<'a, F: FnMut()> Waiting<'a, F> {
    /// `ended` is called after the wait.
    pub(super) fn new(waits: &'a Mutex<Waits>, ended: F) -> Self {
        let waiting = Self { waits, ended };
        let mut waits = waiting.lock();
        waits.waiting += 1;
        let _ = waits.since.get_or_insert_with(Instant::now);
        drop(waits);
        waiting
    }

    fn lock(&self) -> MutexGuard<'a, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: FnMut()> Drop for Waiting<'_, F> {
    fn drop(&mut self) {
        self.lock().waiting -= 1;
        (self.ended)();
    }
}
