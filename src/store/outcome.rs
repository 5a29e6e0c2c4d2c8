//! Precondition and outcome of a write.

use crate::{error::Error, session::record::Record};

/// Precondition of a [`save`](crate::store::Store::save).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing under this id: the record is created, never adopted or overwritten.
    Absent,
    /// The record at this version.
    Version(u64),
}

/// Outcome of a [`save`](crate::store::Store::save), a
/// [`begin_renew`](crate::store::Store::begin_renew) or a
/// [`delete_version`](crate::store::Store::delete_version).
#[derive(Debug)]
#[non_exhaustive]
pub enum SaveOutcome {
    /// The record is stored, or for a deletion deleted.
    Saved,
    /// Nothing was changed: the store holds this record, at another version.
    Conflict(Record),
    /// Nothing was changed: the expected record is gone, and stays gone.
    Gone,
    /// Nothing was stored: the new id is taken. Generate another and retry.
    IdInUse,
    /// Nothing was stored: the user's sessions were revoked since the epoch was read.
    Revoked,
    /// It may have happened, or may still happen: the reply was lost. Carries the cause.
    Unknown(Error),
}

/// Fails closed: rejects a new session dated by this process' clock before that was compared and
/// found wrong. It would end hours too early or too late; the next one is right.
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

/// The error of a check where this process' clock is wrong.
#[cfg(any(feature = "redis", feature = "_database"))]
pub(super) fn clocks_differ(whose: crate::clock::compared::Whose, seconds: i64) -> crate::Error {
    let by = seconds.unsigned_abs();
    let way = if seconds > 0 { "behind" } else { "ahead of" };
    let text = format!("the clock of this process is {by} s {way} that of {whose}");
    crate::Error::new(crate::ErrorKind::Misconfigured, text)
}
