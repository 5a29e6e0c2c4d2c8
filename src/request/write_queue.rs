//! Write queue: changes of a session that is being written join its next write.
//!
//! In this process one write of a session is in progress. What arrives until it ends is applied
//! to the record that it stores, and all of it is saved by one write after it. Correctness rests on
//! the store's compare-and-set alone: what joined a write that met a conflict was not stored, and
//! is applied again.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use crate::{
    error::Error,
    session::{record::Record, token::SessionId},
};

/// The writes in progress, at most one a session.
#[derive(Default)]
pub(crate) struct WriteQueues(Mutex<Queues>);

#[derive(Default)]
struct Queues {
    queues: HashMap<SessionId, Queue>,
    /// Number of the last write that a request began.
    last: u64,
}

struct Queue {
    number: u64,
    /// When the write in progress is abandoned: its request, or the runtime of its task, may not
    /// run.
    until: Instant,
    /// The record as it will be once everything known here is stored.
    latest: Arc<Record>,
    /// Version of the write after the one in progress.
    next_version: u64,
    waiting: Vec<oneshot::Sender<Joined>>,
}

/// Outcome for a change that joined.
#[derive(Clone, Debug)]
pub(crate) enum Joined {
    /// Stored, as part of this record.
    Saved(Arc<Record>),
    /// Not stored; with the record that is in the store instead, where it is known.
    NotSaved(Option<Arc<Record>>),
    /// It may or may not have been stored.
    Failed(Error),
}

/// A change that joined.
pub(crate) struct Joining {
    pub(crate) joined: oneshot::Receiver<Joined>,
    number: u64,
}

/// The write in progress of a session. If it is dropped, what joined it was not stored.
pub(crate) struct WriteInProgress {
    queues: Arc<WriteQueues>,
    id: SessionId,
    number: u64,
}

/// Changes that are saved by one write.
pub(crate) struct Batch {
    pub(crate) record: Arc<Record>,
    waiting: Vec<oneshot::Sender<Joined>>,
}

impl WriteQueues {
    /// The write of `record` begins, and has `limit` for it; `None` if another one is in progress.
    pub(crate) fn begin(
        self: &Arc<Self>,
        id: SessionId,
        record: &Arc<Record>,
        limit: Duration,
    ) -> Option<WriteInProgress> {
        let mut all = self.lock();
        let Queues { queues, last } = &mut *all;
        let Entry::Vacant(vacant) = queues.entry(id) else { return None };
        *last += 1;
        let number = *last;
        let (latest, next_version) = (Arc::clone(record), record.version.saturating_add(1));
        let (until, waiting) = (Instant::now() + limit, Vec::new());
        let _ = vacant.insert(Queue { number, until, latest, next_version, waiting });
        Some(WriteInProgress { queues: Arc::clone(self), id, number })
    }

    /// The record on which a change that joins builds, if a write is in progress.
    pub(crate) fn latest(&self, id: &SessionId) -> Option<Arc<Record>> {
        let (latest, until) = {
            let all = self.lock();
            let queue = all.queues.get(id)?;
            (Arc::clone(&queue.latest), queue.until)
        };
        if until > Instant::now() {
            return Some(latest);
        }
        self.end(id, |queue| queue.until == until, &Joined::NotSaved(None));
        None
    }

    /// Joins with `record`, which was built on `base`; `None` if that is not the latest any more.
    pub(crate) fn join(
        &self,
        id: &SessionId,
        base: &Arc<Record>,
        mut record: Record,
    ) -> Option<Joining> {
        let mut all = self.lock();
        let queue = all.queues.get_mut(id).filter(|queue| Arc::ptr_eq(&queue.latest, base))?;
        record.version = queue.next_version;
        queue.latest = Arc::new(record);
        let (sender, receiver) = oneshot::channel();
        queue.waiting.push(sender);
        Some(Joining { joined: receiver, number: queue.number })
    }

    /// Nothing waits any longer for the write that `joining` joined, if it has had its time. What
    /// joined is not stored.
    pub(crate) fn abandon(&self, id: &SessionId, joining: &Joining) {
        let (number, now) = (joining.number, Instant::now());
        let is_late = |queue: &Queue| queue.number == number && queue.until <= now;
        self.end(id, is_late, &Joined::NotSaved(None));
    }

    fn end(&self, id: &SessionId, which: impl FnOnce(&Queue) -> bool, joined: &Joined) {
        let queue = self.take(id, which);
        notify(queue.map(|queue| queue.waiting).unwrap_or_default(), joined);
    }

    /// What has joined this write, which is stored; the queue ends if nothing has.
    fn next_batch(&self, id: &SessionId, number: u64, limit: Duration) -> Option<Batch> {
        let mut all = self.lock();
        let queue = all.queues.get_mut(id).filter(|queue| queue.number == number)?;
        let waiting = mem::take(&mut queue.waiting);
        if waiting.is_empty() {
            let _ = all.queues.remove(id);
            return None;
        }
        queue.until = Instant::now() + limit;
        queue.next_version = queue.next_version.saturating_add(1);
        Some(Batch { record: Arc::clone(&queue.latest), waiting })
    }

    fn take(&self, id: &SessionId, which: impl FnOnce(&Queue) -> bool) -> Option<Queue> {
        let mut all = self.lock();
        let Entry::Occupied(queue) = all.queues.entry(*id) else { return None };
        which(queue.get()).then(|| queue.remove())
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteInProgress {
    pub(crate) fn id(&self) -> &SessionId {
        &self.id
    }

    /// It is stored. Returns what has joined, whose write is in progress from now on.
    /// The task that writes it has `limit` for that.
    pub(crate) fn saved(self, limit: Duration) -> Option<(Self, Batch)> {
        let batch = self.queues.next_batch(&self.id, self.number, limit)?;
        Some((self, batch))
    }

    /// It is not stored, and so is nothing that joined; `current` is in the store instead.
    pub(crate) fn not_saved(self, current: Option<Arc<Record>>) {
        self.end(&Joined::NotSaved(current));
    }

    fn end(&self, joined: &Joined) {
        self.queues.end(&self.id, |queue| queue.number == self.number, joined);
    }
}

impl Drop for WriteInProgress {
    fn drop(&mut self) {
        self.end(&Joined::NotSaved(None));
    }
}

impl Batch {
    pub(crate) fn notify(self, joined: &Joined) {
        notify(self.waiting, joined);
    }
}

fn notify(waiting: Vec<oneshot::Sender<Joined>>, joined: &Joined) {
    for sender in waiting {
        // A caller that has gone needs no answer.
        let _ = sender.send(joined.clone());
    }
}

// Neither the ids, which may identify a person, nor the records.
impl fmt::Debug for WriteQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteQueues").field("writes", &self.lock().queues.len()).finish()
    }
}

#[cfg(test)]
#[path = "write_queue/tests.rs"]
mod tests;
