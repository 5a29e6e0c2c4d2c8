//! Queue of writes that wait for a transaction.

use std::{collections::VecDeque, time::Instant};

use tokio::sync::oneshot;

use crate::{
    error::Error,
    session::token::SessionId,
    store::database::{
        group_commit::clears::Clears,
        write::{Committed, Write, WriteFault},
    },
};

/// Maximum number of writes per transaction.
const BATCH_MAX: usize = 128;
/// Maximum number of waiting writes. A database that is so far behind is overloaded.
const WAITING_MAX: usize = 4096;

/// Writes and clears in order of arrival, and the number of tasks that execute them.
#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Job>,
    pub(super) clears: Clears,
    pub(super) workers: usize,
    next_ticket: u64,
}

/// A waiting write and its caller.
pub(super) struct Job {
    pub(super) ticket: u64,
    pub(super) since: Instant,
    pub(super) write: Write,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// The content of one transaction.
#[derive(Default)]
pub(super) struct Work {
    pub(super) jobs: Vec<Job>,
    pub(super) clears: Vec<(SessionId, u64)>,
}

pub(super) type Answer = Result<Committed, WriteFault>;

impl Queue {
    pub(super) fn has_work(&self) -> bool {
        !self.waiting.is_empty() || self.clears.are_due()
    }

    /// Returns its ticket, and the channel of its outcome.
    pub(super) fn push(
        &mut self,
        write: Write,
    ) -> Result<(u64, oneshot::Receiver<Answer>), WriteFault> {
        if self.waiting.len() >= WAITING_MAX {
            let full = Error::unavailable("the database's write queue is full");
            return Err(WriteFault::Refused(full));
        }
        let (answer, receiver) = oneshot::channel();
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        self.waiting.push_back(Job { ticket, since: Instant::now(), write, answer });
        Ok((ticket, receiver))
    }

    /// Withdraws a write that has not started; false if it has.
    pub(super) fn withdraw(&mut self, ticket: u64) -> bool {
        let place = self.waiting.iter().position(|job| job.ticket == ticket);
        place.and_then(|place| self.waiting.remove(place)).is_some()
    }

    /// The next transaction.
    pub(super) fn take(&mut self) -> Option<Work> {
        if !self.has_work() {
            return None;
        }
        let count = self.waiting.len().min(BATCH_MAX);
        let jobs = self.waiting.drain(..count).collect();
        Some(Work { jobs, clears: self.clears.take() })
    }
}
