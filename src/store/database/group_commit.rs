//! Group commit: concurrent writes share one transaction.
//!
//! Specified in `docs/protocol.md`, section 3.3.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
    task::JoinSet,
};

use crate::{
    clock::Clock,
    error::Error,
    session::token::SessionId,
    store::database::{
        engine::Engine,
        group_commit::queue::{Answer, Job, Queue, Work},
        write::{Batch, Committed, Failed, Write, WriteFault},
    },
};

mod clears;
mod queue;

/// How long a clear waits for a write to share its transaction.
const CLEAR_DELAY: Duration = Duration::from_millis(100);

/// The queue of writes, and the tasks that execute it.
#[derive(Clone)]
pub(super) struct Group(Arc<Inner>);

struct Inner {
    engine: Arc<Engine>,
    clock: Clock,
    timeout: Duration,
    queue: Mutex<Queue>,
}

impl Group {
    pub(super) fn new(engine: Arc<Engine>, clock: Clock, timeout: Duration) -> Self {
        Self(Arc::new(Inner { engine, clock, timeout, queue: Mutex::default() }))
    }

    // Cancellation safety: from the first poll on the queue owns the write; dropping this only
    // loses its outcome.
    pub(super) async fn write(&self, write: Write) -> Answer {
        let (ticket, answer) = self.enqueue(write)?;
        match tokio::time::timeout(self.0.timeout, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                Err(WriteFault::Unknown(Error::unavailable("the runtime ended during the write")))
            }
            Err(_) if self.0.queue().withdraw(ticket) => Err(no_turn()),
            Err(_) => {
                Err(WriteFault::Unknown(Error::unavailable("the database did not reply in time")))
            }
        }
    }

    pub(super) fn clear_later(&self, id: SessionId, version: u64) {
        let wants_timer = self.0.queue().clears.add(id, version);
        if let (true, Ok(runtime)) = (wants_timer, Handle::try_current()) {
            let group = self.clone();
            runtime.spawn(async move {
                tokio::time::sleep(CLEAR_DELAY).await;
                group.0.queue().clears.make_due();
                group.start_worker();
            });
        }
    }

    pub(super) fn clears_pending(&self) -> Vec<(SessionId, u64)> {
        self.0.queue().clears.pending()
    }

    pub(super) async fn flush(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        let group = self.clone();
        // In a task, so that taken clears are put back even if the caller is dropped.
        let flushed = runtime.spawn(async move {
            loop {
                let clears = group.0.queue().clears.take();
                if clears.is_empty() || !group.0.run(Work { clears, ..Work::default() }).await {
                    return;
                }
            }
        });
        let _ = flushed.await;
    }

    fn enqueue(&self, write: Write) -> Result<(u64, oneshot::Receiver<Answer>), WriteFault> {
        let queued = self.0.queue().push(write)?;
        self.start_worker();
        Ok(queued)
    }

    /// Starts one more task, up to the maximum. A task ends when the queue is empty, so none
    /// depends for long on a runtime that may end before this one.
    fn start_worker(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        {
            let mut queue = self.0.queue();
            if queue.workers >= self.0.engine.writers() || !queue.has_work() {
                return;
            }
            queue.workers += 1;
        }
        let mut worker = Worker { group: Arc::clone(&self.0), ended: false };
        runtime.spawn(async move { worker.work().await });
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change is a single step, so a panic elsewhere left nothing half done.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next work; `None`, and one worker less, if there is none.
    fn take(&self) -> Option<Work> {
        let mut queue = self.queue();
        let work = queue.take();
        if work.is_none() {
            queue.workers = queue.workers.saturating_sub(1);
        }
        work
    }

    /// Executes and replies; returns whether the transaction was committed.
    async fn run(self: &Arc<Self>, work: Work) -> bool {
        let Some(work) = self.in_time(work) else { return true };
        let (answers, writes): (Vec<_>, Vec<_>) =
            work.jobs.into_iter().map(|job| (job.answer, (job.write, job.since))).unzip();
        let (writes, since): (Vec<_>, Vec<_>) = writes.into_iter().unzip();
        let batch = Batch { writes, clears: work.clears };
        let executed = self.engine.execute(&batch, self.clock.now());
        let result = self.engine.batch(executed).await;
        self.queue().clears.done(&batch.clears, result.is_ok());
        match result {
            Ok(executed) => {
                for (answer, outcome) in answers.into_iter().zip(executed.outcomes) {
                    let epoch = executed.epoch.clone();
                    let committed = outcome.map(|written| Committed { written, epoch });
                    let _ = answer.send(committed.map_err(WriteFault::Refused));
                }
                true
            }
            // Nothing was stored. One faulty write must not fail the others.
            Err(Failed { for_one: true, .. }) if batch.writes.len() > 1 => {
                let jobs = answers.into_iter().zip(batch.writes).zip(since);
                let jobs =
                    jobs.map(|((answer, write), since)| Job { ticket: 0, since, write, answer });
                self.run_each(jobs.collect()).await;
                false
            }
            Err(Failed { fault, .. }) => {
                for answer in answers {
                    let _ = answer.send(Err(fault.clone()));
                }
                false
            }
        }
    }

    /// Each write in a separate transaction, none behind one that waits for a lock. Writes of one
    /// session stay in order.
    async fn run_each(self: &Arc<Self>, jobs: Vec<Job>) {
        let mut tasks = JoinSet::new();
        let places = Arc::new(Semaphore::new(self.engine.writers()));
        let mut jobs = jobs.into_iter().peekable();
        while let Some(job) = jobs.next() {
            let id = job.write.id().copied();
            let mut same = vec![job];
            let is_of_it = |next: &Job| id.is_some() && next.write.id().copied() == id;
            while let Some(next) = jobs.next_if(is_of_it) {
                same.push(next);
            }
            let _ = tasks.spawn(Self::run_in_turn(Arc::clone(self), Arc::clone(&places), same));
        }
        while tasks.join_next().await.is_some() {}
    }

    fn run_in_turn(
        group: Arc<Self>,
        places: Arc<Semaphore>,
        jobs: Vec<Job>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            // Never closed; never more at once than there are writers.
            let _place = places.acquire().await;
            for job in jobs {
                let _ = group.run(Work { jobs: vec![job], clears: Vec::new() }).await;
            }
        })
    }

    /// The writes that still have time, sorted for execution; the others are rejected.
    fn in_time(&self, work: Work) -> Option<Work> {
        // Past this time the write would time out for its caller before it is executed.
        let latest = self.timeout - self.timeout / 4;
        let (mut jobs, late): (Vec<_>, Vec<_>) =
            work.jobs.into_iter().partition(|job| job.since.elapsed() <= latest);
        for job in late {
            let _ = job.answer.send(Err(no_turn()));
        }
        // Two batches with the same rows lock them in the same order. The sort is stable: writes of
        // one session stay in order of arrival.
        jobs.sort_by(|one, other| one.write.id().cmp(&other.write.id()));
        let empty = jobs.is_empty() && work.clears.is_empty();
        (!empty).then_some(Work { jobs, clears: work.clears })
    }
}

fn no_turn() -> WriteFault {
    WriteFault::Refused(Error::unavailable("the write did not start in time"))
}

/// A task that executes the queue.
struct Worker {
    group: Arc<Inner>,
    ended: bool,
}

impl Worker {
    async fn work(&mut self) {
        while let Some(work) = self.group.take() {
            let _ = self.group.run(work).await;
        }
        self.ended = true;
    }
}

// Cancellation safety: a runtime that ends drops the task at any await. The callers of its batch
// learn it through their channels; the next write starts another task, in a live runtime.
impl Drop for Worker {
    fn drop(&mut self) {
        if !self.ended {
            let mut queue = self.group.queue();
            queue.workers = queue.workers.saturating_sub(1);
            queue.clears.put_back();
        }
    }
}
