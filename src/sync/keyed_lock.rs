//! The writers of one session in this process, one after the other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::session::token::SessionId;

/// How long a place is waited for. The line is a courtesy that spares conflicts; the fence in the
/// store keeps things right without it.
const PATIENCE: Duration = Duration::from_millis(250);

/// A lock for each session that is being written, and only as long as it is.
#[derive(Debug, Default)]
pub(crate) struct Lines(StdMutex<HashMap<SessionId, Arc<Mutex<()>>>>);

/// A place at the head of a line; given up when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    lines: &'a Lines,
    id: SessionId,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Lines {
    /// Waits for the writers of `id` that came before, for a while.
    pub(crate) async fn line_up(&self, id: SessionId) -> Place<'_> {
        let lock = Arc::clone(self.lock().entry(id).or_default());
        // Made before the wait, so that a caller who is dropped in it leaves nothing behind.
        let mut place = Place { lines: self, id, guard: None };
        place.guard = tokio::time::timeout(PATIENCE, lock.lock_owned()).await.ok();
        place
    }

    fn lock(&self) -> StdMutexGuard<'_, HashMap<SessionId, Arc<Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        drop(self.guard.take());
        if lines.get(&self.id).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            let _ = lines.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::session::token::Token;
    use crate::sync::keyed_lock::*;

    #[tokio::test]
    async fn one_session_lines_up_others_pass_and_nothing_stays() {
        let lines = Lines::default();
        let (one, other) = (Token::generate().unwrap().id(), Token::generate().unwrap().id());
        let first = lines.line_up(one).await;
        let _second = lines.line_up(other).await;
        let mut waiting = Box::pin(lines.line_up(one));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(first);
        drop(waiting.await);
        drop(_second);
        assert!(lines.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_goes_on_without() {
        let lines = Lines::default();
        let id = Token::generate().unwrap().id();
        let _head = lines.line_up(id).await;
        assert!(lines.line_up(id).await.guard.is_none());
    }
}
