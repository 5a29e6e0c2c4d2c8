//! The queue of statements that wait for a connection.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use sqlx::postgres::PgRow;
use tokio::sync::oneshot;

use crate::{
    error::Error,
    store::database::{
        failure::late,
        postgres::{failure::Failure, statement::Statement},
    },
};

/// Statements that may wait at the same time. A server that is so far behind is not up to it.
const WAITING_MAX: usize = 4096;
/// After an attempt that failed nobody tries again for so long, and up to the second figure.
const PAUSE: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(500)];

pub(super) type Answer = Result<Vec<PgRow>, Failure>;

/// In the order of their arrival, and how many tasks execute them.
#[derive(Default)]
pub(super) struct Queue {
    waiting: BTreeMap<u64, Job>,
    next_ticket: u64,
    /// Tasks, each with a connection or about to have one.
    pub(super) workers: u32,
    /// Of them those that have one.
    pub(super) connected: u32,
    refused: Option<Refused>,
}

pub(super) struct Job {
    since: Instant,
    pub(super) statement: Statement,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// An attempt to connect that failed.
struct Refused {
    failure: Failure,
    until: Instant,
    pause: Duration,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Its ticket, and where its answer comes; an error at once while it is too early for another
    /// attempt to connect and no connection is there.
    pub(super) fn push(
        &mut self,
        statement: Statement,
    ) -> Result<(u64, oneshot::Receiver<Answer>), Failure> {
        let now = Instant::now();
        let refused = self.refused.as_ref().filter(|refused| now < refused.until);
        if let (Some(refused), 0) = (refused, self.connected) {
            return Err(refused.failure.clone());
        }
        if self.waiting.len() >= WAITING_MAX {
            let full = Error::unavailable("too many statements wait for the database");
            return Err(Failure::refused(full));
        }
        let (answer, receiver) = oneshot::channel();
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        let _ = self.waiting.insert(ticket, Job { since: now, statement, answer });
        Ok((ticket, receiver))
    }

    /// The one that has waited the longest.
    pub(super) fn pop(&mut self) -> Option<Job> {
        self.waiting.pop_first().map(|(_, job)| job)
    }

    /// False if somebody has begun with it.
    pub(super) fn withdraw(&mut self, ticket: u64) -> bool {
        self.waiting.remove(&ticket).is_some()
    }

    /// How long the first has waited.
    pub(super) fn longest_wait(&self) -> Option<Duration> {
        self.waiting.first_key_value().map(|(_, job)| job.since.elapsed())
    }

    /// A task has a connection, or has none any more.
    pub(super) fn set_connected(&mut self, is_connected: bool) {
        if is_connected {
            self.connected += 1;
            self.refused = None;
        } else {
            self.connected = self.connected.saturating_sub(1);
        }
    }

    /// An attempt to connect failed: if there is no connection at all, nobody is left to wait.
    pub(super) fn refuse(&mut self, failure: &Failure) -> Vec<Job> {
        let ([least, most], now) = (PAUSE, Instant::now());
        // Those who tried at the same time count once.
        if self.refused.as_ref().is_none_or(|last| last.until <= now) {
            let pause = self.refused.as_ref().map_or(least, |last| (last.pause * 2).min(most));
            self.refused = Some(Refused { failure: failure.clone(), until: now + pause, pause });
        }
        if self.connected > 0 {
            return Vec::new();
        }
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// Why a statement did not get its turn.
    pub(super) fn no_connection(&self) -> Failure {
        let refused = self.refused.as_ref().filter(|_| self.connected == 0);
        refused.map_or_else(|| Failure::refused(late()), |refused| refused.failure.clone())
    }
}
