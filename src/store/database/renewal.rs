//! Renewal: a move to a new id in two steps, so that no lost reply signs a user out.
//!
//! The first stores the new record beside the old one, the second ends the old one. Between them
//! both are alive; the client gets the new id after the first and before the second. A request with
//! the new id before the second step performs that step first.
//!
//! Specified in `docs/protocol.md`, section 3.6.

use std::time::Duration;

use crate::{
    error::Error,
    session::token::SessionId,
    store::{
        SaveOutcome,
        database::{
            DatabaseStore,
            write::{Write, WriteFault, Written},
        },
    },
    sync::backoff::Backoff,
};

/// Attempts at a step whose reply was lost.
const TRIES: u32 = 3;
/// Pauses between them.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(20));

/// Executes the steps.
pub(crate) trait Steps: Sync {
    /// One attempt at a step.
    fn step(&self, write: Write) -> impl Future<Output = Result<Written, WriteFault>> + Send;
}

impl Steps for DatabaseStore {
    async fn step(&self, write: Write) -> Result<Written, WriteFault> {
        self.write(write).await
    }
}

/// The first step, a [`Write::Begin`] or a [`Write::Create`], by `steps`. Never `Unknown`: until
/// the client knows the new id the old one lives, and a new record that no client knows expires by
/// itself.
///
/// Returns whether a reply was lost: then it is unknown which other sessions ended.
pub(crate) async fn begin(first: Write, steps: &impl Steps) -> Result<(SaveOutcome, bool), Error> {
    let mut lost: Option<Error> = None;
    let mut attempts = BACKOFF.attempts(TRIES);
    while attempts.again().await {
        let outcome = match (steps.step(first.clone()).await, lost.is_some()) {
            (Ok(Written::Done { .. }), _) => return Ok((SaveOutcome::Saved, false)),
            // No other client knows the new id: the row is from the attempt whose reply was lost.
            (Ok(Written::Taken), true) => return Ok((SaveOutcome::Saved, true)),
            (Ok(Written::Taken), false) => SaveOutcome::IdInUse,
            (Ok(Written::Conflict(current)), _) => SaveOutcome::Conflict(current),
            (Ok(Written::Gone), _) => SaveOutcome::Gone,
            (Ok(Written::Revoked), _) => SaveOutcome::Revoked,
            (Err(WriteFault::Unknown(error)), _) => {
                lost = Some(error);
                continue;
            }
            (Err(WriteFault::Refused(error)), false) => return Err(error),
            (Err(WriteFault::Refused(_)), true) => continue,
        };
        if let (true, Write::Begin { old, new, .. }) = (lost.is_some(), &first) {
            // The lost attempt may have created it.
            let _ = steps.step(Write::Abandon { old: *old, new: *new }).await;
        }
        return Ok((outcome, false));
    }
    Err(lost.unwrap_or_else(|| Error::unavailable("the session renewal failed")))
}

/// The second step, by `steps`; any caller may repeat it at any time. `Conflict` if `old` is alive
/// at another version than `expected`: the new record lacks that write.
pub(crate) async fn finish(
    old: &SessionId,
    expected: Option<u64>,
    new: &SessionId,
    steps: &impl Steps,
) -> Result<SaveOutcome, Error> {
    let mut lost = None;
    let mut attempts = BACKOFF.attempts(TRIES);
    while attempts.again().await {
        match steps.step(Write::Finish { old: *old, expected, new: *new }).await {
            Ok(Written::Conflict(current)) => return Ok(SaveOutcome::Conflict(current)),
            // The old session had ended before: the new one ended with it.
            Ok(Written::Gone) => return Ok(SaveOutcome::Gone),
            Ok(_) => return Ok(SaveOutcome::Saved),
            Err(WriteFault::Refused(error) | WriteFault::Unknown(error)) => lost = Some(error),
        }
    }
    Err(lost.unwrap_or_else(|| Error::unavailable("the session renewal is unfinished")))
}

/// Takes the first step back, by `steps`: no client gets the new id.
pub(crate) async fn abandon(
    old: &SessionId,
    new: &SessionId,
    steps: &impl Steps,
) -> Result<(), Error> {
    let step = steps.step(Write::Abandon { old: *old, new: *new });
    step.await.map(drop).map_err(WriteFault::into_error)
}
