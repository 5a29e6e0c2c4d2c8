//! Ends of sessions that wait while others are in flight over their connection.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redis::{Cmd, Value};
use tokio::sync::oneshot;
use tracing::Span;

use crate::store::redis::client::failure::Failure;

/// An end of sessions, and where its result is awaited.
pub(in crate::store::redis) struct End {
    pub(in crate::store::redis) command: Cmd,
    /// Whether it is sent behind `ASKING`.
    pub(in crate::store::redis) asking: bool,
    pub(in crate::store::redis) result: oneshot::Sender<Result<Value, Failure>>,
    /// That of its request.
    pub(in crate::store::redis) span: Span,
}

/// Those of one connection.
pub(in crate::store::redis) struct Queue<T>(Mutex<State<T>>);

struct State<T> {
    waiting: Vec<T>,
    is_taken: bool,
}

/// The turn to send, of one sender at a time. Dropped before its end, it drops what waits, too.
#[derive(Debug)]
#[must_use]
pub(in crate::store::redis) struct Turn<T>(Option<Arc<Queue<T>>>);

impl<T> Queue<T> {
    /// Adds an item. Returns the turn if it is free: the caller sends what waits.
    pub(in crate::store::redis) fn push(self: &Arc<Self>, item: T) -> Option<Turn<T>> {
        let mut state = self.state();
        state.waiting.push(item);
        let is_taken = std::mem::replace(&mut state.is_taken, true);
        (!is_taken).then(|| Turn(Some(Arc::clone(self))))
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Turn<T> {
    /// All that waits. If there is nothing, the turn has ended.
    pub(in crate::store::redis) fn next(&mut self) -> Option<Vec<T>> {
        let queue = self.0.as_ref()?;
        let mut state = queue.state();
        if !state.waiting.is_empty() {
            return Some(std::mem::take(&mut state.waiting));
        }
        state.is_taken = false;
        drop(state);
        self.0 = None;
        None
    }
}

impl<T> Drop for Turn<T> {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        let mut state = queue.state();
        state.is_taken = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Mutex::new(State { waiting: Vec::new(), is_taken: false }))
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.state().waiting.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::queue::*;

    #[test]
    fn one_sends_at_a_time_and_takes_all_that_came_in_between() {
        let queue = Arc::new(Queue::default());
        let mut turn = queue.push(1).expect("nobody sends");
        assert!(queue.push(2).is_none());
        assert_eq!(turn.next(), Some(vec![1, 2]));
        assert!(queue.push(3).is_none() && queue.push(4).is_none());
        assert_eq!(turn.next(), Some(vec![3, 4]));
        assert_eq!(turn.next(), None);
        // The turn that has ended takes nothing from the next one.
        let mut next = queue.push(5).expect("nobody sends");
        assert_eq!(turn.next(), None);
        drop(turn);
        assert!(queue.push(6).is_none());
        assert_eq!(next.next(), Some(vec![5, 6]));
    }

    #[test]
    fn if_the_sender_is_dropped_nothing_waits_in_vain() {
        let queue = Arc::new(Queue::default());
        let item = Arc::new(());
        let mut turn = queue.push(Arc::clone(&item)).expect("nobody sends");
        let taken = turn.next();
        assert!(queue.push(Arc::clone(&item)).is_none());
        drop((turn, taken));
        assert_eq!(Arc::strong_count(&item), 1, "both are dropped");
        assert!(queue.push(item).is_some(), "the next one sends");
    }
}
