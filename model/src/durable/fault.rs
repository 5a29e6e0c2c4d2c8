//! What may go wrong.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The sender gives up; the command stays on the wire and may be executed later.
    Timeout,
    /// Redis refuses a connection or a command.
    Refusal,
    /// An application process dies.
    Crash,
    /// Redis restarts empty.
    Empty,
    /// Redis restarts with the data of an earlier moment.
    Restore,
    /// A replica of an earlier moment is promoted, and the old primary still serves who is
    /// connected to it.
    Failover,
    /// Redis evicts the entry.
    Eviction,
    /// The database commits and its reply is lost.
    LostReply,
    /// An instance does not reach the database.
    Cut,
}

pub const FAULTS: usize = 9;

impl Fault {
    pub const ALL: [Self; FAULTS] = [
        Self::Timeout,
        Self::Refusal,
        Self::Crash,
        Self::Empty,
        Self::Restore,
        Self::Failover,
        Self::Eviction,
        Self::LostReply,
        Self::Cut,
    ];

    /// On the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Refusal => "refuse",
            Self::Crash => "crash",
            Self::Empty => "empty",
            Self::Restore => "restore",
            Self::Failover => "failover",
            Self::Eviction => "evict",
            Self::LostReply => "db-unknown",
            Self::Cut => "db-cut",
        }
    }
}
