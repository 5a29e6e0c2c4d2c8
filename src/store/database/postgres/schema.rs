//! Schema in PostgreSQL: creation, migration, check.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Row as _, postgres::PgConnection};
use tokio::time::timeout;

#[cfg(feature = "cli")]
use crate::store::maintenance::Tables;
use crate::{
    error::{Error, ErrorKind},
    store::database::{
        failure::late,
        migration::{SCHEMA_VERSION, check, missing, no_tables},
        postgres::{Failure, Postgres, typed},
    },
};

const STEPS: [&str; 2] = [include_str!("0001_sessions.sql"), include_str!("0002_attempts.sql")];
/// Longer than the timeout of a write: a step may have to read every row.
const LIMIT: Duration = Duration::from_secs(60);
/// One transaction with that timeout, run by one process at a time. The number is that of the
/// advisory lock.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL statement_timeout = 60000; SET LOCAL lock_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 60000; \
    SELECT pg_advisory_xact_lock(8390895909439367026)";
/// The oldest version that supports the procedures.
const SERVER_VERSION_MIN: u32 = 130_000;

/// The table of the steps that are done.
const MIGRATIONS: &str = "CREATE TABLE IF NOT EXISTS trs_migrations (version bigint PRIMARY KEY)";

impl Postgres {
    pub(in crate::store::database) async fn migrate(&self) -> Result<(), Error> {
        let migrated = async {
            let held = self.watch().connection().await;
            let mut held = held.map_err(|failure| failure.error)?;
            let connection = held.get().ok_or_else(late)?;
            supported(connection.server_version_num())?;
            // A failed step ends with its connection.
            step_up(connection).await.map_err(typed)?;
            held.give_back(self.timeout).await;
            Ok(())
        };
        timeout(LIMIT, migrated).await.unwrap_or_else(|_| Err(late()))
    }

    #[cfg(feature = "cli")]
    #[allow(clippy::unused_self, reason = "the same shape as the rest of an engine")]
    pub(in crate::store::database) fn tables(&self) -> Tables {
        Tables { engine: "postgresql", begin: BEGIN, migrations: MIGRATIONS, steps: &STEPS }
    }

    #[cfg(feature = "cli")]
    pub(in crate::store::database) async fn schema_version(&self) -> Result<Option<i64>, Error> {
        let query = "SELECT max(version) FROM trs_migrations";
        let rows = self.ask_by(self.watch(), || self.server.statement(query)).await?;
        rows.first().ok_or_else(no_tables)?.try_get(0).map_err(typed)
    }

    /// Host, port and database.
    #[cfg(feature = "cli")]
    pub(in crate::store::database) fn address(&self) -> String {
        let address = self.server.address();
        let place = match address.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => format!("{}:{}", address.get_host(), address.get_port()),
        };
        // Without one, the server takes the user's name.
        let database = address.get_database().unwrap_or_else(|| address.get_username());
        format!("{place}, database {database}")
    }

    /// Checks the tables, the right to write, and the server's version.
    pub(in crate::store::database) async fn check(&self) -> Result<(), Error> {
        let query = "SELECT max(version), current_setting('transaction_read_only') = 'on', \
            current_setting('server_version_num'), current_setting('server_encoding') \
            FROM trs_migrations";
        let rows = self.ask_by(self.watch(), || self.server.statement(query)).await?;
        let row = rows.first().ok_or_else(no_tables)?;
        let server: String = row.try_get(2).map_err(typed)?;
        supported(server.parse().ok())?;
        check(row.try_get(0).map_err(typed)?)?;
        if row.try_get::<String, _>(3).map_err(typed)? != "UTF8" {
            let text = "the postgresql database is not in UTF-8: it cannot store every user name";
            return Err(Error::new(ErrorKind::Misconfigured, text));
        }
        if self.server.is_shared() {
            self.check_pool().await?;
        }
        if row.try_get(1).map_err(typed)? {
            let _ = self.server.condemn();
            let text = "the postgresql server is read-only: it is a replica";
            return Err(Error::new(ErrorKind::Unavailable, text));
        }
        Ok(())
    }
}

impl Postgres {
    /// The settings of an application's pool.
    async fn check_pool(&self) -> Result<(), Error> {
        let query = "SELECT current_setting('statement_timeout')";
        let rows = self.ask_by(self.watch(), || self.server.statement(query)).await?;
        let row = rows.first().ok_or_else(late)?;
        if row.try_get::<String, _>(0).map_err(typed)? == "0" {
            tracing::warn!(
                "statement_timeout of the application's pool missing: nothing bounds a statement \
                 in the server"
            );
        }
        Ok(())
    }
}

fn supported(server: Option<u32>) -> Result<(), Error> {
    match server {
        Some(version) if version < SERVER_VERSION_MIN => {
            let text = "the postgresql server is older than version 13";
            Err(Error::new(ErrorKind::Misconfigured, text))
        }
        _ => Ok(()),
    }
}

/// Rolled back by the end of the connection if a step fails.
async fn step_up(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // If the schema is current, no right to create tables is needed.
    match version(connection).await {
        Ok(Some(SCHEMA_VERSION..)) => return Ok(()),
        Ok(_) => {}
        Err(error) if Failure::has_no_tables(&error) => {}
        Err(error) => return Err(error),
    }
    let _ = sqlx::raw_sql(BEGIN).execute(&mut *connection).await?;
    let _ = sqlx::raw_sql(MIGRATIONS).execute(&mut *connection).await?;
    let found = version(connection).await?;
    for (number, step) in missing(&STEPS, found) {
        let _ = sqlx::raw_sql(AssertSqlSafe(step)).execute(&mut *connection).await?;
        let insert = format!("INSERT INTO trs_migrations (version) VALUES ({number})");
        let _ = sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut *connection).await?;
    }
    let _ = sqlx::raw_sql("COMMIT").execute(connection).await?;
    Ok(())
}

async fn version(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    let query = sqlx::raw_sql("SELECT max(version) FROM trs_migrations");
    query.fetch_one(connection).await?.try_get(0)
}
