//! The parts of the protocol on a cluster, each of which can be taken out.

/// What a generation is bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bind {
    /// One generation for the whole set of primaries: another one when a process is replaced.
    Set,
    /// One a primary.
    Shard,
    /// One a primary, and another one when its config epoch grows, as seen at the last poll.
    ShardEpoch,
    /// One a slot and its owner.
    Slot,
    /// The same, and the owner's config epoch at the last poll has to be the one that the
    /// generation was made at.
    SlotEpoch,
}

#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    pub bind: Bind,
    pub journal: bool,
    pub sets_aside: bool,
    pub leased_fill: bool,
    pub push_creates: bool,
    pub trust_lease: bool,
    /// The generation is read after the commit.
    pub generation_after: bool,
    pub push_when_dead: bool,
    /// An answer that was got by following `ASK` is trusted.
    pub ask_read: bool,
    /// A push follows `ASK`, and counts.
    pub ask_push: bool,
    /// A push follows `MOVED`, and counts, if the other node is known.
    pub moved_push: bool,
    /// PUT and KILL report that their slot is moving, and do not count then.
    pub probe: bool,
    /// They report the node's config epoch too, and do not count if it is not the one that the
    /// generation was made at.
    pub evidence: bool,
    /// A poll looks where the slot is, and makes a new generation if that is not where the
    /// generation counts.
    pub notice: bool,
    /// A bump needs a node that says itself that the slot is its own.
    pub confirm: bool,
    /// A bump clears the journal.
    pub bump_clears: bool,
    /// PUT and KILL remove what is there under every generation that is in the database.
    pub all_generations: bool,
}

pub fn recommended() -> Protocol {
    Protocol {
        bind: Bind::SlotEpoch,
        journal: true,
        sets_aside: true,
        leased_fill: true,
        push_creates: false,
        trust_lease: true,
        generation_after: true,
        push_when_dead: true,
        ask_read: false,
        ask_push: false,
        moved_push: false,
        probe: false,
        evidence: false,
        notice: true,
        confirm: true,
        bump_clears: false,
        all_generations: false,
    }
}
