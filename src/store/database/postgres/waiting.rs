//! Waiting callers for a connection, and since when.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

#[derive(Default)]
pub(super) struct Waiting(Mutex<State>);

#[derive(Default)]
struct State {
    since: BTreeMap<u64, Instant>,
    next_ticket: u64,
}

impl Waiting {
    /// Counts a waiting caller, until this is dropped.
    pub(super) fn begin(&self) -> Waits<'_> {
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket = ticket.wrapping_add(1);
        let _ = state.since.insert(ticket, Instant::now());
        Waits { waiting: self, ticket }
    }

    /// How long the first caller has waited.
    pub(super) fn longest(&self) -> Option<Duration> {
        self.lock().since.first_key_value().map(|(_, since)| since.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waiting caller.
pub(super) struct Waits<'a> {
    waiting: &'a Waiting,
    ticket: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let _ = self.waiting.lock().since.remove(&self.ticket);
    }
}
