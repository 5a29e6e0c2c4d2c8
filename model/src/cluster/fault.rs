//! What may go wrong.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    Timeout,
    Refusal,
    Crash,
    Failover,
    Eviction,
    LostReply,
    Cut,
    /// A `MIGRATE` whose answer is late: the source keeps the key, the target gets it, now or
    /// later.
    LateMigrate,
    /// A move of the slot is given up.
    Abort,
}

pub const FAULTS: usize = 9;

impl Fault {
    pub const ALL: [Self; FAULTS] = [
        Self::Timeout,
        Self::Refusal,
        Self::Crash,
        Self::Failover,
        Self::Eviction,
        Self::LostReply,
        Self::Cut,
        Self::LateMigrate,
        Self::Abort,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "time-out",
            Self::Refusal => "refusal",
            Self::Crash => "app crash",
            Self::Failover => "failover",
            Self::Eviction => "eviction",
            Self::LostReply => "lost database reply",
            Self::Cut => "cut from the database",
            Self::LateMigrate => "late MIGRATE",
            Self::Abort => "move given up",
        }
    }
}
