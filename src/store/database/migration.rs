//! Schema migration: numbered steps from an empty database to our tables.

use crate::error::{Error, ErrorKind};

/// The version that this crate works with: the number of its steps.
pub(super) const SCHEMA_VERSION: i64 = 1;

/// What a version that was found means for us. `None`: our tables are not there.
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
    "the tables of the session store are not there: call migrate() once";

/// The file of the tables is not there.
#[cfg(feature = "sqlite")]
pub(super) fn no_file() -> Error {
    misconfigured("the database file is not there: call migrate() once, which makes it")
}

pub(super) fn no_tables() -> Error {
    misconfigured(NO_TABLES)
}

/// The steps that are still to be done, with their numbers.
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
