//! One state of the world: the database's row, Redis, the instances, and what is under way.

use super::fault::FAULTS;

/// Generations that a state has room for.
pub const GENERATIONS: usize = 4;
/// The session's id, and the one that it moves to.
pub const IDS: usize = 2;
/// What a node has under each of them, in each generation.
pub type Entries = [[Entry; GENERATIONS]; IDS];
pub const EMPTY: Entries = [[Entry::Empty; GENERATIONS]; IDS];
/// No tick yet, or no node.
pub const NONE: u8 = 255;

/// What stands under one key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Entry {
    Empty,
    Record {
        version: u8,
        saves: u8,
        /// Of a tombstone of a move, in the database.
        moved: bool,
    },
    Tombstone {
        version: u8,
        age: u8,
    },
    /// The right to fill, of the holder of this token.
    Lease(u8),
    /// The holder of a lease found nothing in the database.
    Absent,
}

/// What Redis is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Command {
    Put {
        id: u8,
        version: u8,
        saves: u8,
    },
    /// Of these ids, as bits.
    Kill {
        ids: u8,
        version: u8,
    },
    Fill {
        id: u8,
        version: u8,
        saves: u8,
        moved: bool,
        token: u8,
    },
    /// The fill of what is over; this instance shows it so, once Redis has it.
    Absent {
        token: u8,
        instance: u8,
    },
}

/// Who waits for the answer to a command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Waiter {
    /// The write of this number.
    Write(u8),
    /// The sweeper of this instance.
    Sweeper(u8),
    Nobody,
}

/// A command on the wire: executed now, later or never, while the process it was sent to lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Sent {
    pub node: u8,
    pub incarnation: u8,
    pub generation: u8,
    pub command: Command,
    pub waiter: Waiter,
    /// Ticks since it was sent; kept only where commands carry a deadline.
    pub age: u8,
}

/// A Redis process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    pub incarnation: u8,
    pub up: bool,
    pub entries: Entries,
}

/// An application instance, and what it knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Instance {
    pub alive: bool,
    pub generation: u8,
    /// The incarnation that the generation was made for.
    pub incarnation: u8,
    /// Ticks since its last poll began, at most 2.
    pub age: u8,
    /// The node it is connected to, and that node's incarnation when it connected.
    pub peer: u8,
    pub peer_incarnation: u8,
    /// The first design's memory of the last run id.
    pub last_run: u8,
    /// The sessions that are set aside, as bits: read in the database.
    pub set_aside: u8,
    /// Ticks since it learned its generation, at most 2; kept only in strict mode.
    pub learned: u8,
    /// It does not reach the database.
    pub cut: bool,
    /// It has shown the session as ended.
    pub shown_dead: bool,
    pub poll: Poll,
}

/// A poll whose answer is under way: what its snapshot saw, and how long ago it began.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Poll {
    pub on: bool,
    pub generation: u8,
    pub incarnation: u8,
    pub set_aside: u8,
    pub age: u8,
    /// The sessions that were set aside here after the poll began.
    pub added: u8,
}

/// Where a save or a logout stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Load,
    Commit,
    ReadGeneration,
    Push,
    /// The command is on the wire.
    Pushing,
    PushFailed,
    ClearJournal,
    /// Redis has it, the database not yet: only where Redis is written first.
    CommitAfterRedis,
    /// Pushed, and strict mode waits.
    WaitOutLease,
    Over,
}

/// What the client was told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Answer {
    #[default]
    None,
    Pushed,
    Unpushed,
    Unknown,
}

/// A save or a logout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Write {
    pub stage: Stage,
    /// The version and the saves that it was made of.
    pub base_version: u8,
    pub base_saves: u8,
    /// Where it pushes to.
    pub generation: u8,
    pub incarnation: u8,
    /// What it pushes, and for which ids, as bits.
    pub ids: u8,
    pub versions: [u8; IDS],
    pub saves: u8,
    pub kill: bool,
    /// A save that found the row dead.
    pub gone: bool,
    /// The generation could not be read after the commit: the known one is used, and the journal
    /// row stays.
    pub guess: bool,
    pub tries: u8,
    pub answer: Answer,
    /// Ticks since its commit, at most 2; kept only in strict mode.
    pub age: u8,
}

/// A fill: from a miss to the command that creates the copy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Fill {
    pub stage: FillStage,
    pub instance: u8,
    pub generation: u8,
    pub incarnation: u8,
    pub token: u8,
    pub id: u8,
    pub version: u8,
    pub saves: u8,
    pub moved: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum FillStage {
    #[default]
    Off,
    Read,
    Send,
}

/// A sweeper at work on the journal row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Sweep {
    pub stage: SweepStage,
    pub id: u8,
    pub generation: u8,
    pub version: u8,
    pub saves: u8,
    pub kill: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum SweepStage {
    #[default]
    Off,
    Pushing,
    Clear,
}

/// A session in the database.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Row {
    pub version: u8,
    /// A bit for each save that is in it.
    pub saves: u8,
    pub alive: bool,
    /// A tombstone of its move to the other id.
    pub moved: bool,
    /// It still has to end the other id: nobody reads it before.
    pub pending: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub rows: [Row; IDS],
    // The row of the cache, and the versions in the sessions' journal rows; 0 for none.
    pub db_generation: u8,
    pub db_incarnation: u8,
    pub journal: [u8; IDS],
    // What happened, for the invariants: ticks since, or a bit for each instance, save or id.
    pub was_dead: u8,
    pub moved_committed: u8,
    pub moved_acked_by: u8,
    pub logged_out: u8,
    pub logout_committed: u8,
    pub logout_acked: u8,
    pub logout_acked_by: u8,
    pub logout_pushed: bool,
    pub save_committed: [u8; 2],
    pub save_acked: [u8; 2],
    pub saves_acked_by: [u8; 2],
    pub saves_pushed: u8,
    // Redis: two nodes, and what the snapshot or the replica has.
    pub nodes: [Node; 2],
    pub primary: u8,
    pub replica: Entries,
    pub instances: [Instance; 2],
    pub writes: [Write; 3],
    pub fills: [Fill; 2],
    pub sweeps: [Sweep; 2],
    pub wire: Vec<Sent>,
    // Faults so far, by kind.
    pub used: [u8; FAULTS],
    pub next_incarnation: u8,
    pub next_token: u8,
}

impl Node {
    pub fn down() -> Self {
        Self { incarnation: 0, up: false, entries: EMPTY }
    }

    pub fn started(incarnation: u8, entries: Entries) -> Self {
        Self { incarnation, up: true, entries }
    }

    pub fn is(&self, incarnation: u8) -> bool {
        self.up && self.incarnation == incarnation
    }
}

impl Instance {
    pub fn down(cut: bool) -> Self {
        Self {
            alive: false,
            generation: 0,
            incarnation: 0,
            age: 0,
            peer: NONE,
            peer_incarnation: 0,
            last_run: 0,
            set_aside: 0,
            learned: 0,
            cut,
            shown_dead: false,
            poll: Poll::default(),
        }
    }

    /// Connected to the first node since ever.
    pub fn settled() -> Self {
        Self {
            alive: true,
            incarnation: 1,
            peer: 0,
            peer_incarnation: 1,
            last_run: 1,
            learned: 2,
            ..Self::down(false)
        }
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

    /// The sessions that the journal names, as bits.
    pub fn in_journal(&self) -> u8 {
        (0..IDS).filter(|id| self.journal[*id] != 0).fold(0, |set, id| set | 1 << id)
    }

    /// What was written no later than these versions is in Redis.
    pub fn clear(&mut self, ids: u8, versions: [u8; IDS]) {
        for (id, (row, version)) in self.journal.iter_mut().zip(versions).enumerate() {
            if ids & 1 << id != 0 && *row <= version {
                *row = 0;
            }
        }
    }

    /// Nobody waits any longer for what `waiter` has sent.
    pub fn abandon(&mut self, waiter: Waiter) {
        for sent in &mut self.wire {
            if sent.waiter == waiter {
                sent.waiter = Waiter::Nobody;
            }
        }
    }
}
