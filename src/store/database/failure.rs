//! Errors of both engines.

use crate::error::{Error, ErrorKind};

/// Nothing came of it within the limit.
pub(super) fn late() -> Error {
    Error::unavailable("the database did not answer in time")
}

/// The one row of the epoch is not there.
pub(super) fn no_epoch() -> Error {
    Error::new(ErrorKind::Misconfigured, "the table trs_cache has no row")
}
