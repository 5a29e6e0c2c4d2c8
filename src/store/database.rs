//! Database store on SQLite or PostgreSQL: every write is fenced by the version in its row.
//!
//! Concurrent writes share one transaction (group commit); a read is one statement.
//!
//! | file | holds |
//! |---|---|
//! | `config` | `DatabaseConfig`: address, credentials, limits |
//! | `shared_pool` | `DatabasePool`: a pool of the application |
//! | `store_impl` | `Store` and `UserStore` by a database alone |
//! | `access` | the operations that both stores use |
//! | `engine` | SQLite or PostgreSQL |
//! | `write` | the writes, and their outcomes |
//! | `row` | decoding of rows |
//! | `group_commit` | group commit of concurrent writes |
//! | `measured` | duration and span of a call of the database |
//! | `renewal` | the two steps of a renewal |
//! | `takeover` | invalidates all copies when a database store takes over from a durable one |
//! | `migration` | numbered schema steps |
//! | `clock_check` | comparison of this process' clock with the database's |
//! | `maintenance` | enumeration and status, for the command line |
//! | `audit` | contradictions among rows, for the command `validate` |
//! | `failure` | errors of both engines |
//! | `sqlite` | SQLite |
//! | `postgres` | PostgreSQL |

use std::{fmt, time::Duration};

#[cfg(feature = "sqlx-pool")]
pub use sqlx;
use tokio::sync::OnceCell;

use crate::{
    clock::Clock,
    error::{ConfigError, Error},
    session::{record::Record, token::SessionId},
    store::availability::Availability,
    telemetry::{events::Events, health::Serving},
};

mod access;
#[cfg(feature = "cli")]
pub(crate) mod audit;
mod clock_check;
mod config;
mod engine;
mod failure;
mod group_commit;
#[cfg(feature = "cli")]
pub(crate) mod maintenance;
mod measured;
mod migration;
#[cfg(feature = "postgres")]
mod postgres;
pub(crate) mod renewal;
pub(crate) mod row;
#[cfg(feature = "sqlx-pool")]
mod shared_pool;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store_impl;
mod takeover;
mod write;

pub(crate) use crate::store::database::access::Database;
use crate::store::database::clock_check::ClockCheck;
pub use crate::store::database::config::DatabaseConfig;
pub(crate) use crate::store::database::row::{Epoch, Polled, Row, Snapshot};
#[cfg(feature = "sqlx-pool")]
pub use crate::store::database::shared_pool::DatabasePool;
pub(crate) use crate::store::database::write::{
    Committed, Ended, Terms, Write, WriteFault, Written,
};

/// Sessions in a SQLite file or in PostgreSQL (13 or newer), without a cache in front.
///
/// An acknowledged session is on disk, and a logout is permanent, whatever crashes. The first use
/// opens the first connection, and a database that returns after an outage is used again without a
/// restart. Every wait is bounded by [`DatabaseConfig::timeout`].
///
/// Call [`migrate`](Self::migrate) once before the first use, and after an update of this crate.
/// Rows of ended sessions are deleted in the background, from fifteen minutes after their end, in
/// small batches, while the store is written to.
///
/// # Deployment caveats
///
/// - Not together with a store that keeps a cache in front of the same database: it would not see
///   writes of this one. One after the other is supported.
/// - SQLite: several processes of one machine may share the file. It must not be on a network file
///   system, nor be replaced or deleted while a process has it open.
/// - PostgreSQL behind a pooler in transaction mode, such as PgBouncer, is detected and works:
///   statements are then not prepared, which costs the server some time each. A store with Redis in
///   front sees changes at its next poll, since the pooler does not support LISTEN. Give the
///   database user a `statement_timeout`: the pooler drops ours for writes. One warning is logged.
/// - A read-only PostgreSQL, for example after a failover before DNS is updated, is abandoned at
///   once: every open connection is closed, and a new one is attempted once a second.
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
    availability: Availability,
    clock_check: ClockCheck,
    events: Events,
}

impl DatabaseStore {
    /// A store with this configuration. Opens no connection.
    ///
    /// # Errors
    ///
    /// The first invalid setting; its text never contains the address.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DatabaseStore};
    /// assert!(DatabaseStore::new(DatabaseConfig::new("http://127.0.0.1")).is_err());
    /// ```
    pub fn new(config: DatabaseConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, Clock::system())
    }

    /// The same with the given clock; the layer above uses it too.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # {
    /// # use tower_redis_session::{
    /// #     DatabaseConfig, DatabaseStore, clock::ManualClock, store::Store,
    /// # };
    /// let manual = ManualClock::new();
    /// let store = DatabaseStore::with_clock(DatabaseConfig::new("sqlite:x.db"), manual.clock())?;
    /// assert_eq!(store.clock().now(), manual.clock().now());
    /// # }
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn with_clock(config: DatabaseConfig, clock: Clock) -> Result<Self, ConfigError> {
        let clock_check = ClockCheck::default();
        let database = Database::new(&config, false, clock_check.correct(clock))?;
        let (claimed, events) = (OnceCell::new(), Events::default());
        let availability = Availability::new(Serving::Database, events.clone());
        Ok(Self { database, claimed, availability, clock_check, events })
    }

    /// Creates or migrates the tables, all named `trs_..`; changes nothing else in the database.
    /// Safe to run from several processes at once. A missing SQLite file is created, readable by
    /// its owner only.
    ///
    /// # Errors
    ///
    /// `Unavailable`, and `Misconfigured` where the right to create tables is missing or the file
    /// is no database. Returns within a minute.
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

    /// A store in the database of a pool that the application has already: the same as `new` with
    /// [`DatabaseConfig::from_pool`], which says what it needs of the pool.
    ///
    /// # Errors
    ///
    /// The first invalid setting, such as a SQLite database in memory.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_redis_session::{DatabaseStore, sqlx::SqlitePool};
    ///
    /// let store = DatabaseStore::from_pool(SqlitePool::connect_lazy("sqlite:shop.db")?)?;
    /// assert!(DatabaseStore::from_pool(SqlitePool::connect_lazy("sqlite::memory:")?).is_err());
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "sqlite"))]
    /// # fn main() {}
    /// ```
    #[cfg(feature = "sqlx-pool")]
    pub fn from_pool(pool: impl Into<DatabasePool>) -> Result<Self, ConfigError> {
        Self::new(DatabaseConfig::from_pool(pool))
    }

    async fn write(&self, write: Write) -> Result<Written, WriteFault> {
        let request = self.availability.request();
        let written = self.write_claimed(write).await;
        match &written {
            Ok(_) => request.accepted(),
            Err(WriteFault::Refused(error)) if failure::rejects_writes(error) => {
                request.rejected(error);
            }
            Err(fault) => request.ended(Some(fault.error())),
        }
        Ok(written?.written)
    }

    async fn write_claimed(&self, write: Write) -> Result<Committed, WriteFault> {
        let claim = || async { self.claim().await };
        self.claimed.get_or_try_init(claim).await.map_err(WriteFault::Refused)?;
        if let Write::Create { record, .. } = &write {
            self.clock_check.dates(record, &self.database).await.map_err(WriteFault::Refused)?;
        }
        self.database.purge_when_due(Duration::ZERO);
        self.database.write(write).await
    }

    /// What was read, by a compared clock.
    async fn reply<T>(&self, read: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let request = self.availability.request();
        let read = self.clock_check.beside(&self.database, read).await;
        request.ended(read.as_ref().err());
        read
    }

    /// The record of a row that is live or has moved. A renewal that was not finished is finished
    /// first: the old id ends before the new one is used.
    async fn settle(&self, id: &SessionId, row: Row) -> Result<Option<Record>, Error> {
        let Some(old) = row.replaces.filter(|_| row.alive) else {
            return Ok(Some(row.into_record()));
        };
        let _ = renewal::finish(&old, None, id, self).await?;
        Ok(self.database.read(id).await?.map(Row::into_record))
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
