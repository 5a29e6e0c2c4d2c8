//! Opening of files and connections.

use std::{fs, io, path::Path, str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};

use crate::{
    error::{ConfigError, Error, ErrorKind},
    store::database::{config::fault, migration::no_file, sqlite::typed},
};

/// How the writer opens the file.
pub(super) fn options(url: &str, timeout: Duration) -> Result<SqliteConnectOptions, ConfigError> {
    if url.contains('?') {
        return fault("has parameters: use sqlite:PATH, with %3F for a question mark");
    }
    let Ok(options) = SqliteConnectOptions::from_str(url) else {
        return fault("is not sqlite:PATH");
    };
    checked(options, timeout)
}

/// The same by the options of a file.
pub(super) fn checked(
    options: SqliteConnectOptions,
    timeout: Duration,
) -> Result<SqliteConnectOptions, ConfigError> {
    let path = options.get_filename().to_string_lossy();
    if path.is_empty() {
        return fault("names no file");
    }
    // SQLite parses such names itself; the library treats one as a database in memory.
    if path.starts_with("file:") || path.starts_with(':') {
        return fault("is in memory or not a plain path: name a file, or use MemoryStore");
    }
    Ok(options
        .disable_statement_logging()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // Below the time limit for starting a transaction, so that the true cause is reported.
        .busy_timeout(timeout / 2))
}

pub(super) fn read_only(writing: &SqliteConnectOptions, timeout: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(writing.get_filename())
        .disable_statement_logging()
        .busy_timeout(timeout / 2)
        .read_only(true)
}

pub(super) async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, Error> {
    let path = options.get_filename();
    if path.is_dir() {
        let text = "the database file is a directory";
        return Err(Error::new(ErrorKind::Misconfigured, text));
    }
    options.connect().await.map_err(|error| match path.try_exists() {
        Ok(false) => no_file().with_source(error),
        _ => typed(error),
    })
}

/// Creates an empty file that only its owner may read; SQLite gives its other files the same
/// permissions.
pub(super) fn create(path: &Path) -> Result<(), Error> {
    let mut file = fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        file.mode(0o600);
    }
    match file.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            let text = "the database file cannot be created";
            Err(Error::new(ErrorKind::Misconfigured, text).with_source(error))
        }
    }
}
