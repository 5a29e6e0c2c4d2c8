//! What the failover of a Redis that has the only copy may cost: the writes of its last moments, and
//! for as long as instances may still use the old primary.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::super::history::{Fault, Kind, MILLI, Op, Place, Time, tag_of};
use super::evidence::Evidence;

/// A replica is behind by no more.
const LAG: Time = 300 * MILLI;
/// By then nobody sends to the old primary.
pub const LEAVES: Time = 1_500 * MILLI;

/// What was acknowledged and is gone, as the rules meet with it.
#[derive(Debug, Default)]
pub struct Losses(RefCell<BTreeSet<(Time, Time)>>);

impl Losses {
    pub fn note(&self, op: &Op) {
        self.0.borrow_mut().insert((op.start, op.end));
    }

    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }
}

impl Evidence<'_> {
    /// Whether it may have been done by a primary that was replaced, and be gone with that; and
    /// whether it may have read there.
    pub fn may_be_lost(&self, op: &Op) -> bool {
        if self.terms.is_durable {
            return false;
        }
        self.failovers(op).next().is_some()
    }

    /// Whether it was acknowledged by an instance that has started while a primary was being
    /// replaced: it found that without a replica, and cannot know that it had one.
    pub fn may_be_unconfirmed(&self, op: &Op) -> bool {
        let starts: Vec<Time> = self
            .history
            .faults_on(&[Place::Instance(op.at)])
            .filter(|fault| fault.what == "Kill")
            .map(|fault| fault.to)
            .collect();
        let is_new = |failover: &Fault| {
            starts.iter().any(|start| failover.from < *start && *start < failover.to + LEAVES)
        };
        !self.terms.is_durable && self.failovers(op).any(is_new)
    }

    /// Those around a request at the primaries of its session.
    fn failovers(&self, op: &Op) -> impl Iterator<Item = &Fault> {
        let (shards, start, end) = (self.shards(op), op.start, op.end);
        self.history.faults.iter().filter(move |fault| {
            let is_there = shards.iter().any(|shard| fault.on == Place::Redis(*shard));
            let meets = fault.from.saturating_sub(LAG) < end && start < fault.to + LEAVES;
            fault.loses && is_there && meets
        })
    }

    fn is_over_by(&self, token: &str, time: Time) -> bool {
        self.ends(token).any(|end| end.op.start < time)
    }

    /// The primaries that have to do with the sessions of a request.
    pub fn shards(&self, op: &Op) -> BTreeSet<usize> {
        let mut tags: BTreeSet<&str> = BTreeSet::new();
        let mut token = op.token.as_deref();
        while let Some(of_line) = token {
            tags.insert(tag_of(of_line));
            token = self.birth(of_line).and_then(|birth| birth.token.as_deref());
        }
        tags.extend(op.new_token().map(tag_of));
        if op.kind.is_of_a_user() {
            tags.extend(self.history.tags.get(&op.client).map(String::as_str));
        }
        // A visitor that never was has no place yet, nor has the one that an update begins in the
        // place of a session that is over.
        let begins = match op.kind {
            Kind::Visit => true,
            Kind::Update => op.token.as_deref().is_some_and(|token| self.is_over_by(token, op.end)),
            _ => false,
        };
        if tags.is_empty() || begins && op.new_token().is_none() {
            return (0..self.history.shards.max(1)).collect();
        }
        let served = |tag| self.history.shards_of(tag, op.start.saturating_sub(LEAVES), op.end);
        tags.into_iter().flat_map(served).collect()
    }
}
