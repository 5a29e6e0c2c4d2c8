//! Savepoints: the changes buffered before an attempt, restored if it fails.

use std::mem;

use crate::request::{RequestSession, state::Stage};

/// Index of an attempt; none if the session was not accessed before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Savepoint(Option<usize>);

impl RequestSession {
    pub(crate) fn savepoint(&self) -> Savepoint {
        if !self.is_accessed() {
            return Savepoint(None);
        }
        let mut state = self.state();
        let changes = state.changes.clone();
        state.savepoints.before.push(changes);
        Savepoint(Some(state.savepoints.before.len() - 1))
    }

    /// The attempt succeeded: keeps its changes.
    pub(crate) fn release(&self, Savepoint(place): Savepoint) {
        if let (Some(place), true) = (place, self.is_accessed()) {
            self.state().savepoints.before.truncate(place);
        }
    }

    /// The attempt failed: drops the changes that it buffered. What it stored stays stored.
    pub(crate) fn roll_back(&self, Savepoint(place): Savepoint) {
        if !self.is_accessed() {
            return;
        }
        let mut state = self.state();
        let before = match place {
            Some(place) => {
                state.savepoints.before.truncate(place + 1);
                state.savepoints.before.pop()
            }
            None => {
                state.savepoints.before.clear();
                None
            }
        };
        if state.stage == Stage::Closed {
            return;
        }
        let dropped = mem::replace(&mut state.changes, before.unwrap_or_default());
        if dropped.signs_in() && !state.changes.signs_in() && state.held.is_none() {
            let found = state.savepoints.overruled.take();
            state.presence = found.unwrap_or_else(|| mem::take(&mut state.presence));
        }
        if !dropped.is_empty() {
            tracing::debug!("session changes dropped with a failed attempt");
        }
    }
}
