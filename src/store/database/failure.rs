//! Faults that both databases have.

use std::{error::Error as StdError, fmt};

use crate::error::{Error, ErrorKind};

/// Nothing came of it within the limit.
pub(super) fn late() -> Error {
    Error::unavailable("the database did not answer in time")
}

/// All connections were at work until the time was over: the database answers, and not everybody.
#[cfg(feature = "postgres")]
pub(super) fn busy() -> Error {
    Error::new(ErrorKind::Unavailable, "no connection to the database came free in time")
        .because(Busy)
}

/// Whether an error is [`busy`]: no reason to take the database for away.
#[cfg(feature = "redis")]
pub(crate) fn is_busy(error: &Error) -> bool {
    error.source().is_some_and(|source| source.is::<Busy>())
}

#[derive(Debug)]
struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all connections of the pool are in use")
    }
}

impl StdError for Busy {}

/// The one row of the epoch is not there.
pub(super) fn no_epoch() -> Error {
    Error::new(ErrorKind::Misconfigured, "the table trs_cache has no row")
}
