//! One loader an id: those who ask for the same session at the same time share an answer, as long
//! as it was asked for after they came.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Mutex;

use crate::{error::Error, store::database::Row, token::SessionId};

type Answer = Result<Option<Row>, Error>;
/// The last answer, and the number of its question.
type Slot = Arc<Mutex<Option<(u64, Answer)>>>;

/// Questions that are under way.
#[derive(Debug, Default)]
pub(super) struct Loaders {
    slots: StdMutex<HashMap<SessionId, Slot>>,
    clock: AtomicU64,
}

impl Loaders {
    /// The answer to a question that is asked from now on: by this caller, or by another that
    /// came later and whose question this one then shares.
    ///
    /// Cancellation safety: if the one who asks is dropped, the next in line asks.
    pub(super) async fn load(&self, id: SessionId, ask: impl Future<Output = Answer>) -> Answer {
        let came = self.clock.fetch_add(1, Ordering::AcqRel);
        let slot = self.slot(id);
        // Dropped last, when nothing here holds the slot any more.
        let _place = Place { loaders: self, id };
        let mut last = slot.lock_owned().await;
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

    fn slot(&self, id: SessionId) -> Slot {
        Arc::clone(self.slots().entry(id).or_default())
    }

    fn slots(&self) -> StdMutexGuard<'_, HashMap<SessionId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who asks or waits; the last one to leave takes the slot along.
struct Place<'a> {
    loaders: &'a Loaders,
    id: SessionId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut slots = self.loaders.slots();
        // One: the map's own.
        if slots.get(&self.id).is_some_and(|slot| Arc::strong_count(slot) == 1) {
            let _ = slots.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready, pin::pin};

    use futures_util::poll;
    use tokio::sync::oneshot;

    use super::*;
    use crate::token::Token;

    async fn asked(count: &Cell<u32>, answer: oneshot::Receiver<()>) -> Answer {
        count.set(count.get() + 1);
        let _ = answer.await;
        Ok(None)
    }

    #[tokio::test]
    async fn who_came_before_the_question_shares_it_and_who_came_later_asks_again() {
        let (loaders, id, count) =
            (Loaders::default(), Token::generate().unwrap().id(), Cell::new(0));
        let (reply, first) = oneshot::channel();
        let mut one = pin!(loaders.load(id, asked(&count, first)));
        assert!(poll!(&mut one).is_pending());
        // Both come while the first question is under way: its answer may be too old for them.
        let (later_reply, second) = oneshot::channel();
        let mut two = pin!(loaders.load(id, asked(&count, second)));
        let mut three = pin!(loaders.load(id, async { panic!("shares the second question") }));
        assert!(poll!(&mut two).is_pending() && poll!(&mut three).is_pending());
        reply.send(()).unwrap();
        one.await.unwrap();
        assert!(poll!(&mut two).is_pending());
        assert_eq!(count.get(), 2);
        later_reply.send(()).unwrap();
        two.await.unwrap();
        three.await.unwrap();
        assert!(loaders.slots().is_empty());
    }

    #[tokio::test]
    async fn if_the_one_who_asks_leaves_the_next_asks() {
        let (loaders, id, count) =
            (Loaders::default(), Token::generate().unwrap().id(), Cell::new(0));
        let (_reply, first) = oneshot::channel();
        let mut one = Box::pin(loaders.load(id, asked(&count, first)));
        assert!(poll!(&mut one).is_pending());
        let mut two = pin!(loaders.load(id, ready(Ok(None))));
        assert!(poll!(&mut two).is_pending());
        drop(one);
        two.await.unwrap();
        assert!(loaders.slots().is_empty());
    }
}
