//! One state of the world: the database's row, the cluster, the instances, and what is under way.

use super::fault::FAULTS;
pub use crate::durable::state::{Answer, FillStage, GENERATIONS, NONE, Stage, SweepStage, Waiter};

/// What stands under the session's key, in one generation, on one node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Entry {
    Empty,
    Record {
        version: u8,
        saves: u8,
    },
    Tombstone {
        version: u8,
        age: u8,
    },
    /// The right to fill, of the holder of this token.
    Lease(u8),
}

/// What Redis is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Command {
    Put { version: u8, saves: u8 },
    Kill { version: u8 },
    Fill { version: u8, saves: u8, token: u8 },
}

/// A command on the wire: executed now, later or never, while the process it was sent to lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Sent {
    pub node: u8,
    pub incarnation: u8,
    pub generation: u8,
    pub command: Command,
    pub waiter: Waiter,
    pub asking: bool,
    /// Generations that are removed besides, a bit each.
    pub also: u8,
    /// The config epoch that the sender counts on.
    pub epoch: u8,
}

/// Where a push or a fill goes.
#[derive(Clone, Copy)]
pub struct Target {
    pub node: u8,
    pub generation: u8,
    pub also: u8,
    pub epoch: u8,
}

/// What a node says of the slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Own {
    No,
    Owner,
    Migrating(u8),
    Importing,
}

impl Own {
    pub fn serves(self) -> bool {
        matches!(self, Self::Owner | Self::Migrating(_))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    pub incarnation: u8,
    pub up: bool,
    pub own: Own,
    /// Config epoch: grows when the node gains the slot.
    pub epoch: u8,
    pub entries: [Entry; GENERATIONS],
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Instance {
    pub alive: bool,
    /// For all nodes, or for each: the generation and what it was made for, as last learned.
    pub generation: [u8; 3],
    pub incarnation: [u8; 3],
    /// Ticks since its last poll, at most 2.
    pub age: u8,
    pub set_aside: bool,
    /// It does not reach the database.
    pub cut: bool,
    /// The epoch of each node as of the last poll.
    pub seen: [u8; 3],
}

/// A save or a logout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Write {
    pub stage: Stage,
    pub base_version: u8,
    pub base_saves: u8,
    pub generation: u8,
    pub version: u8,
    pub saves: u8,
    pub kill: bool,
    /// A save that found the row dead.
    pub gone: bool,
    /// The generation could not be read after the commit.
    pub guess: bool,
    pub answer: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Fill {
    pub stage: FillStage,
    pub instance: u8,
    pub node: u8,
    pub incarnation: u8,
    pub generation: u8,
    pub token: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Sweep {
    pub stage: SweepStage,
    pub version: u8,
}

/// A copy that a late `MIGRATE` still brings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LateCopy {
    pub node: u8,
    pub incarnation: u8,
    pub generation: u8,
    pub entry: Entry,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    // The session's row.
    pub row_version: u8,
    pub row_saves: u8,
    pub row_alive: bool,
    // The row of the cache, or one a node; and the version in the session's journal row.
    pub db_generation: [u8; 3],
    pub db_incarnation: [u8; 3],
    pub last_generation: u8,
    pub journal: u8,
    // What happened, for the invariants.
    pub was_dead: bool,
    pub logout_committed: u8,
    pub logout_acked_by: u8,
    pub logout_pushed: bool,
    pub save_committed: [u8; 2],
    pub saves_acked_by: [u8; 2],
    pub saves_pushed: u8,
    pub nodes: [Node; 3],
    /// What the replica of each shard has.
    pub replicas: [[Entry; GENERATIONS]; 2],
    /// The shard that failed over, counted from 1; 0 for none.
    pub failed: u8,
    pub late_copy: Option<LateCopy>,
    pub instances: [Instance; 2],
    pub writes: [Write; 3],
    pub fill: Fill,
    pub sweeps: [Sweep; 2],
    pub wire: Vec<Sent>,
    pub used: [u8; FAULTS],
    pub moves: u8,
    /// Ticks since the slot was handed over.
    pub stayed: u8,
    pub next_incarnation: u8,
    pub next_token: u8,
}

impl Node {
    pub fn down() -> Self {
        let entries = [Entry::Empty; GENERATIONS];
        Self { incarnation: 0, up: false, own: Own::No, epoch: 0, entries }
    }

    pub fn is(&self, incarnation: u8) -> bool {
        self.up && self.incarnation == incarnation
    }
}

impl Instance {
    pub fn down(cut: bool) -> Self {
        Self {
            alive: false,
            generation: [NONE; 3],
            incarnation: [0; 3],
            age: 0,
            set_aside: false,
            cut,
            seen: [0; 3],
        }
    }
}

impl Write {
    /// Whether its instance has begun it. A logout that has not begun stands at its commit.
    pub fn has_begun(&self) -> bool {
        self.stage > Stage::Commit || (self.stage == Stage::Commit && self.base_version != 0)
    }

    pub fn is_past_commit(&self) -> bool {
        (Stage::ReadGeneration..Stage::Over).contains(&self.stage)
    }
}

impl State {
    /// Ends a write: nothing is kept of it but what the client was told.
    pub fn finish(&mut self, write: usize) {
        let answer = self.writes[write].answer;
        self.writes[write] = Write { stage: Stage::Over, answer, ..Write::default() };
    }

    pub fn answer_unknown(&mut self, write: usize) {
        self.writes[write].answer = Answer::Unknown;
        self.finish(write);
    }

    /// Nobody waits any longer for what `waiter` has sent.
    pub fn abandon(&mut self, waiter: Waiter) {
        for sent in &mut self.wire {
            if sent.waiter == waiter {
                sent.waiter = Waiter::Nobody;
                sent.epoch = 0;
            }
        }
    }

    /// The set of primaries, as one number. Z stands in for whoever failed; the isolated one is no
    /// member.
    pub fn primaries(&self) -> u8 {
        let member = |node: usize| {
            let failed = self.is_isolated(node);
            self.nodes[if failed { 2 } else { node }].incarnation
        };
        member(0) * 16 + member(1)
    }

    /// Whether this primary was replaced by a failover.
    pub fn is_isolated(&self, node: usize) -> bool {
        self.failed == node as u8 + 1
    }

    pub fn epochs(&self) -> [u8; 3] {
        self.nodes.map(|node| node.epoch)
    }

    pub fn highest_epoch(&self) -> u8 {
        self.nodes.iter().map(|node| node.epoch).max().unwrap_or(0)
    }

    /// An instance takes the generation in the database over on the spot. That is no poll.
    pub fn adopt(&mut self, instance: usize) {
        self.instances[instance].generation = self.db_generation;
        self.instances[instance].incarnation = self.db_incarnation;
    }
}
