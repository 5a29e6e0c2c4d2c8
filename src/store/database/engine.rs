//! Database engine: SQLite or PostgreSQL.

use std::time::Duration;

#[cfg(feature = "postgres")]
use crate::store::database::postgres::Postgres;
#[cfg(feature = "sqlx-pool")]
use crate::store::database::shared_pool::Pooled;
#[cfg(feature = "sqlite")]
use crate::store::database::sqlite::Sqlite;
#[cfg(feature = "cli")]
use crate::store::{
    database::{
        migration,
        row::{Columns, StoredRow},
    },
    maintenance::Tables,
};
use crate::{
    clock::timestamp::Timestamp,
    error::{ConfigError, Error},
    session::{record::Record, token::SessionId},
    store::{
        attempts::{AttemptOutcome, AttemptWrite},
        database::{
            config::{Address, DatabaseConfig},
            row::{Epoch, Polled, Row, Snapshot, heads},
            write::{Batch, Executed, Failed, Purged, Write, WriteFault},
        },
    },
};

/// Dispatches to the configured database.
#[derive(Debug)]
pub(super) enum Engine {
    #[cfg(feature = "sqlite")]
    Sqlite(Box<Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(Box<Postgres>),
}

/// The same call to either engine.
macro_rules! each {
    ($engine:expr, $name:ident => $call:expr) => {
        match $engine {
            #[cfg(feature = "sqlite")]
            Engine::Sqlite($name) => $call,
            #[cfg(feature = "postgres")]
            Engine::Postgres($name) => $call,
        }
    };
}

impl Engine {
    pub(super) fn new(config: &DatabaseConfig, journal: bool) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(match config.address()? {
            #[cfg(feature = "sqlite")]
            Address::Sqlite(url) => Self::Sqlite(Box::new(Sqlite::new(url, config, journal)?)),
            #[cfg(feature = "postgres")]
            Address::Postgres(url) => {
                Self::Postgres(Box::new(Postgres::new(url, config, journal)?))
            }
            #[cfg(all(feature = "sqlx-pool", feature = "postgres"))]
            Address::Pool(Pooled::Postgres(pool)) => {
                Self::Postgres(Box::new(Postgres::of_pool(pool, config, journal)))
            }
            #[cfg(all(feature = "sqlx-pool", feature = "sqlite"))]
            Address::Pool(Pooled::Sqlite(pool)) => {
                Self::Sqlite(Box::new(Sqlite::of_pool(pool, config, journal)?))
            }
        })
    }

    /// Maximum number of concurrent batches.
    pub(super) fn writers(&self) -> usize {
        each!(self, engine => engine.writers())
    }

    pub(super) async fn migrate(&self) -> Result<(), Error> {
        each!(self, engine => engine.migrate().await)
    }

    pub(super) async fn check(&self) -> Result<(), Error> {
        each!(self, engine => engine.check().await)
    }

    pub(super) async fn read(&self, id: &SessionId) -> Result<Option<Row>, Error> {
        each!(self, engine => engine.read(id).await)
    }

    pub(super) async fn read_each(
        &self,
        ids: &[SessionId],
    ) -> Result<Vec<Result<Option<Row>, Error>>, Error> {
        let rows = each!(self, engine => engine.read_each(ids).await)?;
        Ok(rows.into_iter().map(Option::transpose).collect())
    }

    /// On a full disk retries the writes that end or keep sessions, in the space reserved for them.
    pub(super) async fn execute(&self, batch: &Batch, now: Timestamp) -> Result<Executed, Failed> {
        let failed = match each!(self, engine => engine.execute(batch, now).await) {
            Err(failed) if each!(self, engine => engine.is_full(failed.fault.error())) => failed,
            result => return result,
        };
        if !batch.writes.iter().all(Write::makes_room) {
            // One by one: some may need no new page.
            return Err(Failed { for_one: true, ..failed });
        }
        each!(self, engine => engine.make_room().await)?;
        each!(self, engine => engine.execute(batch, now).await)
    }

    pub(super) async fn epoch(&self) -> Result<Epoch, Error> {
        each!(self, engine => engine.epoch().await)
    }

    pub(super) async fn epoch_of(&self, user: &str) -> Result<u64, Error> {
        each!(self, engine => engine.epoch_of(user).await)
    }

    pub(super) async fn sessions_of(&self, user: &str) -> Result<Vec<(SessionId, Record)>, Error> {
        Ok(heads(each!(self, engine => engine.sessions_of(user).await)?))
    }

    pub(super) async fn sessions_page(
        &self,
        user: &str,
        after: &(i64, String),
        limit: i64,
    ) -> Result<Vec<(SessionId, Record)>, Error> {
        Ok(heads(each!(self, engine => engine.sessions_page(user, after, limit).await)?))
    }

    pub(super) async fn attempt(&self, write: &AttemptWrite) -> Result<AttemptOutcome, Error> {
        each!(self, engine => engine.attempt(write).await)
    }

    #[cfg(feature = "cli")]
    pub(super) async fn page(
        &self,
        after: &str,
        bytes: i32,
        limit: i64,
    ) -> Result<Vec<(String, Result<Columns, Error>)>, Error> {
        each!(self, engine => engine.page(after, bytes, limit).await)
    }

    #[cfg(feature = "cli")]
    pub(super) async fn stored_after(
        &self,
        after: &str,
        limit: i64,
    ) -> Result<Vec<StoredRow>, Error> {
        each!(self, engine => engine.stored_after(after, limit).await)
    }

    #[cfg(feature = "cli")]
    pub(super) async fn stored(&self, ids: &[String]) -> Result<Vec<StoredRow>, Error> {
        each!(self, engine => engine.stored(ids).await)
    }

    #[cfg(feature = "cli")]
    pub(super) async fn overdue(&self, time: i64) -> Result<u64, Error> {
        each!(self, engine => engine.overdue(time).await)
    }

    #[cfg(feature = "cli")]
    pub(super) async fn forget(
        &self,
        ids: &[String],
        user: &str,
        bucket: u32,
    ) -> Result<(), Error> {
        each!(self, engine => engine.forget(ids, user, i64::from(bucket)).await)
    }

    #[cfg(feature = "cli")]
    pub(super) fn tables(&self) -> Tables {
        each!(self, engine => engine.tables())
    }

    #[cfg(feature = "cli")]
    pub(super) async fn schema_version(&self) -> Result<Option<i64>, Error> {
        let version = each!(self, engine => engine.schema_version().await);
        version.or_else(|error| if migration::is_missing(&error) { Ok(None) } else { Err(error) })
    }

    #[cfg(feature = "cli")]
    pub(super) fn address(&self) -> String {
        each!(self, engine => engine.address())
    }

    pub(super) async fn poll(&self, limit: i64) -> Result<Polled, Error> {
        each!(self, engine => engine.poll(limit).await)
    }

    pub(super) async fn snapshot(&self, ids: &[SessionId]) -> Result<Snapshot, Error> {
        each!(self, engine => engine.snapshot(ids).await)
    }

    pub(super) async fn bump(&self, from: &Epoch, to: &Epoch) -> Result<bool, WriteFault> {
        each!(self, engine => engine.bump(from, to).await)
    }

    /// Deletes up to `limit` rows that ended longer ago than `kept`, and as many users without
    /// older sessions: by the database's clock.
    pub(super) async fn purge(&self, kept: Duration, limit: i64) -> Result<Purged, Error> {
        let purged = each!(self, engine => engine.purge(kept, limit).await)?;
        // May fail on a disk that is still full.
        let _ = each!(self, engine => engine.reserve().await);
        Ok(purged)
    }

    pub(super) fn pool(&self) -> (u32, u32) {
        each!(self, engine => engine.pool())
    }

    /// Whether the database's clock is another machine's.
    pub(super) const fn has_a_clock(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => true,
        }
    }

    /// Whether requests have waited too long for a connection.
    pub(super) fn is_starved(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.is_starved(),
        }
    }

    pub(super) async fn announce(&self) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => {}
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.announce().await,
        }
    }

    pub(super) async fn news(&self) {
        match self {
            // Its processes share a machine, and a poll costs next to nothing.
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => std::future::pending().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.news().await,
        }
    }
}
