//! Statements that wait for a connection, and their answers.
//!
//! A statement is executed in a task of the runtime, which carries it to its end: whoever asked may
//! go, and neither the connection nor an attempt to connect is lost with it. The connection is
//! given back to the pool when nothing waits any more.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::pool::PoolConnection;
use tokio::{runtime::Handle, sync::oneshot, time::timeout_at};

use crate::{
    error::Error,
    store::database::{
        failure::late,
        postgres::{
            failure::Failure, pool::Pool, queue::Answer, server::Server, statement::Statement,
            worker::Shared,
        },
    },
};

/// Some connections, and the statements that wait for them.
pub(super) struct Lane(Arc<Shared>);

impl Lane {
    pub(super) fn new(server: &Arc<Server>, size: u32, timeout: Duration) -> Self {
        Self(Arc::new(Shared::new(Pool::new(server, size), timeout)))
    }

    /// The answer to a statement, by `deadline`.
    ///
    /// Cancellation safety: what nobody waits for is taken back, or, once it has begun, carried to
    /// its end.
    pub(super) async fn call(&self, deadline: Instant, statement: Statement) -> Answer {
        let (ticket, mut answer) = self.push(statement)?;
        let place = Place { lane: &self.0, ticket };
        // Part of the time is kept for the work, so that a server that cannot be reached is told
        // apart from one that does not answer.
        let begun_by = deadline - self.0.timeout / 4;
        let mut answered = timeout_at(begun_by.into(), &mut answer).await;
        if answered.is_err() {
            if place.withdraw() {
                return Err(self.0.queue().no_connection());
            }
            answered = timeout_at(deadline.into(), &mut answer).await;
        }
        match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Failure::unknown(Error::unavailable(
                "the runtime ended while the statement was under way",
            ))),
            Err(_) => Err(Failure::unknown(late())),
        }
    }

    fn push(&self, statement: Statement) -> Result<(u64, oneshot::Receiver<Answer>), Failure> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(Failure::refused(Error::unavailable("there is no runtime")));
        };
        let pushed = self.0.queue().push(statement)?;
        self.0.start_worker(&runtime);
        Ok(pushed)
    }

    /// A connection for something longer than a statement; nobody else's until it is dropped.
    pub(super) async fn connection(&self) -> Result<PoolConnection<sqlx::Postgres>, Failure> {
        self.0.pool.connect().await
    }

    /// How many connections are open, and how many of them do nothing.
    pub(super) fn state(&self) -> (u32, u32) {
        self.0.pool.state()
    }

    /// Whether somebody has waited for so long that no connection seems to come.
    pub(super) fn is_starved(&self) -> bool {
        self.0.queue().longest_wait().is_some_and(|wait| wait > self.0.timeout / 2)
    }
}

/// A statement's place in the queue.
struct Place<'a> {
    lane: &'a Shared,
    ticket: u64,
}

impl Place<'_> {
    /// False if somebody has begun with it.
    fn withdraw(&self) -> bool {
        self.lane.queue().withdraw(self.ticket)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let _ = self.withdraw();
    }
}
