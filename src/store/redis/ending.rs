//! The end of a session: a tombstone, or the way to where it has moved.

use std::time::Duration;

use redis::Value;

use crate::{
    error::Error,
    session::{moved::HOPS_MAX, record::format::USER_OFFSET, token::SessionId},
    store::{
        SaveOutcome,
        redis::{
            RedisStore, TOMBSTONE,
            client::{
                cluster::decision::Follow, confirmed::Repeat, connection::Connection,
                script::Script, servers::Ended,
            },
            millis,
            value::{HEAD_LEN, head},
        },
    },
};

/// Lifetime of a tombstone in a slot that is moving: a copy may arrive as late.
pub(super) const TOMBSTONE_OF_A_MOVE: Duration = Duration::from_secs(300);

/// What became of one value.
enum Killed {
    /// Whether there was one, and what else has to end.
    Done(bool, Option<SessionId>),
    /// It is under another id.
    Moved(SessionId),
    /// It has another version.
    Other(Value),
    Unknown(Error),
    /// Too few replicas have it, also after a repetition.
    Unconfirmed(Error),
}

impl RedisStore {
    /// Deletes whatever is under `id`, and where it has moved to.
    pub(super) async fn end(&self, id: &SessionId) -> Result<bool, Error> {
        self.end_unless(id, None).await
    }

    /// The same, but not the session that is kept, to which it may have moved.
    pub(super) async fn end_unless(
        &self,
        id: &SessionId,
        keep: Option<&SessionId>,
    ) -> Result<bool, Error> {
        let (mut ended, mut next) = (false, Some(*id));
        for _ in 0..=HOPS_MAX {
            let Some(id) = next.take().filter(|id| Some(id) != keep) else { break };
            match self.end_one(&id).await? {
                Killed::Done(there, other) => {
                    ended |= there;
                    next = other;
                }
                Killed::Moved(to) => next = Some(to),
                Killed::Other(_) => break,
                Killed::Unknown(error) | Killed::Unconfirmed(error) => return Err(error),
            }
        }
        Ok(ended)
    }

    /// Deletes what is under `id`, and not what it was to replace.
    pub(super) async fn end_alone(&self, id: &SessionId) -> Result<bool, Error> {
        match self.end_one(id).await? {
            Killed::Done(there, _) => Ok(there),
            Killed::Moved(_) | Killed::Other(_) => Ok(false),
            Killed::Unknown(error) | Killed::Unconfirmed(error) => Err(error),
        }
    }

    async fn end_one(&self, id: &SessionId) -> Result<Killed, Error> {
        match self.kill(id, None).await? {
            // The first attempt may have found it: the second one finds its tombstone.
            Killed::Unknown(_) => Ok(match self.kill(id, None).await? {
                Killed::Done(_, other) => Killed::Done(true, other),
                killed => killed,
            }),
            killed => Ok(killed),
        }
    }

    /// Deletes the record under `id` at a version.
    pub(super) async fn remove(&self, id: &SessionId, expected: u64) -> Result<SaveOutcome, Error> {
        match self.kill(id, Some(expected)).await? {
            Killed::Done(true, _) => Ok(SaveOutcome::Saved),
            Killed::Done(false, _) | Killed::Moved(_) => Ok(SaveOutcome::Gone),
            Killed::Other(current) => self.conflict(id, current).await,
            Killed::Unknown(lost) | Killed::Unconfirmed(lost) => Ok(SaveOutcome::Unknown(lost)),
        }
    }

    /// If the slot is moving, the other node gets a tombstone, too: a copy of the record may be
    /// there, or arrive later.
    async fn kill(&self, id: &SessionId, expected: Option<u64>) -> Result<Killed, Error> {
        let mode = if self.servers.are_a_cluster() { "c" } else { "" };
        let ended = self.kill_as(id, expected, mode, TOMBSTONE).await?;
        let (moving, killed) = killed(ended, expected);
        if moving {
            // Not as another end: that would find nothing at the other node, and mark nothing.
            let again = self.kill_as(id, None, "r", TOMBSTONE_OF_A_MOVE).await?;
            if again.answer.is_err()
                && let Err(lost) = self.kill_as(id, None, "r", TOMBSTONE_OF_A_MOVE).await?.answer
            {
                return Ok(Killed::Unconfirmed(lost));
            }
        }
        Ok(killed)
    }

    async fn kill_as(
        &self,
        id: &SessionId,
        expected: Option<u64>,
        mode: &str,
        life: Duration,
    ) -> Result<Ended, Error> {
        let key = self.key(id);
        let build = |_: &Connection| {
            let mut call = Script::Kill.call(&[&key]);
            call.arg(millis(life)).arg(id.to_string());
            call.arg(HEAD_LEN + USER_OFFSET).arg(&*self.index_prefix);
            call.arg(expected.map(|expected| head(expected).to_vec()).unwrap_or_default());
            call.arg(&*self.key_prefix).arg(HOPS_MAX).arg(self.placement.salted()).arg(mode);
            Ok(call)
        };
        self.servers.end(&key, Follow::One, Repeat::Unconfirmed, build).await
    }
}

/// Whether the slot is moving, and what became of the value.
fn killed(ended: Ended, expected: Option<u64>) -> (bool, Killed) {
    let id = |value: &Value| match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        _ => None,
    };
    let answer = match (ended.answer, ended.first) {
        (Err(error), Some(_)) => return (false, Killed::Unconfirmed(error)),
        // Its own tombstone: what the first attempt found has ended.
        (Ok(Value::Int(0)), Some(first)) => Ok(first),
        (answer, _) => answer,
    };
    let killed = match answer {
        Err(lost) => Killed::Unknown(lost),
        Ok(Value::Int(2)) => return (true, Killed::Done(true, None)),
        Ok(Value::Int(done)) => Killed::Done(done == 1, None),
        Ok(Value::Array(pair)) => {
            let moving = pair.first() == Some(&Value::Int(2));
            return (moving, Killed::Done(true, pair.get(1).and_then(id)));
        }
        Ok(value) if expected.is_none() => match id(&value) {
            Some(id) => Killed::Moved(id),
            None => Killed::Other(value),
        },
        Ok(value) => Killed::Other(value),
    };
    (false, killed)
}
