//! The parts of the protocol, each of which can be taken out.
//!
//! Numbers of sections are those of `docs/protocol.md`.

/// Which generation a write pushes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushGeneration {
    /// The one that the instance knows.
    Known,
    /// Read in the database before the commit, as a `SELECT` in the same transaction does.
    BeforeCommit,
    /// Read in the database after the commit.
    AfterCommit,
}

/// How polls are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Polls {
    /// In one step.
    Instant,
    /// They take time, and their answers are taken in as the protocol says.
    Slow,
    /// The answer replaces what was set aside while it was under way.
    ForgetSetAside,
    /// The answer replaces a newer generation.
    TakeBackGeneration,
    /// The lease counts from the answer instead of the poll's start.
    LeaseFromAnswer,
}

/// A protocol: the first design, the one in use, or either without one of its parts.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The database compares the version, and revives no dead row.
    pub compare_and_set: bool,
    /// A push replaces older records only.
    pub newer_only: bool,
    /// Ticks that a tombstone lives; 0 for a plain `DEL` at logout.
    pub tombstone: u8,
    pub generation_in_key: bool,
    /// A failed push makes a new generation.
    pub bump_on_failed_push: bool,
    /// An instance that remembers another run id makes a new generation.
    pub bump_on_new_run_id: bool,
    /// The database says for which incarnation the generation was made.
    pub bound_generation: bool,
    pub journal: bool,
    /// Only the holder of a lease may fill.
    pub leased_fill: bool,
    /// A push may create a missing key.
    pub push_creates: bool,
    /// A push stores its record in place of a lease, instead of removing the lease.
    pub push_on_lease: bool,
    pub push_generation: PushGeneration,
    /// A fill goes to the generation known when it is sent, instead of the one known before its
    /// database read.
    pub fill_generation_at_send: bool,
    /// A fill goes over the connection that took the lease, or is dropped.
    pub fill_pinned: bool,
    /// Redis is not trusted once the last poll is older than a lease.
    pub trust_lease: bool,
    /// Redis is written before the database.
    pub redis_first: bool,
    /// A write that finds the row dead pushes all the same.
    pub push_when_dead: bool,
    /// Attempts at a push.
    pub attempts: u8,
    /// Ticks after which Redis refuses a command that is late; 0 for never.
    pub deadline: u8,
    /// Reads go on from Redis while the database is away.
    pub serve_without_database: bool,
    pub sweep: bool,
    /// Sessions in the journal are read in the database.
    pub sets_aside: bool,
    /// What the database says is over, while Redis had no word in it, is set aside.
    pub sets_aside_dead: bool,
    /// A write is acknowledged only when every instance must see it: after a push under a
    /// generation that was learned two ticks ago, or two ticks after the commit.
    pub strict: bool,
    pub polls: Polls,
    /// A logout of a tombstone of a move ends the heir in the same transaction.
    pub end_follows: bool,
    /// With a journal row for it too.
    pub journals_heir: bool,
    /// A logout that finds the tombstone dead pushes the end of the heir all the same.
    pub kills_dead_heir: bool,
}

/// The first design: the database first, then set-if-newer in Redis; tombstones; a generation in
/// the key, and another one when a push fails.
pub fn first_design() -> Protocol {
    Protocol {
        compare_and_set: true,
        newer_only: true,
        tombstone: 1,
        generation_in_key: true,
        bump_on_failed_push: true,
        bump_on_new_run_id: true,
        bound_generation: false,
        journal: false,
        leased_fill: false,
        push_creates: true,
        push_on_lease: false,
        push_generation: PushGeneration::Known,
        fill_generation_at_send: false,
        fill_pinned: false,
        trust_lease: false,
        redis_first: false,
        push_when_dead: false,
        attempts: 2,
        deadline: 0,
        serve_without_database: false,
        sweep: false,
        sets_aside: false,
        sets_aside_dead: false,
        strict: false,
        polls: Polls::Instant,
        end_follows: true,
        journals_heir: true,
        kills_dead_heir: true,
    }
}

/// The first design with late commands made harmless, as far as a deadline shorter than the
/// tombstone does that.
pub fn timely() -> Protocol {
    Protocol { deadline: 1, tombstone: 2, ..first_design() }
}

/// The first design with leased fills and pushes that never create: what is left of its holes has
/// nothing to do with lateness.
pub fn leased() -> Protocol {
    Protocol { leased_fill: true, push_creates: false, fill_pinned: true, ..first_design() }
}

/// The protocol in use: section 3.
pub fn current() -> Protocol {
    Protocol {
        tombstone: 0,
        bump_on_failed_push: false,
        bump_on_new_run_id: false,
        bound_generation: true,
        journal: true,
        leased_fill: true,
        push_creates: false,
        push_generation: PushGeneration::AfterCommit,
        trust_lease: true,
        fill_pinned: true,
        push_when_dead: true,
        attempts: 1,
        sweep: true,
        sets_aside: true,
        sets_aside_dead: true,
        ..first_design()
    }
}
