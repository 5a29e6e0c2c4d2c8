//! SQLite: one writing connection, several read-only ones, a file shared with other processes.
//!
//! | file | holds |
//! |---|---|
//! | `open` | files and connections |
//! | `pool` | idle connections |
//! | `schema` | tables |
//! | `transaction` | one write of a transaction |
//! | `statements` | statements on a session's row |
//! | `renewal` | the second step of a renewal |
//! | `attempts` | failed attempts to sign in |
//! | `users` | revocation epoch and session limit of a user |
//! | `maintenance` | journal, generation, expired rows |
//! | `read` | reads |
//! | `audit` | rows as they are stored, for the command `validate` |
//! | `failure` | errors of SQLite |

use std::{fmt, path::PathBuf, time::Duration};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, timeout_at},
};

use crate::{
    clock::timestamp::Timestamp,
    error::{ConfigError, Error},
    store::database::{
        config::DatabaseConfig,
        failure::late,
        row::Epoch,
        sqlite::{
            failure::{is_busy, is_full, is_rolled_back, typed},
            pool::Pool,
        },
        write::{Batch, Executed, Failed, Purged, Times, WriteFault},
    },
};

mod attempts;
#[cfg(feature = "cli")]
mod audit;
mod failure;
mod maintenance;
mod open;
mod pool;
mod read;
mod renewal;
mod schema;
mod statements;
mod transaction;
mod users;

/// Connections to the file.
pub(super) struct Sqlite {
    path: PathBuf,
    writing: SqliteConnectOptions,
    reading: SqliteConnectOptions,
    /// The pool of the application on the same file.
    shared: Option<sqlx::SqlitePool>,
    /// Taken out while in use: a dropped one is closed and so rolled back.
    writer: Mutex<Option<SqliteConnection>>,
    readers: Pool<SqliteConnection>,
    /// One connection for the poll, which never waits behind requests.
    watch: Pool<SqliteConnection>,
    timeout: Duration,
    journal: bool,
}

impl Sqlite {
    pub(super) fn new(
        url: &str,
        config: &DatabaseConfig,
        journal: bool,
    ) -> Result<Self, ConfigError> {
        Ok(Self::of(open::options(url, config.timeout)?, config, journal))
    }

    /// On the file of an application's pool.
    #[cfg(feature = "sqlx-pool")]
    pub(super) fn of_pool(
        pool: &sqlx::SqlitePool,
        config: &DatabaseConfig,
        journal: bool,
    ) -> Result<Self, ConfigError> {
        let options = SqliteConnectOptions::new().filename(pool.connect_options().get_filename());
        let writing = open::checked(options, config.timeout)?;
        Ok(Self { shared: Some(pool.clone()), ..Self::of(writing, config, journal) })
    }

    fn of(writing: SqliteConnectOptions, config: &DatabaseConfig, journal: bool) -> Self {
        let timeout = config.timeout;
        // A pool of one has none to reserve; a file allows one more.
        let (readers, watch) = (Pool::new(config.pool_size.max(2) - 1), Pool::new(1));
        let reading = open::read_only(&writing, timeout);
        let path = writing.get_filename().to_owned();
        let writer = Mutex::default();
        Self { path, writing, reading, shared: None, writer, readers, watch, timeout, journal }
    }

    #[allow(clippy::unused_self, reason = "the other database asks its configuration")]
    pub(super) fn writers(&self) -> usize {
        1
    }

    pub(super) fn pool(&self) -> (u32, u32) {
        let (readers, watch) = (self.readers.state(), self.watch.state());
        let (open, idle) = (readers.0 + watch.0, readers.1 + watch.1);
        match self.writer.try_lock() {
            Ok(writer) if writer.is_none() => (open, idle),
            Ok(_) => (open.saturating_add(1), idle.saturating_add(1)),
            Err(_) => (open.saturating_add(1), idle),
        }
    }

    pub(super) async fn execute(&self, batch: &Batch, now: Timestamp) -> Result<Executed, Failed> {
        let transaction = self.begin().await.map_err(WriteFault::Refused)?;
        let written = transaction
            .run(async |connection| {
                let times = Times { now: maintenance::now(connection).await?, ours: now };
                let mut outcomes = Vec::with_capacity(batch.writes.len());
                for write in &batch.writes {
                    let outcome =
                        transaction::write(connection, write, self.journal, times).await?;
                    outcomes.push(outcome);
                }
                for (id, version) in &batch.clears {
                    maintenance::clear(connection, id, *version).await?;
                }
                Ok(outcomes)
            })
            .await
            .map_err(WriteFault::Refused);
        let (transaction, outcomes) = written?;
        let mut committed = transaction.commit().await?;
        let epoch = if self.journal { committed.epoch().await } else { None };
        committed.end();
        Ok(Executed { outcomes, epoch })
    }

    pub(super) async fn bump(&self, from: &Epoch, to: &Epoch) -> Result<bool, WriteFault> {
        let transaction = self.begin().await.map_err(WriteFault::Refused)?;
        let bumped =
            transaction.run(async |connection| maintenance::bump(connection, from, to).await);
        let (transaction, bumped) = bumped.await.map_err(WriteFault::Refused)?;
        transaction.commit().await?.end();
        Ok(bumped)
    }

    pub(super) async fn purge(&self, kept: Duration, limit: i64) -> Result<Purged, Error> {
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let transaction = self.begin().await?;
        let purged =
            transaction.run(async |connection| maintenance::purge(connection, kept, limit).await);
        let (transaction, purged) = purged.await?;
        transaction.commit().await.map_err(WriteFault::into_error)?.end();
        Ok(purged)
    }

    /// Reserves the space again that was released.
    pub(super) async fn reserve(&self) -> Result<(), Error> {
        let reserved =
            self.begin().await?.run(async |connection| maintenance::reserve(connection).await);
        let (transaction, ()) = reserved.await?;
        transaction.commit().await.map_err(WriteFault::into_error)?.end();
        Ok(())
    }

    /// Whether the disk is full.
    #[allow(clippy::unused_self, reason = "the same shape as the other database")]
    pub(super) fn is_full(&self, error: &Error) -> bool {
        is_full(error)
    }

    /// Releases the reserved space, for logouts on a full disk.
    pub(super) async fn make_room(&self) -> Result<(), WriteFault> {
        let made = async {
            let mut writer = self.writer.lock().await;
            let mut connection = open::connect(&self.writing).await?;
            maintenance::make_room(&mut connection).await.map_err(typed)?;
            *writer = Some(connection);
            Ok(())
        };
        let made = timeout_at(Instant::now() + self.timeout / 2, made).await;
        made.unwrap_or_else(|_| Err(late())).map_err(WriteFault::Refused)
    }

    /// The write lock, across all processes.
    async fn begin(&self) -> Result<Transaction<'_>, Error> {
        self.begin_within(self.timeout, &self.writing).await
    }

    async fn begin_within(
        &self,
        limit: Duration,
        options: &SqliteConnectOptions,
    ) -> Result<Transaction<'_>, Error> {
        let deadline = Instant::now() + limit;
        // Part of the timeout is kept for the work: a write that does not start is certainly not
        // done.
        let begun_by = deadline - limit / 4;
        let begun = async {
            let mut writer = self.writer.lock().await;
            let mut connection = match writer.take() {
                Some(connection) => connection,
                None => open::connect(options).await?,
            };
            match sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await {
                Ok(_) => Ok(Transaction { writer, connection, deadline }),
                Err(error) => {
                    if is_busy(&error) {
                        *writer = Some(connection);
                    }
                    Err(typed(error))
                }
            }
        };
        timeout_at(begun_by, begun).await.unwrap_or_else(|_| Err(late()))
    }
}

/// A transaction in progress.
// Cancellation safety: dropped anywhere it closes its connection, which rolls it back; only during
// the commit the outcome is unknown.
struct Transaction<'a> {
    writer: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
    deadline: Instant,
}

impl<'a> Transaction<'a> {
    /// Runs `work`; an error ends the transaction, and nothing was stored.
    async fn run<T>(
        mut self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<(Self, T), Error> {
        match timeout_at(self.deadline, work(&mut self.connection)).await {
            Ok(Ok(value)) => Ok((self, value)),
            Ok(Err(error)) => Err(typed(error)),
            Err(_) => Err(late()),
        }
    }

    // The only place between the statements of a transaction and its end.
    async fn commit(mut self) -> Result<Committed<'a>, WriteFault> {
        let commit = sqlx::query("COMMIT").execute(&mut self.connection);
        match timeout_at(self.deadline, commit).await {
            Ok(Ok(_)) => Ok(Committed(self)),
            Ok(Err(error)) if is_rolled_back(&error) => Err(WriteFault::Refused(typed(error))),
            Ok(Err(error)) => Err(WriteFault::Unknown(typed(error))),
            Err(_) => Err(WriteFault::Unknown(late())),
        }
    }
}

impl Transaction<'_> {
    async fn roll_back(mut self) -> Result<(), Error> {
        let rolled_back = sqlx::query("ROLLBACK").execute(&mut self.connection);
        match timeout_at(self.deadline, rolled_back).await {
            Ok(Ok(_)) => {
                *self.writer = Some(self.connection);
                Ok(())
            }
            Ok(Err(error)) => Err(typed(error)),
            Err(_) => Err(late()),
        }
    }
}

/// A transaction after its commit.
struct Committed<'a>(Transaction<'a>);

impl Committed<'_> {
    async fn epoch(&mut self) -> Option<Epoch> {
        let epoch = maintenance::epoch(&mut self.0.connection);
        timeout_at(self.0.deadline, epoch).await.ok()?.ok()
    }

    fn end(mut self) {
        *self.0.writer = Some(self.0.connection);
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Sqlite");
        debug.field("path", &self.path).field("readers", &self.readers).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "sqlite/tests.rs"]
mod tests;
