//! Classification of SQLite's errors.

use crate::{
    error::{Error, ErrorKind},
    store::database::{failure::cause, migration},
};

const ERROR: i32 = 1;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const NOTADB: i32 = 26;

/// Another connection is writing; this one is unchanged.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(code(error), BUSY | LOCKED)
}

/// A commit that failed like this has stored nothing.
pub(super) fn is_rolled_back(error: &sqlx::Error) -> bool {
    matches!(code(error), BUSY | LOCKED | FULL | READONLY)
}

/// Whether the disk is full.
pub(super) fn is_full(error: &Error) -> bool {
    cause(error).is_some_and(|cause| code(cause) == FULL)
}

pub(super) fn typed(error: sqlx::Error) -> Error {
    let misconfigured = |text| Error::new(ErrorKind::Misconfigured, text);
    let unavailable = |text| Error::new(ErrorKind::Unavailable, text);
    let typed = match code(&error) {
        ERROR if error.to_string().contains("no such table") => migration::no_tables(),
        ERROR => misconfigured("the tables of the session store differ from the expected schema"),
        BUSY | LOCKED => unavailable("the database is locked by another process"),
        FULL => unavailable("the disk of the database is full"),
        READONLY => misconfigured("the database file cannot be written"),
        CANTOPEN => misconfigured("the database file cannot be opened"),
        CORRUPT => misconfigured("the database file is damaged"),
        NOTADB => misconfigured("the file is not a sqlite database"),
        _ => unavailable("the database is unavailable"),
    };
    typed.with_source(error)
}

/// The primary code: the last eight bits of the extended one.
fn code(error: &sqlx::Error) -> i32 {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<i32>().ok()).map_or(0, |code| code & 0xff)
}
