//! One session in one slot of a Redis Cluster, a database, two application instances: a study of
//! the durable store on a cluster, which the crate does not support.
//!
//! Three Redis processes: X (0) and Y (1) are primaries of two shards, Z (2) is the replica that a
//! failover promotes. The slot of the session moves between them as `MIGRATE` and `CLUSTER SETSLOT`
//! do it: key by key (a key is the session under one generation), with `ASK` for what has gone, and
//! with copies that a `MIGRATE` whose answer was late leaves. Time, reads and commands on the wire
//! are those of [`durable`](crate::durable).

mod check;
mod commit;
pub mod fault;
mod init;
pub mod label;
pub mod protocol;
mod read;
mod redis;
mod reduce;
pub mod state;
mod steps;

pub use self::{
    check::PROMISES,
    fault::{FAULTS, Fault},
    label::{Label, words},
    protocol::{Bind, Protocol, recommended},
};
use self::{state::State, steps::Steps};
use crate::explore::Model;

/// What a write changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// The save of this number: sets its bit in the record.
    Save(u8),
    Logout,
}

/// What a request sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    Alive {
        version: u8,
        saves: u8,
    },
    Dead,
    /// A 503.
    Away,
}

/// A configuration to explore.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// At most three, each with the instance that makes it.
    pub writes: Vec<(Change, u8)>,
    /// Fills that may start in all.
    pub fill_starts: u8,
    /// Faults of each kind, and in all.
    pub caps: [u8; FAULTS],
    pub total: u8,
    /// Moves of the slot.
    pub moves: u8,
    pub generations: u8,
    /// A slot stays with an owner for as long as a lease lasts before it is handed on.
    pub slow: bool,
    /// Without the variables that only tell of what is seen at once.
    pub lean: bool,
    pub protocol: Protocol,
}

impl Cluster {
    /// Whether one more fault of this kind may happen.
    fn may(&self, state: &State, fault: Fault) -> bool {
        let used = state.used[fault as usize];
        used < self.caps[fault as usize] && state.used.iter().sum::<u8>() < self.total
    }

    /// Whether the row of the cache counts for all nodes; else there is a row for each node.
    fn one_row(&self) -> bool {
        matches!(self.protocol.bind, Bind::Set | Bind::Slot | Bind::SlotEpoch)
    }

    fn row(&self, node: usize) -> usize {
        if self.one_row() { 0 } else { node }
    }

    fn looks_at_epoch(&self) -> bool {
        matches!(self.protocol.bind, Bind::ShardEpoch | Bind::SlotEpoch)
    }

    /// What a node counts as: its process, and with it its epoch where that is looked at.
    fn identity(&self, incarnation: u8, epoch: u8) -> u8 {
        if self.looks_at_epoch() { incarnation * 16 + epoch } else { incarnation }
    }
}

impl Model for Cluster {
    type State = State;
    type Label = Label;

    fn init(&self) -> Vec<State> {
        self.initial_states()
    }

    fn next(&self, state: &State, out: &mut Vec<(Label, State)>) {
        Steps::new(self, state, out).all();
    }

    fn check(&self, state: &State, out: &mut Vec<&'static str>) {
        self.violations(state, out);
    }
}
