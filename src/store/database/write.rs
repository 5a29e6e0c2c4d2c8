//! Writes and their outcomes.

use std::num::NonZeroU32;

#[cfg(feature = "sqlite")]
use crate::clock::timestamp::Timestamp;
use crate::{
    error::Error,
    session::{
        record::{Record, Touch},
        token::SessionId,
    },
    store::{
        LoginWrite,
        database::row::{Epoch, millis},
    },
};

/// One change to the sessions.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// Creates a row; `Taken` if the id has one, even an ended one.
    Create { id: SessionId, record: Record, terms: Terms },
    /// Stores another version of the row that is alive at `expected`.
    Save { id: SessionId, expected: u64, record: Record },
    /// Deletes a live row, at `expected` or at any version.
    Delete { id: SessionId, expected: Option<u64> },
    /// Creates `new` to replace `old`, alive at `expected`, which stays until
    /// [`Finish`](Self::Finish).
    Begin { old: SessionId, expected: u64, new: SessionId, record: Record, terms: Terms },
    /// Deletes `old`, alive at `expected` if that is given, and clears that `new` replaces it.
    /// `Done` if it has ended already, at version 0 if there is no `old`. Without `expected` `new`
    /// takes over what was written to `old` since it was created.
    Finish { old: SessionId, expected: Option<u64>, new: SessionId },
    /// Deletes `new`, if it still has to end `old`, which stays: no client knows it, and it would
    /// count towards a user's limit.
    Abandon { old: SessionId, new: SessionId },
    /// Extends the end without a new version; `Gone` if there is nothing to change.
    Touch { id: SessionId, version: u64, activity: Touch },
    /// Changes the user's epoch, and deletes the user's live sessions except `keep` and its
    /// successor. `Done` also lists those deleted already and still in the journal: their deletion
    /// may not have been pushed to Redis.
    Revoke { user: String, keep: Option<SessionId> },
}

/// Conditions of a new row of a user; in the same step the oldest over the limit are deleted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) epoch: Option<u64>,
    pub(crate) limit: Option<NonZeroU32>,
}

/// Outcome of a [`Write`].
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// The version at deletion, otherwise the current one (for a revocation the number of deleted
    /// rows); and the other sessions that ended.
    Done {
        version: u64,
        ended: Vec<Ended>,
    },
    Conflict(Record),
    Gone,
    Taken,
    /// The user's epoch is a later one.
    Revoked,
}

/// A session that another session's write has ended: the one that it replaced, the oldest over the
/// limit, or all of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) id: SessionId,
    /// Its version in the journal; `None` if unknown.
    pub(crate) version: Option<u64>,
}

/// A write whose transaction has been committed.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    pub(crate) written: Written,
    /// Read after the commit in a new snapshot; `None` if it could not be read, or without a
    /// journal.
    pub(crate) epoch: Option<Epoch>,
}

/// A failed write.
#[derive(Clone, Debug)]
pub(crate) enum WriteFault {
    /// Nothing was stored, with certainty.
    Refused(Error),
    /// It may have happened, or may still happen.
    Unknown(Error),
}

/// A failed transaction.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) fault: WriteFault,
    /// Nothing was stored, and a single write may be the cause.
    pub(super) for_one: bool,
}

impl From<WriteFault> for Failed {
    fn from(fault: WriteFault) -> Self {
        Self { fault, for_one: false }
    }
}

/// Writes of one transaction, in the order of execution.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) writes: Vec<Write>,
    /// Journal rows to delete, up to a version.
    pub(super) clears: Vec<(SessionId, u64)>,
}

/// The outcomes of a batch, one for each write.
#[derive(Debug)]
pub(super) struct Executed {
    pub(super) outcomes: Vec<Result<Written, Error>>,
    pub(super) epoch: Option<Epoch>,
}

/// Number of rows that a purge deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purged {
    pub(crate) sessions: u64,
    /// Users whose epoch is no longer needed.
    pub(crate) users: u64,
    /// Failed attempts that have recovered.
    pub(crate) attempts: u64,
}

impl Purged {
    /// The largest of the numbers: below the limit nothing is left that is due.
    pub(crate) fn most(&self) -> u64 {
        self.sessions.max(self.users).max(self.attempts)
    }
}

impl Written {
    /// Whether a write that ends a session ended one.
    pub(crate) fn has_ended(&self) -> bool {
        let Self::Done { version, ended } = self else { return false };
        *version > 0 || ended.iter().any(|one| one.version.is_some())
    }
}

impl Write {
    /// A sign-in as the first step of a renewal, or of a session of its own.
    pub(crate) fn login(login: LoginWrite<'_>) -> Self {
        let LoginWrite { new, epoch, limit, .. } = login;
        let (record, terms) = (login.record.clone(), Terms { epoch, limit });
        match login.old {
            Some((old, expected)) => Self::Begin { old: *old, expected, new: *new, record, terms },
            None => Self::Create { id: *new, record, terms },
        }
    }

    /// The id that it creates.
    pub(crate) const fn creates(&self) -> Option<SessionId> {
        match self {
            Self::Create { id, .. } | Self::Begin { new: id, .. } => Some(*id),
            _ => None,
        }
    }

    /// The session that it changes, of two the older; `None` for all of a user.
    pub(crate) fn id(&self) -> Option<&SessionId> {
        match self {
            Self::Create { id, .. }
            | Self::Save { id, .. }
            | Self::Delete { id, .. }
            | Self::Touch { id, .. } => Some(id),
            Self::Begin { old, .. } | Self::Abandon { old, .. } | Self::Finish { old, .. } => {
                Some(old)
            }
            Self::Revoke { .. } => None,
        }
    }
}

impl Write {
    /// Whether it ends a session or keeps one alive, which must work on a full disk.
    pub(super) fn makes_room(&self) -> bool {
        match self {
            Self::Create { .. } | Self::Save { .. } | Self::Begin { .. } => false,
            Self::Delete { .. }
            | Self::Finish { .. }
            | Self::Abandon { .. }
            | Self::Touch { .. }
            | Self::Revoke { .. } => true,
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

/// The database's clock, beside that of the writing instance.
#[cfg(feature = "sqlite")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// By the database's clock.
    pub(super) now: i64,
    /// The same moment by the instance's clock.
    pub(super) ours: Timestamp,
}

#[cfg(feature = "sqlite")]
impl Times {
    /// A time of the instance, converted to the database's clock.
    pub(super) fn of(&self, time: Timestamp) -> i64 {
        millis(time).saturating_add(self.now - millis(self.ours))
    }
}

/// A record as columns.
pub(super) struct Fresh {
    pub(super) version: i64,
    pub(super) created: i64,
    pub(super) last_activity: i64,
    pub(super) idle_deadline: i64,
    #[cfg(feature = "postgres")]
    pub(super) ends: i64,
    pub(super) user: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Fresh {
    pub(super) fn of(record: &Record) -> Self {
        Self {
            version: record.version().cast_signed(),
            created: millis(record.created()),
            last_activity: millis(record.last_activity()),
            idle_deadline: millis(record.deadlines.idle_deadline),
            #[cfg(feature = "postgres")]
            ends: millis(record.end()),
            user: record.user().map(column_of),
            body: record.to_bytes(),
        }
    }
}

/// A user as a column value: PostgreSQL's text cannot contain NUL, and users must stay distinct.
pub(super) fn column_of(user: &str) -> String {
    if !user.contains(['\0', '\u{fffd}']) {
        return user.to_owned();
    }
    user.replace('\u{fffd}', "\u{fffd}1").replace('\0', "\u{fffd}0")
}

#[cfg(test)]
mod tests {
    use crate::store::database::write::*;

    #[test]
    fn no_two_users_share_a_column() {
        let users = ["a", "a\0", "a\u{fffd}", "a\u{fffd}0", "a\u{fffd}1", "a\0\u{fffd}", "a0"];
        let columns: std::collections::BTreeSet<_> = users.map(column_of).into();
        assert_eq!(columns.len(), users.len());
        assert!(columns.iter().all(|column| !column.contains('\0')));
    }
}
