//! A sign-in or a renewal that ends others, in one step that replicas have to confirm.

use std::sync::PoisonError;

use redis::Value;

use crate::{
    error::Error,
    session::token::SessionId,
    store::{
        SaveOutcome,
        redis::{
            RedisStore,
            client::{
                cluster::decision::Follow,
                confirmed::Repeat,
                connection::{Answer, Connection},
                script::Call,
            },
        },
    },
};

/// Number of sessions under a new id that wait for a confirmation.
const UNCONFIRMED_MAX: usize = 1_024;

impl RedisStore {
    /// A sign-in that ends others. If its reply is missing, the new session is read: what is found
    /// is confirmed, and with it all that was done in the same step.
    pub(super) async fn sign_in_confirmed(
        &self,
        new: &SessionId,
        index: &str,
        moves: bool,
        build: impl Fn(&Connection) -> Result<Call, Error> + Sync,
    ) -> Result<Answer, Error> {
        let mut done = None;
        let mut lost = Error::unavailable("the sign-in is unconfirmed");
        for again in [false, true] {
            let ended = self.servers.end(index, Follow::Many, Repeat::Never, &build).await?;
            match (ended.answer, ended.first) {
                // The first attempt may have used the id.
                (Ok(Value::Int(-2)), _) if again => {}
                (Err(error), Some(first @ (Value::Int(1) | Value::Array(_)))) => {
                    (done, lost) = (Some(first), error);
                }
                // Nothing has changed.
                (Err(_), Some(first)) => return Ok(Ok(first)),
                (Err(error), None) if ended.is_awaited => lost = error,
                (answer, _) => return Ok(answer),
            }
            match self.is_stored(new).await {
                Ok(true) => return Ok(Ok(done.unwrap_or(Value::Int(1)))),
                Ok(false) => {}
                // Not again: what it finds would be its own end of the old session.
                Err(error) => {
                    lost = error;
                    break;
                }
            }
        }
        match done {
            // The old id has ended: the client needs the new one, and the second step fails.
            Some(done) if moves && self.note_unconfirmed(new) => Ok(Ok(done)),
            // Fails closed: a plain read of the new session would confirm nothing.
            _ => Err(lost),
        }
    }

    /// Whether there was room for it.
    fn note_unconfirmed(&self, new: &SessionId) -> bool {
        // Nothing that can panic runs under this lock.
        let mut ids = self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner);
        ids.len() < UNCONFIRMED_MAX && ids.insert(*new)
    }

    /// The second step of a renewal that was done in one: replicas may have to confirm it yet. A
    /// server that has taken over since may have the old session, and not the new one.
    pub(super) async fn finish_confirmed(
        &self,
        old: &SessionId,
        new: &SessionId,
    ) -> Result<SaveOutcome, Error> {
        let is_noted = {
            let mut ids = self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner);
            ids.remove(new)
        };
        if !is_noted || self.is_stored(new).await? {
            return Ok(SaveOutcome::Saved);
        }
        let current = self.load_id(old).await?.filter(|record| record.moved.is_none());
        Ok(current.map_or(SaveOutcome::Gone, SaveOutcome::Conflict))
    }

    /// Whether a session is in use, also where replicas have to confirm it.
    async fn is_stored(&self, id: &SessionId) -> Result<bool, Error> {
        let (key, mut get) = (self.key(id), redis::cmd("GETRANGE"));
        let found = self.servers.read_confirmed(&key, get.arg(&key).arg(0).arg(0)).await?;
        Ok(matches!(found, Value::BulkString(first) if matches!(&*first, b"R" | b"P")))
    }
}
