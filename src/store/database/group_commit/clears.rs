//! Journal rows to delete, with the next transaction.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::session::token::SessionId;

/// Clears per transaction.
const BATCH_MAX: usize = 256;
/// Maximum number of pending clears. Beyond it a row stays until it is read again.
const WAITING_MAX: usize = 16_384;
/// An older timer was dropped with its runtime.
const TIMER_AGE_MAX: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Clears {
    waiting: HashMap<SessionId, Clear>,
    /// When the timer that makes them due was started.
    timer: Option<Instant>,
    /// They are executed now, with a write or without.
    due: bool,
}

struct Clear {
    version: u64,
    /// In a transaction that has not ended.
    taken: bool,
}

impl Clears {
    /// Returns whether a timer has to be started.
    pub(super) fn add(&mut self, id: SessionId, version: u64) -> bool {
        if self.waiting.len() >= WAITING_MAX && !self.waiting.contains_key(&id) {
            return false;
        }
        let clear = self.waiting.entry(id).or_insert(Clear { version, taken: false });
        if clear.version < version {
            *clear = Clear { version, taken: false };
        }
        let runs = self.timer.is_some_and(|started| started.elapsed() < TIMER_AGE_MAX);
        if !runs {
            self.timer = Some(Instant::now());
        }
        !runs
    }

    pub(super) fn make_due(&mut self) {
        self.timer = None;
        self.due = self.waiting.values().any(|clear| !clear.taken);
    }

    pub(super) fn are_due(&self) -> bool {
        self.due
    }

    /// Some of the pending clears.
    pub(super) fn take(&mut self) -> Vec<(SessionId, u64)> {
        let free = self.waiting.iter_mut().filter(|(_, clear)| !clear.taken).take(BATCH_MAX);
        let taken: Vec<_> = free
            .map(|(id, clear)| {
                clear.taken = true;
                (*id, clear.version)
            })
            .collect();
        if taken.len() < BATCH_MAX {
            self.due = false;
        }
        taken
    }

    /// The transaction that took them has ended.
    pub(super) fn done(&mut self, taken: &[(SessionId, u64)], committed: bool) {
        for (id, version) in taken {
            match self.waiting.get_mut(id) {
                Some(clear) if clear.version == *version && !committed => clear.taken = false,
                Some(clear) if clear.version == *version => {
                    let _ = self.waiting.remove(id);
                }
                // Requested again since, for a newer version.
                _ => {}
            }
        }
    }

    /// Makes taken clears pending again: the task that took them is gone. Clearing twice is
    /// harmless.
    pub(super) fn put_back(&mut self) {
        self.waiting.values_mut().for_each(|clear| clear.taken = false);
    }

    pub(super) fn pending(&self) -> Vec<(SessionId, u64)> {
        self.waiting.iter().map(|(id, clear)| (*id, clear.version)).collect()
    }
}
