//! Claims in the store: read, write, close. No method is needed that a store does not have.

use std::time::Duration;

use crate::{
    clock::timestamp::Timestamp,
    error::Error,
    request::{
        commit::{Settled, save_settled},
        shared::Backend,
    },
    session::{claim::Claim, record::Record, token::SessionId},
    store::{Expected, SaveOutcome},
    sync::backoff::Backoff,
};

/// Attempts to determine whether a claim was created, and to close one that others write; the
/// pauses between them.
const TRIES: u32 = 4;
const CLOSE_TRIES: u32 = 16;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(40));

/// A claim in the store.
pub(super) struct StoredClaim {
    pub(super) claim: Claim,
    pub(super) version: u64,
    pub(super) at: Timestamp,
}

pub(super) async fn load(backend: &Backend, id: &SessionId) -> Result<Option<StoredClaim>, Error> {
    let found = backend.store.load(id).await?;
    let stored = |record: &Record| {
        let claim = Claim::of(record)?;
        Ok(StoredClaim { claim, version: record.version, at: record.created })
    };
    found.as_ref().map(stored).transpose()
}

/// Writes the claim of `version` over the one before it, to be kept for `life`; for version 1 there
/// is none. Returns false, and writes nothing, if another was first.
pub(super) async fn write(
    backend: &Backend,
    id: &SessionId,
    claim: Claim,
    version: u64,
    life: Duration,
) -> Result<bool, Error> {
    let now = backend.clock.now();
    let record = claim.record(version, backend.write_ids.draw()?, now, life)?;
    if version > 1 {
        return Ok(matches!(save_settled(backend, id, &record).await?, Settled::Saved));
    }
    let mut attempts = BACKOFF.attempts(TRIES);
    let mut lost = None;
    while attempts.again().await {
        match backend.store.save(id, Expected::Absent, &record).await {
            Ok(SaveOutcome::Saved) => return Ok(true),
            Ok(SaveOutcome::Unknown(cause)) => lost = Some(cause),
            // It may be our own, from an attempt whose reply was lost.
            Ok(_) if lost.is_some() => {}
            Ok(_) => return Ok(false),
            Err(error) if lost.is_none() => return Err(error),
            Err(_) => continue,
        }
        if let Some(found) = backend.store.load(id).await? {
            return Ok(found.writer == record.writer);
        }
    }
    Err(lost.unwrap_or_else(|| Error::unavailable("the claim was not confirmed")))
}

/// Closes a claim, whatever it is. After a logout the session that it is for ends too.
pub(super) async fn close(
    backend: &Backend,
    id: &SessionId,
    life: Duration,
    logout: bool,
) -> Result<(), Error> {
    let mut attempts = BACKOFF.attempts(CLOSE_TRIES);
    while attempts.again().await {
        let found = load(backend, id).await?;
        let (claim, version) = found.map_or((None, 0), |found| (Some(found.claim), found.version));
        // Before the claim forgets it: a logout that fails here is repeated.
        if let Some(Claim::Claimed(target) | Claim::Done(target)) = claim.filter(|_| logout) {
            let _ = backend.store.delete(&target.id).await?;
        }
        if write(backend, id, Claim::Closed, version.saturating_add(1), life).await? {
            return Ok(());
        }
    }
    Err(Error::unavailable("the claim was written concurrently at each attempt to close it"))
}
