//! What the command line needs of a store beyond its contract: an enumeration of all sessions, a
//! status, the schema, a purge. Nothing here changes a session or invalidates a copy.
//!
//! Internal to the crate. The command opens stores by environment variables, so it never meets one
//! of another crate; a public trait can follow when one has to be enumerated.
//!
//! # What an enumeration guarantees
//!
//! A session that is stored under one id throughout is returned at least once. One that moves to
//! another id in the meantime is returned under either id, or its former id is, if the place of
//! that is reached within a minute of the move. A session that is created or deleted in the
//! meantime may be returned or not. Memory is bounded by one page.
//!
//! - Redis: `SCAN`. A session may be returned twice if the server resizes its table in the
//!   meantime. A cursor is valid for one run of the server.
//! - Databases: pages by id. No id is returned twice, and a cursor stays valid.

use std::{future::Future, pin::Pin};

use serde::Serialize;

use crate::{
    error::Error,
    session::{page::SessionCursor, record::Record, token::SessionId},
    store::{StoreFuture, UserStore, audit::Audit, cursor::Cursor},
};

/// All sessions of a store, and their ends.
pub(crate) trait Enumeration: Send + Sync {
    /// The store, to change sessions.
    fn store(&self) -> &dyn UserStore;

    /// The sessions after the cursor `after`, from the first without one. A page may be empty and
    /// not the last.
    fn page<'a>(&'a self, after: Option<&'a Cursor>, part: Part) -> StoreFuture<'a, Page>;

    /// A page of a user's sessions, as [`UserStore::sessions_page`].
    fn user_page<'a>(
        &'a self,
        user: &'a str,
        after: Option<&'a SessionCursor>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        self.store().sessions_page(user, after, limit)
    }
}

/// A store, for the command line.
pub(crate) trait Maintenance: Enumeration {
    /// The start-up check, server by server.
    fn check(&self) -> Pin<Box<dyn Future<Output = Vec<Checked>> + Send + '_>>;

    /// The state of each server, with the cause if one is unavailable.
    fn status(&self) -> Pin<Box<dyn Future<Output = Status> + Send + '_>>;

    /// The record under `id`; for a session that has moved, the one from before.
    fn find<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>>;

    /// The live sessions under these ids, in order, as they are stored: no renewal in progress is
    /// finished, no copy is created, and expired ones are included. With Redis in front of a
    /// database, the activity is the later of row and copy.
    fn find_each<'a>(&'a self, ids: &'a [SessionId]) -> StoreFuture<'a, Vec<Found>>;

    /// The run of the server for which a [`Cursor::Scan`] is valid; `None` where it is unknown, or
    /// cursors are always valid.
    fn run(&self) -> StoreFuture<'_, Option<String>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Deletes what has ended and is not needed any more; `None` where keys expire by themselves.
    fn purge(&self) -> StoreFuture<'_, Option<Removed>>;

    /// The SQL of the tables, without a connection; `None` for a store without any.
    fn tables(&self) -> Option<Tables>;

    /// The schema version of the existing tables; `None` if there are none.
    fn schema_version(&self) -> StoreFuture<'_, Option<i64>>;

    /// The examination of the stored data.
    fn audit(&self) -> &dyn Audit;
}

/// A session as it is stored, or the error of a record that cannot be decoded.
pub(crate) type Found = Result<Option<Stored>, Error>;

/// A live session as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) record: Record,
    /// The session that this one replaces, until the renewal is finished.
    pub(crate) replaces: Option<SessionId>,
}

/// The part of each record that an enumeration reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What a list of sessions shows: times, user, device.
    Head,
    /// All of it.
    Whole,
}

impl Part {
    /// Records per page: a few megabytes at most.
    pub(crate) const fn page_len(self) -> usize {
        match self {
            Self::Head => 1_000,
            Self::Whole => 100,
        }
    }
}

/// A page of all sessions.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) sessions: Vec<(SessionId, Result<Record, Error>)>,
    /// Former ids of sessions that moved within the last minute at least, with the records from
    /// before. A deletion by such an id ends the session under its current one.
    pub(crate) moved: Vec<(SessionId, Record)>,
    /// `None` after the last page.
    pub(crate) next: Option<Cursor>,
}

/// The result of a check.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) part: &'static str,
    pub(crate) result: Result<(), Error>,
}

/// The state of each server.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Status {
    pub(crate) redis: Option<RedisStatus>,
    pub(crate) database: Option<DatabaseStatus>,
    pub(crate) copies: Option<CopiesStatus>,
}

/// The state of Redis.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RedisStatus {
    /// Host, port, database and prefix of the keys.
    pub(crate) address: String,
    pub(crate) available: bool,
    pub(crate) cause: Option<String>,
    /// `None` where the user may not call `INFO`, as are the next three.
    pub(crate) version: Option<String>,
    pub(crate) used_memory: Option<u64>,
    /// 0 for no limit.
    pub(crate) max_memory: Option<u64>,
    pub(crate) eviction_policy: Option<String>,
    pub(crate) clock_ahead_ms: Option<i64>,
    /// Host and port of the primary that sentinels name.
    pub(crate) primary: Option<String>,
}

/// The state of a database.
#[derive(Debug, Default, Serialize)]
pub(crate) struct DatabaseStatus {
    /// `sqlite` or `postgresql`.
    pub(crate) engine: &'static str,
    pub(crate) address: String,
    pub(crate) available: bool,
    pub(crate) cause: Option<String>,
    /// Version of the tables; `None` if there are none.
    pub(crate) schema: Option<i64>,
    pub(crate) schema_of_this_version: i64,
}

/// The state of the copies in Redis, as the database knows it.
#[derive(Debug, Serialize)]
pub(crate) struct CopiesStatus {
    /// In the keys of valid copies, 16 hex digits.
    pub(crate) generation: String,
    /// Whether it was created for the configured Redis; `None` if that is unavailable.
    pub(crate) of_this_redis: Option<bool>,
    /// Number of changes that Redis has not confirmed; counted up to 1,001.
    pub(crate) pending: usize,
}

/// What a purge deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Removed {
    pub(crate) sessions: u64,
    /// Users whose last revocation is older than any sign-in in progress.
    pub(crate) users: u64,
}

/// The SQL that creates or migrates the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables {
    pub(crate) engine: &'static str,
    /// Starts the transaction.
    pub(crate) begin: &'static str,
    /// Creates the table of the steps that are done.
    pub(crate) migrations: &'static str,
    pub(crate) steps: &'static [&'static str],
}

impl Tables {
    /// The schema version of this crate.
    pub(crate) fn version(&self) -> i64 {
        i64::try_from(self.steps.len()).unwrap_or(i64::MAX)
    }

    /// The steps after version `found`, as one transaction; empty if there are none.
    pub(crate) fn script(&self, found: Option<i64>) -> String {
        let found = found.unwrap_or(0);
        let steps = (1..).zip(self.steps).filter(|(number, _)| *number > found);
        let steps: String = steps
            .map(|(number, step): (i64, _)| {
                let insert = format!("INSERT INTO trs_migrations (version) VALUES ({number});");
                format!("{}\n\n{insert}\n\n", step.trim_end())
            })
            .collect();
        if steps.is_empty() {
            return steps;
        }
        format!("{};\n{};\n\n{steps}COMMIT;\n", self.begin, self.migrations)
    }
}
