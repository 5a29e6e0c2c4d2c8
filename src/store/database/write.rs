//! What can be written, and what comes of it.

use super::row::{Epoch, millis};
use crate::{
    error::Error,
    record::{Activity, Record},
    token::SessionId,
};

/// One change to the sessions.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// A new row; `Taken` if there is any under the id, a dead one too.
    Create { id: SessionId, record: Record },
    /// Another version of the one that is alive at `expected`.
    Save { id: SessionId, expected: u64, record: Record },
    /// Kills what is alive, at `expected` or at any version.
    Delete { id: SessionId, expected: Option<u64> },
    /// Kills `old`, alive at `expected`, and makes `new` of it, at once.
    Move { old: SessionId, expected: u64, new: SessionId, record: Record },
    /// Makes `new` beside `old`, alive at `expected`, which stays until [`Finish`](Self::Finish).
    Begin { old: SessionId, expected: u64, new: SessionId, record: Record },
    /// Kills `old`, alive at `expected` if that is given, and forgets that `new` replaces it. `Done`
    /// if it is dead already too, at version 0 if there is no `old`. Without `expected` `new` takes
    /// over what was written to `old` since it was made.
    Finish { old: SessionId, expected: Option<u64>, new: SessionId },
    /// A later end and no new version; `Gone` if there is nothing to change.
    Touch { id: SessionId, version: u64, activity: Activity },
}

/// What became of a [`Write`].
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// Of a row that was killed the version that it died with, else the one that is there now; and
    /// whom it still had to end, which was killed with it.
    Done {
        version: u64,
        replaced: Option<SessionId>,
    },
    Conflict(Record),
    Gone,
    Taken,
}

/// A write whose transaction has been committed.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    pub(crate) written: Written,
    /// Read after the commit in a new snapshot; `None` if it could not be read, or without a
    /// journal.
    pub(crate) epoch: Option<Epoch>,
}

/// A write that went wrong.
#[derive(Clone, Debug)]
pub(crate) enum WriteFault {
    /// Nothing was stored, surely.
    Refused(Error),
    /// It may have happened, or happen yet.
    Unknown(Error),
}

/// Writes of one transaction, in the order in which they have to be done.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) writes: Vec<Write>,
    /// Rows of the journal to remove, up to a version.
    pub(super) clears: Vec<(SessionId, u64)>,
}

/// What a batch gave, for each of its writes.
#[derive(Debug)]
pub(super) struct Executed {
    pub(super) outcomes: Vec<Result<Written, Error>>,
    pub(super) epoch: Option<Epoch>,
}

impl Write {
    /// The session that it changes; of two the older.
    pub(crate) fn id(&self) -> &SessionId {
        match self {
            Self::Create { id, .. }
            | Self::Save { id, .. }
            | Self::Delete { id, .. }
            | Self::Touch { id, .. } => id,
            Self::Move { old, .. } | Self::Begin { old, .. } | Self::Finish { old, .. } => old,
        }
    }
}

impl WriteFault {
    pub(super) fn error(&self) -> &Error {
        match self {
            Self::Refused(error) | Self::Unknown(error) => error,
        }
    }

    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Refused(error) | Self::Unknown(error) => error,
        }
    }
}

/// A record as columns.
pub(super) struct Fresh {
    pub(super) version: i64,
    pub(super) last_activity: i64,
    pub(super) idle_deadline: i64,
    pub(super) ends: i64,
    pub(super) user: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Fresh {
    pub(super) fn of(record: &Record) -> Self {
        Self {
            version: record.version().cast_signed(),
            last_activity: millis(record.last_activity()),
            idle_deadline: millis(record.deadlines.idle_deadline),
            ends: millis(record.end()),
            // No column of text can hold it in PostgreSQL; the body does.
            user: record.user().map(|user| user.replace('\0', "\u{fffd}")),
            body: record.to_bytes(),
        }
    }
}
