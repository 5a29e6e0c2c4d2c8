//! A sign-in whose old session is in another slot of a cluster than the user's.
//!
//! Its steps: the new session is created with a mark of the old one; the old one ends at its
//! version, for the new id; the mark is removed. A request that loads a record with a mark takes
//! the remaining steps first, so that never both are in use.

use redis::Value;

use crate::{
    error::Error,
    session::{moved::MOVED_KEPT, record::Record, record::format::USER_OFFSET, token::SessionId},
    store::{
        SaveOutcome,
        redis::{
            CREATE_DEADLINE, RedisStore,
            client::{
                cluster::decision::Follow, confirmed::Repeat, connection::Connection,
                script::Script, servers::Ended,
            },
            ending::TOMBSTONE_OF_A_MOVE,
            millis,
            value::{self, HEAD_LEN, Mark, head},
        },
    },
};

/// Attempts at the second step.
const TRIES: u32 = 3;

/// What became of the old session.
enum Left {
    /// It has ended for the new one.
    Ended,
    /// It had ended before.
    Gone,
    /// It was logged out, and the new one with it.
    LoggedOut,
    /// It has another version.
    Other(Vec<u8>),
}

impl RedisStore {
    /// Whether no script can change both records: they are in a cluster, with different tags.
    pub(super) fn are_apart(&self, old: &SessionId, new: &SessionId) -> bool {
        self.servers.are_a_cluster() && old.tag() != new.tag()
    }

    /// Moves a session without a user to a new id.
    pub(super) async fn move_to(
        &self,
        old: &SessionId,
        expected: u64,
        new: &SessionId,
        record: &Record,
    ) -> Result<SaveOutcome, Error> {
        if self.are_apart(old, new) {
            let mark = Mark { old: *old, version: expected, of_user: false };
            return self.create_marked(new, record, Some(&mark)).await;
        }
        let (from, to) = (self.key(old), self.key(new));
        let (value, life) = (value::encode(record), self.life(record.activity()));
        let build = |connection: &Connection| {
            let mut call = Script::Renew.call(&[&from, &to]);
            call.arg(head(expected).as_slice()).arg(&value).arg(life);
            call.arg(connection.server_time_in(CREATE_DEADLINE));
            call.arg(millis(MOVED_KEPT)).arg(new.to_string());
            Ok(call)
        };
        match self.servers.call(&from, Follow::Many, build).await? {
            Ok(Value::Int(1)) => Ok(SaveOutcome::Saved),
            Ok(Value::Int(0)) => Ok(SaveOutcome::Gone),
            Ok(Value::Int(_)) => Ok(SaveOutcome::IdInUse),
            Ok(current) => self.conflict(old, current).await,
            Err(lost) => Ok(SaveOutcome::Unknown(lost)),
        }
    }

    /// The second step, by the request that took the first one.
    pub(super) async fn finish_apart(
        &self,
        old: &SessionId,
        expected: u64,
        new: &SessionId,
    ) -> Result<SaveOutcome, Error> {
        match self.leave(old, Some(expected), new).await? {
            Left::Ended => {
                let mark = Mark { old: *old, version: expected, of_user: false };
                let unmarked = self.unmark(new, &mark);
                // In the background: a request that loads it removes the mark, too.
                drop(tokio::spawn(unmarked));
                Ok(SaveOutcome::Saved)
            }
            Left::Gone | Left::LoggedOut => {
                let _ = self.end_alone(new).await?;
                Ok(SaveOutcome::Gone)
            }
            Left::Other(current) => self.conflict(old, Value::BulkString(current)).await,
        }
    }

    /// The remaining steps of a session that was loaded with a mark.
    pub(super) async fn finish_marked(
        &self,
        new: &SessionId,
        value: Vec<u8>,
    ) -> Result<Option<Record>, Error> {
        let (mut value, mut stays) = (value, false);
        for _ in 0..TRIES {
            let Some(mark) = Mark::of(&value) else { break };
            // What is written for another user after the sign-in is not the new one's.
            let expected = (!mark.of_user && !stays).then_some(mark.version);
            match self.leave(&mark.old, expected, new).await? {
                Left::LoggedOut => return self.end_alone(new).await.map(|_| None),
                Left::Gone if mark.of_user => return self.end_alone(new).await.map(|_| None),
                // A visitor's tombstone, or the session itself, may have expired.
                Left::Ended | Left::Gone => {
                    self.unmark(new, &mark).await?;
                    break;
                }
                // It has another one to end, too. Boxed: this is a part of it.
                Left::Other(current) if value::is_pending(&current) => {
                    let _ = Box::pin(self.load_id(&mark.old)).await?;
                    continue;
                }
                // Sealed for the old token: it cannot be read under the new one.
                Left::Other(current) if is_sealed(&current)? => {
                    stays = true;
                    continue;
                }
                Left::Other(current) => self.take_over(new, &mark, &value, &current).await?,
            }
            match self.value(new).await? {
                Some(next) if value::is_pending(&next) => value = next,
                next => return next.map_or(Ok(None), |next| value::decode(next.into())),
            }
        }
        self.unmarked(new).await
    }

    async fn unmarked(&self, new: &SessionId) -> Result<Option<Record>, Error> {
        match self.value(new).await? {
            Some(value) if value::is_pending(&value) => {
                Err(Error::unavailable("the sign-in is unfinished"))
            }
            Some(value) => value::decode(value.into()),
            None => Ok(None),
        }
    }

    async fn value(&self, id: &SessionId) -> Result<Option<Vec<u8>>, Error> {
        let (key, mut get) = (self.key(id), redis::cmd("GET"));
        match self.servers.read(&key, get.arg(&key)).await? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes)),
            _ => Err(value::corrupt()),
        }
    }

    /// Ends the old session for the new one; at whatever version without `expected`.
    async fn leave(
        &self,
        old: &SessionId,
        expected: Option<u64>,
        new: &SessionId,
    ) -> Result<Left, Error> {
        let (mut lost, mut moves) = (None, false);
        for _ in 0..=TRIES {
            // Safe to repeat: it finds what it has left; where the slot moves, not everything.
            let (expected, mode) = if moves { (None, "r") } else { (expected, "") };
            let ended = self.leave_as(old, expected, new, mode).await?;
            let first = ended.first == Some(Value::Int(2));
            match ended.answer {
                Ok(Value::Int(2)) if !moves => moves = true,
                Ok(_) if moves => return Ok(Left::Ended),
                // What the attempt without a reply has left may be at the other node.
                Ok(Value::Int(0)) if lost.is_some() => break,
                Ok(Value::Int(0)) => return Ok(Left::Gone),
                Ok(Value::Int(5)) => return Ok(Left::LoggedOut),
                Ok(Value::BulkString(current)) => return Ok(Left::Other(current)),
                Ok(_) => return Ok(Left::Ended),
                Err(error) => (lost, moves) = (Some(error), moves || first),
            }
        }
        Err(lost.unwrap_or_else(|| Error::unavailable("the sign-in is unfinished")))
    }

    async fn leave_as(
        &self,
        old: &SessionId,
        expected: Option<u64>,
        new: &SessionId,
        mode: &str,
    ) -> Result<Ended, Error> {
        let key = self.key(old);
        let life = if mode.is_empty() { MOVED_KEPT } else { TOMBSTONE_OF_A_MOVE };
        let build = |_: &Connection| {
            let mut call = Script::Leave.call(&[&key]);
            call.arg(expected.map(|expected| head(expected).to_vec()).unwrap_or_default());
            call.arg(new.to_string()).arg(millis(life)).arg(old.to_string());
            call.arg(HEAD_LEN + USER_OFFSET).arg(&*self.index_prefix);
            call.arg(self.placement.salted()).arg(mode);
            Ok(call)
        };
        // Repeated by the caller.
        self.servers.end(&key, Follow::One, Repeat::Never, build).await
    }

    /// Whether the old one has a user or not.
    fn unmark(
        &self,
        new: &SessionId,
        mark: &Mark,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (servers, key) = (self.servers.clone(), self.key(new));
        let mut mark = mark.encode();
        let _ = mark.pop();
        async move {
            let mut call = Script::Unmark.call(&[&key]);
            call.arg(mark);
            servers.repeatable(&key, Follow::One, &call).await.map(drop)
        }
    }

    /// The new id gets what was written under the old one since, and the old one's user: the
    /// sign-in was never acknowledged, and the write was.
    async fn take_over(
        &self,
        new: &SessionId,
        mark: &Mark,
        value: &[u8],
        current: &[u8],
    ) -> Result<(), Error> {
        let signed_in = value::decode(value.to_vec().into())?;
        let Some(written) = value::decode(current.to_vec().into())? else { return Ok(()) };
        let next = Mark { version: written.version(), ..mark.clone() };
        // A request that holds the record of the sign-in has another version.
        let seen = signed_in.as_ref().map_or(0, Record::version);
        let version = seen.max(written.version()).saturating_add(1);
        let written = Record { version, ..written };
        let index = signed_in.as_ref().and_then(Record::user).map(|user| self.index(user));
        let key = self.key(new);
        let mut call = Script::TakeOver.call(&[&key]);
        call.arg(mark.encode()).arg(value::encode_marked(&written, Some(&next)));
        call.arg(self.life(written.activity())).arg(index.unwrap_or_default());
        call.arg(new.to_string());
        self.servers.repeatable(&key, Follow::One, &call).await.map(drop)
    }
}

fn is_sealed(value: &[u8]) -> Result<bool, Error> {
    let record = value::decode(value.to_vec().into())?;
    Ok(record.is_some_and(|record| record.sealed.is_some()))
}
