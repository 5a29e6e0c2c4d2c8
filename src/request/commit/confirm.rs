//! Confirmation of writes whose reply may be lost: detected by the write id, repeated only with the
//! same expected version, never counted twice.
//!
//! Specified in `docs/protocol.md`, section 3.13.

use std::time::Duration;

use crate::{
    error::{Error, ErrorKind},
    request::shared::Backend,
    session::{record::Record, token::SessionId},
    store::{Expected, LoginWrite, SaveOutcome},
    sync::backoff::{Attempts, Backoff},
};

/// Attempts to determine the outcome of a write. The budget bounds the wait as well.
const TRIES: u32 = 4;
/// Pauses between them.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(40));

/// A write with a known outcome.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "lives for a moment")]
pub(crate) enum Settled {
    Saved,
    Conflict(Record),
    Gone,
    /// The new id cannot be used.
    Taken,
}

/// Saves `record` over the version before it.
pub(crate) async fn save_settled(
    backend: &Backend,
    id: &SessionId,
    record: &Record,
) -> Result<Settled, Error> {
    let expected = record.version.saturating_sub(1);
    let save = || backend.store.save(id, Expected::Version(expected), record);
    let cause = match save().await? {
        SaveOutcome::Unknown(cause) => cause,
        outcome => return known(outcome),
    };
    backend.log_failure("session write unconfirmed", Some(id), &cause);
    let mut landed = false;
    let mut attempts = attempts();
    while attempts.again().await {
        match backend.store.load(id).await {
            // Repeated all the same: a store with copies updates them with its own writes.
            Ok(Some(now)) if now.moved.is_some() => return Ok(Settled::Gone),
            Ok(Some(now)) if is_same_write(&now, record) => landed = true,
            Ok(Some(now)) if now.version == expected => {}
            // The writer that overwrote ours has updated them.
            Ok(Some(_)) if landed => return Ok(Settled::Saved),
            // Another write happened since: over ours, or instead of it. The outcome is unknown.
            Ok(Some(_)) => return Err(unknown(cause)),
            Ok(None) => return Ok(Settled::Gone),
            Err(_) => continue,
        }
        match save().await {
            Ok(SaveOutcome::Saved) => return Ok(Settled::Saved),
            Ok(SaveOutcome::Gone) => return Ok(Settled::Gone),
            Ok(SaveOutcome::Conflict(now)) if landed || is_same_write(&now, record) => {
                return Ok(Settled::Saved);
            }
            Ok(SaveOutcome::Unknown(_)) | Err(_) => {}
            // After a lost reply a conflict without our write id is not a plain conflict.
            Ok(_) => return Err(unknown(cause)),
        }
    }
    Err(unknown(cause))
}

fn is_same_write(now: &Record, record: &Record) -> bool {
    now.writer == record.writer && now.version == record.version
}

/// Removes the record at version `expected`. Safe to repeat with the same version.
pub(super) async fn delete_settled(
    backend: &Backend,
    id: &SessionId,
    expected: u64,
) -> Result<Settled, Error> {
    let mut lost = None;
    let mut attempts = attempts();
    while attempts.again().await {
        match (backend.store.delete_version(id, expected).await, lost.is_some()) {
            (Ok(SaveOutcome::Unknown(cause)), _) => lost = Some(cause),
            (Ok(outcome), _) => return known(outcome),
            (Err(error), false) => return Err(error),
            (Err(_), true) => {}
        }
    }
    Err(unknown(lost.unwrap_or_else(Error::absent)))
}

/// Stores the record of a user under a fresh id. Retried under the same id, which no other client
/// knows: another id would count as a second session of the user.
pub(in crate::request) async fn login_settled(
    backend: &Backend,
    login: LoginWrite<'_>,
) -> Result<Settled, Error> {
    let cause = match backend.store.login(login).await? {
        SaveOutcome::Unknown(cause) => cause,
        outcome => return known(outcome),
    };
    backend.log_failure("sign-in unconfirmed", Some(login.new), &cause);
    let mut attempts = attempts();
    while attempts.again().await {
        match backend.store.load(login.new).await {
            Ok(Some(_)) => return Ok(Settled::Saved),
            Ok(None) => {}
            Err(_) => continue,
        }
        match backend.store.login(login).await {
            Ok(SaveOutcome::Saved) => return Ok(Settled::Saved),
            Ok(SaveOutcome::Revoked) => return Err(revoked()),
            // Used up by the first attempt, or too late: read again.
            Ok(_) | Err(_) => {}
        }
    }
    Err(unknown(cause))
}

/// A renewal up to the point where the client receives the new id.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "lives for a moment")]
pub(super) enum Renewed {
    Settled(Settled),
    /// Under the new id is what was written under the old one since, in the place of the renewal,
    /// which was never acknowledged: it fails with the error.
    Overtaken(Record, Error),
}

/// Moves the record from its old id to a new one.
pub(super) async fn renew_settled(
    backend: &Backend,
    (old, expected): (&SessionId, u64),
    login: LoginWrite<'_>,
) -> Result<Renewed, Error> {
    let LoginWrite { new, record, .. } = login;
    let renew = || match record.user() {
        Some(_) => backend.store.login(LoginWrite { old: Some((old, expected)), ..login }),
        None => backend.store.begin_renew(old, expected, new, record),
    };
    let cause = match renew().await? {
        SaveOutcome::Unknown(cause) => cause,
        outcome => return known(outcome).map(Renewed::Settled),
    };
    backend.log_failure("session renewal unconfirmed", Some(new), &cause);
    let mut attempts = attempts();
    while attempts.again().await {
        match backend.store.load(new).await {
            Ok(Some(now)) => return Ok(renewed(record, now, cause)),
            Ok(None) => {}
            Err(_) => continue,
        }
        let settled = match renew().await {
            Ok(SaveOutcome::Saved) => Settled::Saved,
            // The old record moved on, so the first attempt can no longer land.
            Ok(SaveOutcome::Conflict(now)) => Settled::Conflict(now),
            // By our own first attempt, or concurrently.
            Ok(SaveOutcome::Gone) => match backend.store.load(new).await? {
                Some(now) => return Ok(renewed(record, now, cause)),
                None => Settled::Gone,
            },
            Ok(SaveOutcome::Revoked) => return Err(revoked()),
            Ok(SaveOutcome::IdInUse | SaveOutcome::Unknown(_)) | Err(_) => continue,
        };
        return Ok(Renewed::Settled(settled));
    }
    Err(unknown(cause))
}

/// What was found under the new id, which no other client knows.
fn renewed(record: &Record, now: Record, cause: Error) -> Renewed {
    match now.writer == record.writer {
        true => Renewed::Settled(Settled::Saved),
        false => Renewed::Overtaken(now, unknown(cause)),
    }
}

pub(in crate::request) fn known(outcome: SaveOutcome) -> Result<Settled, Error> {
    match outcome {
        SaveOutcome::Saved => Ok(Settled::Saved),
        SaveOutcome::Conflict(current) => Ok(Settled::Conflict(current)),
        SaveOutcome::Gone => Ok(Settled::Gone),
        SaveOutcome::IdInUse => Ok(Settled::Taken),
        SaveOutcome::Revoked => Err(revoked()),
        SaveOutcome::Unknown(cause) => Err(unknown(cause)),
    }
}

const fn attempts() -> Attempts {
    BACKOFF.attempts(TRIES)
}

/// A write whose outcome is unknown.
fn unknown(cause: Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the session store did not confirm the write")
        .with_source(cause)
}

/// A sign-in that came too late.
fn revoked() -> Error {
    Error::new(ErrorKind::Revoked, "all sessions of the user were revoked during the sign-in")
}
