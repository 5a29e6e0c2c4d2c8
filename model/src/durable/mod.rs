//! One session, or one and the id that it moves to, a database, two Redis nodes, two application instances: the durable store.
//!
//! Time is a number of ticks without end; ages saturate. One tick is the poll interval and also
//! the trust lease: an instance whose poll began in tick t may trust Redis in t and t + 1. Without
//! a lease the clock waits until every instance that reaches the database has polled ("polls about
//! once a second").
//!
//! A read is no process but a question that is asked of every instance in every state: what would
//! a request that starts now see? (With `reads` it is a step as well, for what an instance does
//! because of it.) What takes time is a process: saves, logouts, fills, sweeps, and
//! every command on the wire, which may be executed at any later time as long as the Redis process
//! lives that it was sent to.

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
    protocol::{Protocol, PushGeneration, current, first_design},
};
use self::{state::State, steps::Steps};
use crate::explore::Model;

/// What a write changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// The save of this number: sets its bit in the record.
    Save(u8),
    Logout,
    /// The second step of a renewal: the session becomes a tombstone, and its heir is read.
    Move,
    /// The logout of the heir.
    LogoutHeir,
}

/// What a request sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    Alive {
        version: u8,
        saves: u8,
    },
    /// A tombstone of a move.
    Moved,
    Dead,
    /// A 503.
    Away,
}

/// A configuration to explore.
#[derive(Clone, Debug)]
pub struct Durable {
    pub instances: usize,
    /// One, or two where the session moves.
    pub ids: usize,
    /// At most three, each with the instance that makes it.
    pub writes: Vec<(Change, u8)>,
    /// Fills at the same time.
    pub fills: usize,
    /// Fills that may start in all.
    pub fill_starts: u8,
    /// Faults of each kind, and in all.
    pub caps: [u8; FAULTS],
    pub total: u8,
    /// Start with a copy in Redis, without one, or with both.
    pub warm: bool,
    pub cold: bool,
    /// Fewer variables that only tell what happened, and one sweeper at a time: for proofs, where
    /// the shortest trace does not matter.
    pub lean: bool,
    /// Reads are steps too, and what an instance has shown is remembered.
    pub reads: bool,
    /// Generations that exist in all, at most [`state::GENERATIONS`]: bounds a war of bumps.
    pub generations: u8,
    pub protocol: Protocol,
}

impl Durable {
    /// Whether one more fault of this kind may happen.
    fn may(&self, state: &State, fault: Fault) -> bool {
        let used = state.used[fault as usize];
        used < self.caps[fault as usize] && state.used.iter().sum::<u8>() < self.total
    }
}

impl Model for Durable {
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
