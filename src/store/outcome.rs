//! What a write expects, and what became of it.

use crate::{error::Error, session::record::Record};

/// What the store has to hold for a [`save`](crate::store::Store::save) to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing under this id: the record is created, never adopted or overwritten.
    Absent,
    /// The record at this version.
    Version(u64),
}

/// What became of a [`save`](crate::store::Store::save), a
/// [`begin_renew`](crate::store::Store::begin_renew) or a
/// [`delete_version`](crate::store::Store::delete_version).
#[derive(Debug)]
#[non_exhaustive]
pub enum SaveOutcome {
    /// It is stored; or, asked to be removed, it is.
    Saved,
    /// Nothing was changed: this record is there instead, at another version.
    Conflict(Record),
    /// Nothing was changed: the record that was expected is gone, and stays gone.
    Gone,
    /// Nothing was stored: the new id cannot be used. Draw another and try again.
    IdInUse,
    /// Nothing was stored: the user's sessions were revoked since the epoch was read.
    Revoked,
    /// It may have happened, or happen yet: the answer was lost. Carries the cause.
    Unknown(Error),
}

/// Fails closed: a session that begins, and was dated before anybody had looked at this process'
/// clock, which is wrong. It would have ended hours ago, or end hours too late; the next one is
/// right.
#[cfg(any(feature = "redis", feature = "_database"))]
pub(super) fn dated_well(
    begun: &Record,
    compared: &crate::clock::compared::Compared,
) -> Result<(), Error> {
    let (created, now) = (begun.created(), compared.now());
    let off = created.saturating_since(now).max(now.saturating_since(created));
    if off > std::time::Duration::from_secs(30) && compared.differs() {
        let text = "the clock of this process is wrong, which is known only now";
        return Err(Error::unavailable(text));
    }
    Ok(())
}

/// What a check says where this process' clock cannot be right.
#[cfg(any(feature = "redis", feature = "_database"))]
pub(super) fn clocks_differ(whose: crate::clock::compared::Whose, seconds: i64) -> crate::Error {
    let by = seconds.unsigned_abs();
    let way = if seconds > 0 { "behind" } else { "ahead of" };
    let text = format!("the clock of this process is {by} s {way} that of {whose}");
    crate::Error::new(crate::ErrorKind::Misconfigured, text)
}
