//! Records in SQLite or PostgreSQL: every write is fenced by the version in its row.
//!
//! Writes that wait at the same time share one transaction; to read takes one statement.

use std::{fmt, time::Duration};

use tokio::sync::OnceCell;

use super::{Expected, SaveOutcome, Store, StoreFuture};
use crate::{
    clock::Clock,
    error::{ConfigError, Error},
    record::{Activity, Record},
    status::{Serving, Status, StoreStatus},
    token::SessionId,
};

mod access;
mod claim;
mod config;
mod engine;
mod failure;
mod group;
mod health;
mod migration;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
pub(crate) mod renewal;
pub(crate) mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
mod write;

pub(crate) use access::Database;
pub use config::DatabaseConfig;
pub(crate) use row::{Epoch, Polled, Row, Snapshot};
pub(crate) use write::{Committed, Write, WriteFault, Written};

/// Sessions in a SQLite file or in PostgreSQL (13 or newer), without a cache in front.
///
/// A session that was acknowledged is on the disk, and one that was logged out stays so, whatever
/// crashes. Nothing connects before the first use, and a database that goes away and comes back is
/// used again without a restart. Any wait is bounded by
/// [`DatabaseConfig::timeout`].
///
/// Call [`migrate`](Self::migrate) once before the first use, and after an update of this crate.
/// Rows of sessions that are over are removed in the background, from fifteen minutes after their
/// end, in small batches, while the store is written to.
///
/// # Deployment caveats
///
/// - Not beside a store that keeps a cache in front of the same database: it would not learn of
///   what is written here while it runs. One after the other is fine.
/// - SQLite: several processes of one machine may share the file. It does not belong on a network
///   file system, and must not be replaced or deleted while a process has it open.
/// - PostgreSQL behind a pooler that hands out connections by transaction: the pooler has to know
///   prepared statements, as PgBouncer does from 1.21 on.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_redis_session::{DatabaseConfig, DatabaseStore, RedisSessionLayer};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sessions.db");
/// let store = DatabaseStore::new(DatabaseConfig::new(format!("sqlite:{}", path.display())))?;
/// store.migrate().await?;
/// let layer = RedisSessionLayer::builder(store).build()?;
/// # drop(layer);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
pub struct DatabaseStore {
    database: Database,
    claimed: OnceCell<()>,
    health: health::Health,
}

impl DatabaseStore {
    /// A store by that configuration. Connects nothing.
    ///
    /// # Errors
    ///
    /// The first setting that cannot be used; never with the address in its text.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DatabaseStore};
    /// assert!(DatabaseStore::new(DatabaseConfig::new("http://127.0.0.1")).is_err());
    /// ```
    pub fn new(config: DatabaseConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, Clock::system())
    }

    /// The same on a clock of the caller's; the layer above uses the same.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # {
    /// # use tower_redis_session::{DatabaseConfig, DatabaseStore, ManualClock, Store};
    /// let manual = ManualClock::new();
    /// let store = DatabaseStore::with_clock(DatabaseConfig::new("sqlite:x.db"), manual.clock())?;
    /// assert_eq!(store.clock().now(), manual.clock().now());
    /// # }
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn with_clock(config: DatabaseConfig, clock: Clock) -> Result<Self, ConfigError> {
        let database = Database::new(&config, false, clock)?;
        Ok(Self { database, claimed: OnceCell::new(), health: health::Health::default() })
    }

    /// Makes the tables, all named `trs_..`, or brings them up to date; touches nothing else in
    /// the database. Several processes may do so at the same time. A SQLite file that is not there
    /// is made, for its owner only.
    ///
    /// # Errors
    ///
    /// `Unavailable`, and `Misconfigured` where the rights to make tables are missing or the file
    /// is no database. Ends by itself within a minute.
    ///
    /// ```no_run
    /// # use tower_redis_session::{DatabaseConfig, DatabaseStore, Error};
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = DatabaseStore::new(DatabaseConfig::new("postgres://127.0.0.1/shop"))?;
    /// store.migrate().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn migrate(&self) -> Result<(), Error> {
        self.database.migrate().await
    }

    async fn write(&self, write: Write) -> Result<Written, WriteFault> {
        let claim = || async { self.claim().await };
        self.claimed.get_or_try_init(claim).await.map_err(WriteFault::Refused)?;
        self.database.purge_when_due(Duration::ZERO);
        let written = self.database.write(write).await;
        let error = written.as_ref().err().map(WriteFault::error);
        self.health.said(error);
        Ok(written?.written)
    }

    /// The record of a row that is alive. A renewal that was not finished is finished first: the
    /// old id ends before the new one is used.
    async fn settle(&self, id: &SessionId, row: Row) -> Result<Option<Record>, Error> {
        let Some(old) = row.replaces else { return Ok(Some(row.record)) };
        let _ = renewal::finish(&old, None, id, self).await?;
        Ok(self.database.read(id).await?.map(|row| row.record))
    }
}

fn outcome(result: Result<Written, WriteFault>) -> Result<SaveOutcome, Error> {
    match result {
        Ok(Written::Done { .. }) => Ok(SaveOutcome::Saved),
        Ok(Written::Conflict(current)) => Ok(SaveOutcome::Conflict(current)),
        Ok(Written::Gone) => Ok(SaveOutcome::Gone),
        Ok(Written::Taken) => Ok(SaveOutcome::Taken),
        Err(WriteFault::Unknown(error)) => Ok(SaveOutcome::Unknown(error)),
        Err(WriteFault::Refused(error)) => Err(error),
    }
}

impl Store for DatabaseStore {
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move {
            let row = self.database.read(id).await;
            self.health.said(row.as_ref().err());
            let Some(row) = row? else { return Ok(None) };
            self.settle(id, row).await
        })
    }

    fn load_each<'a>(
        &'a self,
        ids: &'a [SessionId],
    ) -> StoreFuture<'a, Vec<Result<Option<Record>, Error>>> {
        Box::pin(async move {
            let rows = self.database.read_each(ids).await?;
            let mut records = Vec::with_capacity(rows.len());
            for (id, row) in ids.iter().zip(rows) {
                records.push(match row {
                    Ok(Some(row)) => self.settle(id, row).await,
                    Ok(None) => Ok(None),
                    Err(error) => Err(error),
                });
            }
            Ok(records)
        })
    }

    fn save<'a>(
        &'a self,
        id: &'a SessionId,
        expected: Expected,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        let (id, record) = (*id, record.clone());
        let write = match expected {
            Expected::Absent => Write::Create { id, record },
            Expected::Version(expected) => Write::Save { id, expected, record },
        };
        Box::pin(async move { outcome(self.write(write).await) })
    }

    fn renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        let write = Write::Move { old: *old, expected, new: *new, record: record.clone() };
        Box::pin(async move { outcome(self.write(write).await) })
    }

    fn begin_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(renewal::begin(old, expected, new, record, self))
    }

    fn finish_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
    ) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(renewal::finish(old, Some(expected), new, self))
    }

    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        version: u64,
        activity: Activity,
    ) -> StoreFuture<'a, bool> {
        let write = Write::Touch { id: *id, version, activity };
        Box::pin(async move {
            let written = self.write(write).await.map_err(WriteFault::into_error)?;
            Ok(matches!(written, Written::Done { .. }))
        })
    }

    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, ()> {
        let write = Write::Delete { id: *id, expected: None };
        Box::pin(async move { self.write(write).await.map(|_| ()).map_err(WriteFault::into_error) })
    }

    fn delete_if<'a>(&'a self, id: &'a SessionId, expected: u64) -> StoreFuture<'a, SaveOutcome> {
        let write = Write::Delete { id: *id, expected: Some(expected) };
        Box::pin(async move { outcome(self.write(write).await) })
    }

    fn migrate(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.database.migrate())
    }

    fn check(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.database.check())
    }

    fn status(&self) -> Status {
        let (connections, _) = self.database.pool();
        let database = StoreStatus {
            answers: self.health.answers(),
            last_cause: self.health.last_cause(),
            connections,
            pool_size: self.database.pool_size(),
        };
        let serving = if database.answers { Serving::Database } else { Serving::Nothing };
        Status { database: Some(database), ..Status::of(serving) }
    }

    fn clock(&self) -> Clock {
        self.database.clock()
    }
}

impl fmt::Debug for DatabaseStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, idle) = self.database.pool();
        let mut debug = f.debug_struct("DatabaseStore");
        debug.field("database", &self.database).field("open", &open).field("idle", &idle).finish()
    }
}

#[cfg(test)]
#[path = "database/tests.rs"]
mod tests;
