//! Statements, and the connections that execute them.
//!
//! A caller waits for a connection, and a task of the runtime opens it: an attempt in progress
//! outlives its request. A statement that has started runs to its end, in a task if the caller is
//! gone, so that the connection stays usable.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::postgres::PgRow;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{timeout, timeout_at},
};

use crate::{
    store::database::{
        failure::late,
        postgres::{
            failure::{Connection, Failure},
            idle::{Busy, Idle},
            pool::Held,
            server::Server,
            statement::Statement,
            waiting::Waiting,
        },
    },
    sync::carried::Carried,
};

type Answer = Result<Vec<PgRow>, Failure>;

/// Some connections, assigned in the order of requests.
pub(super) struct Lane {
    turns: Arc<Semaphore>,
    idle: Arc<Idle>,
    waiting: Waiting,
    timeout: Duration,
}

impl Lane {
    pub(super) fn new(server: &Arc<Server>, size: u32, timeout: Duration) -> Self {
        let turns = usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS);
        let idle = Arc::new(Idle::new(server, size, timeout));
        let (turns, waiting) = (Arc::new(Semaphore::new(turns)), Waiting::default());
        Self { turns, idle, waiting, timeout }
    }

    /// The result of a statement, by `deadline`.
    ///
    /// Cancellation safety: before there is a connection nothing has started; from then on the
    /// statement runs to its end.
    pub(super) async fn call(&self, deadline: Instant, statement: Statement) -> Answer {
        // Part of the timeout is kept for the work, so that an unreachable server is distinguished
        // from a slow one.
        let begun_by = deadline - self.timeout / 4;
        let (turn, connection) = match self.take_at_once() {
            Some(taken) => taken,
            None => match timeout_at(begun_by.into(), self.take()).await {
                Ok(taken) => taken?,
                Err(_) => return Err(self.idle.no_connection()),
            },
        };
        // The server gives up within the time-out; its reply is then discarded, and the connection
        // stays usable. A runtime that ends drops the work and closes it.
        let work = timeout(self.timeout * 2, execute(turn, connection, statement));
        let answer = timeout_at(deadline.into(), Carried::new(work)).await;
        answer.and_then(|answer| answer).unwrap_or_else(|_| Err(Failure::unknown(late())))
    }

    /// A connection for more than one statement; exclusive until it is dropped.
    pub(super) async fn connection(&self) -> Result<Held, Failure> {
        self.idle.pool().connect().await
    }

    /// Number of open connections, and of idle ones among them.
    pub(super) fn state(&self) -> (u32, u32) {
        self.idle.state()
    }

    /// Whether a caller has waited too long for a connection.
    pub(super) fn is_starved(&self) -> bool {
        self.waiting.longest().is_some_and(|wait| wait > self.timeout / 2)
    }

    fn take_at_once(&self) -> Option<(OwnedSemaphorePermit, Busy)> {
        let turn = Arc::clone(&self.turns).try_acquire_owned().ok()?;
        Some((turn, self.idle.take_at_once()?))
    }

    async fn take(&self) -> Result<(OwnedSemaphorePermit, Busy), Failure> {
        let _waits = self.waiting.begin();
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        // It is never closed.
        let turn = turn.map_err(|_| Failure::refused(late()))?;
        Ok((turn, self.idle.take().await?))
    }
}

async fn execute(_turn: OwnedSemaphorePermit, mut busy: Busy, statement: Statement) -> Answer {
    let server = Arc::clone(busy.server());
    if statement.is_prepared() && server.is_pooled() {
        busy.rest();
        return Err(Failure::other_form());
    }
    let Some(connection) = busy.connection() else { return Err(Failure::refused(late())) };
    let mut failure = match statement.run(connection).await {
        Ok(rows) => {
            busy.rest();
            return Ok(rows);
        }
        Err(error) => Failure::of(error),
    };
    if failure.pooler {
        server.found_pooler();
    }
    match failure.connection {
        Connection::Keep => busy.rest(),
        Connection::Close => drop(busy),
        Connection::CloseAll => {
            let closes = server.condemn();
            failure.again &= closes;
            // The application's pool does not know which of its connections are older.
            if !closes && !server.is_shared() {
                busy.rest();
            }
        }
    }
    Err(failure)
}
