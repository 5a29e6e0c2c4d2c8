//! Schema in SQLite: creation, migration, check.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Row as _, sqlite::SqliteConnection};
use tokio::time::timeout;

#[cfg(feature = "cli")]
use crate::store::maintenance::Tables;
use crate::{
    error::{Error, ErrorKind},
    store::database::{
        failure::late,
        migration::{SCHEMA_VERSION, check, missing, no_tables},
        sqlite::{Sqlite, is_busy, open, typed},
        write::WriteFault,
    },
};

const VERSION: &str = "SELECT max(version) FROM trs_migrations";
const STEPS: [&str; 2] = [include_str!("0001_sessions.sql"), include_str!("0002_attempts.sql")];
/// Longer than the timeout of a write: a step may have to read every row.
const LIMIT: Duration = Duration::from_secs(60);
/// Pause between attempts to begin.
const BEGIN_RETRY_PAUSE: Duration = Duration::from_millis(20);

/// The table of the steps that are done.
const MIGRATIONS: &str =
    "CREATE TABLE IF NOT EXISTS trs_migrations (version INTEGER PRIMARY KEY) STRICT";

impl Sqlite {
    pub(in crate::store::database) async fn migrate(&self) -> Result<(), Error> {
        open::create(&self.path)?;
        // If the schema is current, nothing is written, and no lock is waited for.
        if self.version().await.is_ok_and(|version| version >= Some(SCHEMA_VERSION)) {
            return Ok(());
        }
        // A connection that waits as long for another process that migrates.
        let options = self.writing.clone().busy_timeout(LIMIT / 2);
        *self.writer.lock().await = None;
        let started = Instant::now();
        let transaction = loop {
            match self.begin_within(LIMIT, &options).await {
                // When several set the journal mode of a new file at once, SQLite rejects some
                // without waiting.
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    if started.elapsed() > LIMIT / 2 {
                        return Err(error);
                    }
                    tokio::time::sleep(BEGIN_RETRY_PAUSE).await;
                }
                begun => break begun?,
            }
        };
        let (transaction, ()) =
            transaction.run(async |connection| step_up(connection).await).await?;
        let committed = transaction.commit().await.map_err(WriteFault::into_error)?;
        // The next connection has the usual timeouts.
        drop(committed);
        Ok(())
    }

    #[cfg(feature = "cli")]
    #[allow(clippy::unused_self, reason = "the same shape as the rest of an engine")]
    pub(in crate::store::database) fn tables(&self) -> Tables {
        let begin = "BEGIN IMMEDIATE";
        Tables { engine: "sqlite", begin, migrations: MIGRATIONS, steps: &STEPS }
    }

    /// Without creating the file.
    #[cfg(feature = "cli")]
    pub(in crate::store::database) async fn schema_version(&self) -> Result<Option<i64>, Error> {
        if self.path.try_exists().is_ok_and(|exists| !exists) {
            return Ok(None);
        }
        self.version().await
    }

    #[cfg(feature = "cli")]
    pub(in crate::store::database) fn address(&self) -> String {
        self.path.display().to_string()
    }

    async fn version(&self) -> Result<Option<i64>, Error> {
        let rows = self.ask_aside(sqlx::query(VERSION)).await?;
        rows.first().ok_or_else(no_tables)?.try_get(0).map_err(typed)
    }

    /// Checks the tables, and the right to write.
    pub(in crate::store::database) async fn check(&self) -> Result<(), Error> {
        check(self.version().await?)?;
        self.check_pool().await?;
        self.begin().await?.roll_back().await
    }

    /// A pool with another journal mode would change that of the file, and block our connections.
    async fn check_pool(&self) -> Result<(), Error> {
        let Some(pool) = &self.shared else { return Ok(()) };
        let query = sqlx::query_scalar::<_, String>("PRAGMA journal_mode").fetch_one(pool);
        let read = timeout(self.timeout, query).await.map_err(|_| late())?;
        let fault = match read {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => format!("the application's pool sets journal_mode={mode}, and not wal"),
            // It would have to change the mode of a file that our connections use.
            Err(error) if is_busy(&error) => {
                "the application's pool sets another journal_mode than wal".to_owned()
            }
            Err(error) => return Err(typed(error)),
        };
        Err(Error::new(ErrorKind::Misconfigured, fault))
    }
}

async fn step_up(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let _ = sqlx::query(MIGRATIONS).execute(&mut *connection).await?;
    let found = version(connection).await?;
    for (number, step) in missing(&STEPS, found) {
        let _ = sqlx::raw_sql(AssertSqlSafe(step)).execute(&mut *connection).await?;
        let insert = "INSERT INTO trs_migrations (version) VALUES (?)";
        let _ = sqlx::query(insert).bind(number).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn version(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(VERSION).fetch_one(connection).await
}
