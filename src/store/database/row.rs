//! Decoding of table rows.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    clock::timestamp::Timestamp,
    error::{Error, ErrorKind},
    session::{
        expiry::Deadlines, moved::MOVED_KEPT, record::Record, token::SessionId, values::Values,
        write_id::WriteId,
    },
};

/// A row of `trs_sessions`.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// With its version, and with the times of the columns, which touches update.
    pub(crate) record: Record,
    /// False once the session was deleted or moved: the record has a version then, and no content.
    pub(crate) alive: bool,
    /// The session that this one replaces, until the renewal is finished.
    pub(crate) replaces: Option<SessionId>,
}

impl Row {
    /// The record, or the one from before the move, which counted as a version without a change.
    pub(crate) fn into_record(self) -> Record {
        let version = self.record.version.saturating_sub(u64::from(self.record.moved.is_some()));
        Record { version, ..self.record }
    }

    /// The row, if its session is alive.
    pub(crate) fn living(self) -> Option<Self> {
        Some(self).filter(|row| row.alive)
    }
}

/// The epoch of the cache: the valid generation of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Epoch {
    /// Incremented with each new generation.
    pub(crate) seq: u64,
    /// Random, never the same twice.
    pub(crate) generation: u64,
    /// The Redis incarnation that the generation was created for; empty for none.
    pub(crate) incarnation: Box<str>,
}

/// The epoch, and the writes that the cache may lack, in one snapshot.
#[derive(Debug)]
pub(crate) struct Polled {
    pub(crate) epoch: Epoch,
    pub(crate) journal: Vec<(SessionId, u64)>,
    /// The time by the database's clock.
    pub(crate) now: Timestamp,
}

/// The epoch and some rows, in one snapshot.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) epoch: Epoch,
    /// In the order of the requested ids.
    pub(crate) rows: Vec<Option<Result<Row, Error>>>,
}

/// The columns of a row, common to both databases.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) version: i64,
    pub(super) alive: bool,
    pub(super) last_activity: i64,
    pub(super) idle_deadline: i64,
    pub(super) replaces: Option<String>,
    pub(super) body: Vec<u8>,
    /// The new id of a moved session, and the time of the move, by the clock of the instance that
    /// moved it.
    pub(super) moved_to: Option<String>,
    pub(super) moved_at: Option<i64>,
}

/// A row as it is stored, also of an ended session, to compare its columns with its record.
#[cfg(feature = "cli")]
pub(super) struct StoredRow {
    pub(super) id: String,
    pub(super) version: i64,
    pub(super) alive: bool,
    pub(super) created: i64,
    pub(super) ends: i64,
    pub(super) user: Option<String>,
    pub(super) moved: bool,
    /// The first bytes of the record.
    pub(super) head: Vec<u8>,
}

impl Columns {
    /// The record without its content.
    pub(super) fn head(self) -> Result<Record, Error> {
        let version = self.version.cast_unsigned();
        let mut record = Record::head_from_bytes(version, Bytes::from(self.body))?;
        record.last_activity = time(self.last_activity);
        record.deadlines.idle_deadline = time(self.idle_deadline);
        Ok(record)
    }

    /// The columns of a live session.
    #[cfg(feature = "postgres")]
    pub(super) fn living(
        version: i64,
        last_activity: i64,
        idle_deadline: i64,
        body: Vec<u8>,
    ) -> Self {
        let (alive, replaces, moved_to, moved_at) = (true, None, None, None);
        Self { version, alive, last_activity, idle_deadline, replaces, body, moved_to, moved_at }
    }

    pub(super) fn row(self) -> Result<Row, Error> {
        let replaces = self.replaces.map(|id| id.parse().map_err(|_| corrupt())).transpose()?;
        let moved_to = self.moved_to.map(|id| id.parse().map_err(|_| corrupt())).transpose()?;
        let moved_to = moved_to.filter(|_| !self.alive);
        let version = self.version.cast_unsigned();
        let mut record = if !self.alive && self.body.is_empty() {
            nothing(version)
        } else {
            Record::from_bytes(version, Bytes::from(self.body))?
        };
        if self.alive || moved_to.is_some() {
            record.last_activity = time(self.last_activity);
            record.deadlines.idle_deadline = time(self.idle_deadline);
        }
        if let Some(to) = moved_to {
            record = record.moved(to, time(self.moved_at.unwrap_or_default()));
        }
        Ok(Row { record, alive: self.alive, replaces })
    }
}

/// The record of an ended session.
fn nothing(version: u64) -> Record {
    let (never, none) = (Timestamp::from_millis(0), Duration::ZERO);
    Record {
        version,
        writer: WriteId::default(),
        created: never,
        last_activity: never,
        deadlines: Deadlines {
            idle: none,
            idle_deadline: never,
            absolute_deadline: None,
            remembered: false,
        },
        authenticated: None,
        user: None,
        device: None,
        platform: None,
        values: Values::default(),
        sealed: None,
        moved: None,
    }
}

/// The readable heads of a user's sessions.
pub(super) fn heads(found: Vec<(SessionId, Result<Columns, Error>)>) -> Vec<(SessionId, Record)> {
    let head = |(id, columns): (SessionId, Result<Columns, Error>)| {
        Some((id, columns.and_then(Columns::head).ok()?))
    };
    found.into_iter().filter_map(head).collect()
}

impl Epoch {
    pub(super) fn of(seq: i64, generation: i64, incarnation: String) -> Self {
        let (seq, generation) = (seq.cast_unsigned(), generation.cast_unsigned());
        Self { seq, generation, incarnation: incarnation.into() }
    }
}

/// The rows in the order of `ids`, repeated for repeated ids.
pub(super) fn in_order(
    ids: &[SessionId],
    found: &[(SessionId, Result<Columns, Error>)],
) -> Vec<Option<Result<Row, Error>>> {
    let row = |id: &SessionId| {
        let (_, columns) = found.iter().find(|(found, _)| found == id)?;
        Some(columns.clone().and_then(Columns::row))
    };
    ids.iter().map(row).collect()
}

pub(super) fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "the session's row cannot be decoded")
}

/// Milliseconds as stored in columns; no time is after the year 9999.
pub(super) fn millis(time: Timestamp) -> i64 {
    time.as_millis().cast_signed()
}

/// How long a load returns a moved session.
pub(super) fn moved_kept() -> i64 {
    i64::try_from(MOVED_KEPT.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())
}
