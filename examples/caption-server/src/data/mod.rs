//! The application's own database: users, platforms, settings and tasks. A SQLite file of its own,
//! or PostgreSQL; every statement is written for both.

use std::{borrow::Cow, str::FromStr as _, time::Duration};

use sqlx::{
    AnyPool, SqlSafeStr as _,
    any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers},
    migrate::{Migration, MigrationType, Migrator},
};
use tower_redis_session::{ErrorKind, encryption::KeyRing};

use crate::failure::Failure;

mod demonstration;
mod directory;
pub(crate) mod keys;
pub(crate) mod passwords;
pub(crate) mod platforms;
mod settings;
pub(crate) mod tasks;
mod users;

pub(crate) use demonstration::CREDENTIALS as DEMO_CREDENTIALS;
pub(crate) use directory::People;

/// SQLite takes one writer at a time, so more connections would only wait for each other.
const CONNECTIONS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(5);

/// The database and the keys that seal what is secret in it. Clones share both.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    pool: AnyPool,
    keys: KeyRing,
}

impl Data {
    /// Connects, and brings the tables up to date.
    pub(crate) async fn open(url: &str, keys: KeyRing) -> Result<Self, DataError> {
        install_default_drivers();
        let sqlite = url.starts_with("sqlite:");
        let options = AnyConnectOptions::from_str(&with_options(url))?;
        let connections = if url.contains(":memory:") { 1 } else { CONNECTIONS };
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(PATIENCE)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if sqlite {
                        for pragma in [
                            "PRAGMA busy_timeout = 5000",
                            "PRAGMA journal_mode = WAL",
                            "PRAGMA synchronous = NORMAL",
                            "PRAGMA foreign_keys = ON",
                        ] {
                            sqlx::raw_sql(pragma).execute(&mut *connection).await?;
                        }
                    }
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        migrator().run(&pool).await?;
        Ok(Self { pool, keys })
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A SQLite file is made if it is not there.
fn with_options(url: &str) -> Cow<'_, str> {
    if url.starts_with("sqlite:") && !url.contains('?') && !url.contains(":memory:") {
        Cow::Owned(format!("{url}?mode=rwc"))
    } else {
        Cow::Borrowed(url)
    }
}

fn migrator() -> Migrator {
    let start = include_str!("../../migrations/0001_start.sql").into_sql_str();
    Migrator::with_migrations(vec![Migration::new(
        1,
        "start".into(),
        MigrationType::Simple,
        start,
        false,
    )])
}

/// What the database did not do. The log has the cause; nobody else is told more than that.
#[derive(Debug)]
pub(crate) struct DataError(Box<dyn std::error::Error + Send + Sync>);

impl<E: std::error::Error + Send + Sync + 'static> From<E> for DataError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl std::fmt::Display for DataError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the application's database: {}", self.0)
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        tracing::error!(%error, "database error");
        Self::Database
    }
}

/// For the directory: a database that fails is a source that does not answer.
impl From<DataError> for tower_redis_session::Error {
    fn from(error: DataError) -> Self {
        Self::new(ErrorKind::Unavailable, error.to_string())
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Whether a statement was refused because such a row is there already.
fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// A new id: 16 random bytes, in hex. Nobody guesses one, though nothing depends on that.
fn new_id() -> Result<String, DataError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
