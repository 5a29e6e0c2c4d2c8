//! Single flight: concurrent callers with the same key share one load, if it began after they
//! called.

use std::{
    fmt,
    future::Future,
    hash::Hash,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::sync::Mutex;

use crate::sync::slot_map::SlotMap;

/// The last result, and the number of its load.
type Last<A> = Mutex<Option<(u64, A)>>;

/// Loads in progress.
pub(crate) struct Loaders<K, A> {
    slots: SlotMap<K, Last<A>>,
    clock: AtomicU64,
}

impl<K: Clone + Eq + Hash, A: Clone> Loaders<K, A> {
    /// The result of a load that starts after this call: by this caller, or by a later one whose
    /// load this one shares.
    ///
    /// Cancellation safety: if the loading caller is dropped, the next in line loads.
    pub(crate) async fn load(&self, key: K, ask: impl Future<Output = A>) -> A {
        let came = self.clock.fetch_add(1, Ordering::AcqRel);
        let slot = self.slots.hold(key);
        let mut last = slot.value().lock().await;
        if let Some((asked, answer)) = &*last
            && *asked > came
        {
            return answer.clone();
        }
        let asked = self.clock.fetch_add(1, Ordering::AcqRel);
        let answer = ask.await;
        *last = Some((asked, answer.clone()));
        answer
    }
}

impl<K, A> Default for Loaders<K, A> {
    fn default() -> Self {
        Self { slots: SlotMap::default(), clock: AtomicU64::default() }
    }
}

impl<K, A> fmt::Debug for Loaders<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaders").field("asked_for", &self.slots.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready, pin::pin};

    use futures_util::poll;
    use tokio::sync::oneshot;

    use crate::sync::single_flight::*;

    async fn asked(count: &Cell<u32>, answer: oneshot::Receiver<()>) -> u32 {
        count.set(count.get() + 1);
        let _ = answer.await;
        count.get()
    }

    #[tokio::test]
    async fn who_came_before_the_question_shares_it_and_who_came_later_asks_again() {
        let (loaders, id, count) = (Loaders::default(), "alice", Cell::new(0));
        let (reply, first) = oneshot::channel();
        let mut one = pin!(loaders.load(id, asked(&count, first)));
        assert!(poll!(&mut one).is_pending());
        // Both come while the first question is under way: its answer may be too old for them.
        let (later_reply, second) = oneshot::channel();
        let mut two = pin!(loaders.load(id, asked(&count, second)));
        let mut three = pin!(loaders.load(id, async { panic!("shares the second question") }));
        assert!(poll!(&mut two).is_pending() && poll!(&mut three).is_pending());
        reply.send(()).unwrap();
        assert_eq!(one.await, 1);
        assert!(poll!(&mut two).is_pending());
        assert_eq!(count.get(), 2);
        later_reply.send(()).unwrap();
        assert_eq!((two.await, three.await), (2, 2));
        assert_eq!(loaders.slots.len(), 0);
    }

    #[tokio::test]
    async fn if_the_one_who_asks_leaves_the_next_asks() {
        let (loaders, id, count) = (Loaders::default(), "alice", Cell::new(0));
        let (_reply, first) = oneshot::channel();
        let mut one = Box::pin(loaders.load(id, asked(&count, first)));
        assert!(poll!(&mut one).is_pending());
        let mut two = pin!(loaders.load(id, ready(7)));
        assert!(poll!(&mut two).is_pending());
        drop(one);
        assert_eq!(two.await, 7);
        assert_eq!(loaders.slots.len(), 0);
    }
}
