//! What the command `validate` needs of a store: an enumeration of the places where its data
//! contradicts itself, and the deletion of everything that the command has stored.
//!
//! A suspicion is what one look shows. Records change while they are compared, so a suspicion is a
//! finding only if a second look shows the same.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    clock::timestamp::Timestamp,
    session::{record::Record, token::SessionId},
    store::{StoreFuture, cursor::Cursor},
};

/// A store whose data can be examined.
pub(crate) trait Audit: Send + Sync {
    /// The enumerations that [`page`](Self::page) offers.
    fn areas(&self) -> &'static [Area];

    /// Why functions cannot be tried here without an effect on the service; `None` if they can.
    fn obstacle(&self) -> StoreFuture<'_, Option<Obstacle>>;

    /// How many milliseconds the clock of each server is ahead of this process', where it is known.
    fn clocks(&self) -> Vec<(&'static str, i64)>;

    /// Examines the keys or rows after `after`, from the first without one. A page may be empty and
    /// not the last.
    fn page<'a>(&'a self, area: Area, after: Option<&'a Cursor>) -> StoreFuture<'a, Audited>;

    /// Examines these places again.
    fn again<'a>(&'a self, area: Area, places: &'a Places) -> StoreFuture<'a, Vec<Suspicion>>;

    /// Changes that Redis has not confirmed, each with its version.
    fn pending(&self) -> StoreFuture<'_, Vec<(SessionId, u64)>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Users and attempts whose rows the write at `last_write` should have deleted; counted up to
    /// 1,001.
    fn overdue(&self, last_write: Timestamp) -> StoreFuture<'_, u64>;

    /// From now on this process deletes no rows of other sessions.
    fn purge_nothing(&self);

    /// Deletes everything that is stored under these names, whatever its state. Safe to repeat.
    fn forget<'a>(&'a self, own: &'a Own) -> StoreFuture<'a, ()>;

    /// The copies in Redis, for a store that has some.
    fn copies(&self) -> Option<&dyn Copies> {
        None
    }
}

/// Copies in Redis of sessions that a database has.
pub(crate) trait Copies: Send + Sync {
    /// Closes this process' connections to Redis and opens no other ones, or does so again. The
    /// server and other instances are not affected.
    fn cut(&self, cut: bool);

    /// Whether this process reads copies at the moment.
    fn are_trusted(&self) -> bool;

    /// The version of the copy in Redis, read over a connection that is not cut.
    fn version<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<u64>>;
}

/// The keys in Redis, or the rows of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Area {
    Keys,
    Rows,
}

/// The keys or ids of rows to examine again.
pub(crate) type Places = BTreeSet<Vec<u8>>;

/// Result of examining a page.
#[derive(Debug, Default)]
pub(crate) struct Audited {
    pub(crate) examined: u64,
    pub(crate) suspicions: Vec<Suspicion>,
    pub(crate) ends: Ends,
    /// Why a part of the page was not compared.
    pub(crate) not_compared: Option<&'static str>,
    /// `None` after the last page.
    pub(crate) next: Option<Cursor>,
}

/// Whether rows of ended sessions are deleted in time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ends {
    /// Rows that a purge should have deleted, if the store was written to since.
    pub(crate) overdue: u64,
    /// When the first of them was due.
    pub(crate) first_due: Option<Timestamp>,
    /// The latest known write.
    pub(crate) last_write: Option<Timestamp>,
}

impl Ends {
    pub(crate) fn add(&mut self, other: Self) {
        self.overdue = self.overdue.saturating_add(other.overdue);
        self.first_due = self.first_due.into_iter().chain(other.first_due).min();
        self.last_write = self.last_write.max(other.last_write);
    }
}

/// What one look at a place shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Suspicion {
    pub(crate) kind: Kind,
    pub(crate) subject: Subject,
    /// What was compared: a version or a time. Another value at the second look means that it has
    /// changed in between.
    pub(crate) seen: u64,
    /// Where to look again.
    pub(crate) place: Vec<u8>,
}

/// The session or user that a suspicion is about. Never the name of a key that is not this crate's:
/// with other libraries it may be a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct Subject {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
}

impl Subject {
    pub(crate) const fn session(id: SessionId) -> Self {
        Self { id: Some(id), user: None }
    }

    pub(crate) fn entry(user: &str, id: SessionId) -> Self {
        Self { id: Some(id), user: Some(user.to_owned()) }
    }

    pub(crate) fn user(user: &str) -> Self {
        Self { id: None, user: Some(user.to_owned()) }
    }
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    ServerUnavailable,
    ServerUnusable,
    Warning,
    ClockDiffers,
    CopiesOfAnotherRedis,
    FunctionFailed,
    FallbackFailed,
    LeftBehind,
    KeyWithoutTtl,
    Unreadable,
    NotInIndex,
    IndexEntryOrphaned,
    IndexEntryOfAnotherUser,
    IndexEntryDiffers,
    EndedSessionInIndex,
    EndedRecordKept,
    CopyOlder,
    CopyNewer,
    CopyDiffers,
    CopyOfEndedSession,
    JournalPending,
    RowsNotPurged,
}

/// Why functions are not tried.
#[derive(Debug)]
pub(crate) struct Obstacle {
    /// Unless it is a finding, it is as expected.
    pub(crate) finding: Option<Kind>,
    pub(crate) text: &'static str,
}

/// The names under which the command stores something.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) ids: Vec<SessionId>,
    pub(crate) user: String,
    /// A bucket of attempts that no limiter uses.
    pub(crate) bucket: u32,
}

/// The contradiction between an entry of a user's index and the record that it names, if any.
pub(crate) fn entry_of(user: &str, created: Timestamp, record: &Record) -> Option<Kind> {
    match record.user() {
        Some(found) if found == user => {
            (record.created() != created).then_some(Kind::IndexEntryDiffers)
        }
        _ => Some(Kind::IndexEntryOfAnotherUser),
    }
}
