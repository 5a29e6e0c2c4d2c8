//! The tasks that execute what waits.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::pool::PoolConnection;
use tokio::{runtime::Handle, time::timeout};

use crate::store::database::{
    failure::late,
    postgres::{
        failure::{Connection, Failure},
        pool::Pool,
        queue::{Job, Queue},
    },
};

/// What the tasks share with those who ask.
pub(super) struct Shared {
    pub(super) pool: Pool,
    pub(super) timeout: Duration,
    queue: Mutex<Queue>,
}

impl Shared {
    pub(super) fn new(pool: Pool, timeout: Duration) -> Self {
        Self { pool, timeout, queue: Mutex::default() }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change is one step, so a panic elsewhere left nothing half done.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more task for what waits, unless there is one for each connection.
    pub(super) fn start_worker(self: &Arc<Self>, runtime: &Handle) {
        let mut queue = self.queue();
        if queue.workers < self.pool.size {
            queue.workers += 1;
            drop(queue);
            let worker = Worker { lane: Arc::clone(self), is_connected: false, ended: false };
            drop(runtime.spawn(worker.work()));
        }
    }
}

/// A task that executes what waits.
struct Worker {
    lane: Arc<Shared>,
    is_connected: bool,
    ended: bool,
}

impl Worker {
    async fn work(mut self) {
        while self.has_work() {
            match self.lane.pool.connect().await {
                Ok(connection) => {
                    self.set_connected(true);
                    self.serve(connection).await;
                    self.set_connected(false);
                }
                Err(failure) => {
                    let jobs = self.lane.queue().refuse(&failure);
                    for job in jobs {
                        let _ = job.answer.send(Err(failure.clone()));
                    }
                    if self.lane.queue().connected > 0 {
                        // Others have connections, and go on.
                        break;
                    }
                }
            }
        }
    }

    /// Whether there is something left to do; if not, this is no worker any more.
    fn has_work(&mut self) -> bool {
        let mut queue = self.lane.queue();
        if queue.is_empty() {
            queue.workers = queue.workers.saturating_sub(1);
            self.ended = true;
        }
        !self.ended
    }

    fn set_connected(&mut self, is_connected: bool) {
        self.lane.queue().set_connected(is_connected);
        self.is_connected = is_connected;
    }

    /// Executes what waits, as long as the connection is good.
    async fn serve(&self, mut connection: PoolConnection<sqlx::Postgres>) {
        loop {
            let Some(job) = self.lane.queue().pop() else { break };
            if !self.execute(job, &mut connection).await {
                // Closed hard, or in order; the server may not be there to hear of it.
                drop(timeout(self.lane.timeout, connection.close()).await);
                return;
            }
        }
        // The library asks the connection once more; one that does not answer is closed.
        let _ = timeout(self.lane.timeout, connection.return_to_pool()).await;
    }

    /// False if the connection is of no further use.
    async fn execute(&self, job: Job, connection: &mut PoolConnection<sqlx::Postgres>) -> bool {
        let server = &self.lane.pool.server;
        if job.statement.is_prepared() && server.is_pooled() {
            let _ = job.answer.send(Err(Failure::other_form()));
            return true;
        }
        // The server gives up before: what it says then leaves the connection as it was.
        let limit = self.lane.timeout * 2;
        let mut failure = match timeout(limit, job.statement.run(connection)).await {
            Ok(Ok(rows)) => {
                let _ = job.answer.send(Ok(rows));
                return true;
            }
            Ok(Err(error)) => Failure::of(error),
            Err(_) => Failure { connection: Connection::Close, ..Failure::unknown(late()) },
        };
        if failure.pooler {
            server.found_pooler();
        }
        let keeps = match failure.connection {
            Connection::Keep => true,
            Connection::Close => {
                server.suspect();
                false
            }
            Connection::CloseAll => {
                let closes = server.condemn();
                failure.again &= closes;
                !closes
            }
        };
        let _ = job.answer.send(Err(failure));
        keeps
    }
}

// Cancellation safety: a runtime that ends drops the task at any await. Who waits for its statement
// learns that by the channel; the next statement starts another task, in a runtime that lives.
impl Drop for Worker {
    fn drop(&mut self) {
        if self.is_connected {
            self.set_connected(false);
        }
        if !self.ended {
            let mut queue = self.lane.queue();
            queue.workers = queue.workers.saturating_sub(1);
        }
    }
}
