//! When activity was last written to the database.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{clock::timestamp::Timestamp, session::token::SessionId};

/// Sessions remembered; past that all are forgotten, which costs each a write more.
const SESSIONS_MAX: usize = 65_536;

/// When the activity of a session was last written to the database, as far as this instance knows.
#[derive(Debug, Default)]
pub(super) struct LastTouches(Mutex<HashMap<SessionId, Timestamp>>);

impl LastTouches {
    pub(super) fn note(&self, id: &SessionId, activity: Timestamp) {
        let mut touched = self.lock();
        if touched.len() >= SESSIONS_MAX && !touched.contains_key(id) {
            touched.clear();
        }
        let _ = touched.insert(*id, activity);
    }

    pub(super) fn is_due(&self, id: &SessionId, now: Timestamp, interval: Duration) -> bool {
        self.lock().get(id).is_none_or(|last| now.saturating_since(*last) >= interval)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
