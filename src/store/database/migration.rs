//! Schema migration: numbered steps from an empty database to the current tables.

use crate::error::{Error, ErrorKind};

/// The schema version of this crate: the number of its steps.
pub(super) const SCHEMA_VERSION: i64 = 2;

/// Checks the schema version found. `None`: the tables are missing.
pub(super) fn check(found: Option<i64>) -> Result<(), Error> {
    match found {
        Some(SCHEMA_VERSION) => Ok(()),
        Some(newer) if newer > SCHEMA_VERSION => {
            Err(misconfigured("the tables are of a newer version of this crate"))
        }
        Some(_) => Err(misconfigured("the tables are of an older version: call migrate()")),
        None => Err(no_tables()),
    }
}

pub(super) const NO_TABLES: &str =
    "the tables of the session store do not exist: call migrate() once";

/// The database file is missing.
#[cfg(feature = "sqlite")]
pub(super) fn no_file() -> Error {
    misconfigured("the database file does not exist: call migrate() once, which creates it")
}

pub(super) fn no_tables() -> Error {
    misconfigured(NO_TABLES)
}

/// Whether the error is that the tables do not exist.
#[cfg(feature = "cli")]
pub(super) fn is_missing(error: &Error) -> bool {
    error.to_string() == NO_TABLES
}

/// The remaining steps, with their numbers.
pub(super) fn missing<'a>(
    steps: &'a [&'static str],
    found: Option<i64>,
) -> impl Iterator<Item = (i64, &'static str)> + use<'a> {
    let done = found.unwrap_or(0);
    (1..).zip(steps.iter().copied()).filter(move |(number, _)| *number > done)
}

fn misconfigured(text: &'static str) -> Error {
    Error::new(ErrorKind::Misconfigured, text)
}
