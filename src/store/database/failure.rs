//! Errors of both engines.

use crate::error::{Error, ErrorKind};

/// No reply within the timeout.
pub(super) fn late() -> Error {
    Error::unavailable("the database did not reply in time")
}

/// The single row of the epoch is missing.
pub(super) fn no_epoch() -> Error {
    Error::new(ErrorKind::Misconfigured, "the table trs_cache has no row")
}
