//! Errors of both engines.

use crate::{
    error::{Error, ErrorKind},
    telemetry::instruments::Fault,
};

/// No reply within the timeout.
pub(super) fn late() -> Error {
    Error::unavailable("the database did not reply in time")
}

/// The single row of the epoch is missing.
pub(super) fn no_epoch() -> Error {
    Error::new(ErrorKind::Misconfigured, "the table trs_cache has no row")
}

/// The library's error behind ours.
pub(super) fn cause(error: &Error) -> Option<&sqlx::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Whether the database replied that it takes no writes: full, read-only, or without the right.
pub(super) fn rejects_writes(error: &Error) -> bool {
    let reply = cause(error).and_then(sqlx::Error::as_database_error);
    let code = reply.and_then(|error| error.code());
    code.is_some_and(|code| match code.parse::<i32>() {
        // SQLite: the primary code is the last eight bits of a small number.
        Ok(code) if code < 10_000 => matches!(code & 0xff, SQLITE_READONLY | SQLITE_FULL),
        // PostgreSQL's SQLSTATE, of five characters.
        _ => WRITES_REJECTED.contains(&&*code),
    })
}

const SQLITE_READONLY: i32 = 8;
const SQLITE_FULL: i32 = 13;
/// Read-only, no right, disk full, out of memory.
const WRITES_REJECTED: [&str; 4] = ["25006", "42501", "53100", "53200"];

/// Why a call failed, for metrics. What has no cause in the library waited too long.
pub(super) fn fault(error: &Error) -> Fault {
    match cause(error) {
        Some(sqlx::Error::Database(_)) => Fault::Reply,
        Some(sqlx::Error::PoolTimedOut) | None => Fault::Timeout,
        Some(_) => Fault::Connection,
    }
}
