//! Per-user session index and revocation epoch (Redis without a database).
//!
//! The key `{prefix}u:{user}` holds a hash from session ids to the time of their sign-in, and the
//! epoch.

use std::time::Duration;

use redis::{FromRedisValue, Value};

use crate::{
    clock::timestamp::Timestamp,
    error::Error,
    session::{
        page::{self, SessionCursor},
        record::{
            Record, Touch,
            format::{ACTIVITY_OFFSET, HEAD_MAX, USER_OFFSET},
        },
        token::SessionId,
    },
    store::{
        LoginWrite, SaveOutcome, Store as _,
        outcome::dated_well,
        redis::{
            CREATE_DEADLINE, KEPT_EXPIRED_MAX, RedisStore, TOMBSTONE,
            client::script::Script,
            conflict, life, millis,
            value::{self, HEAD_LEN, head},
        },
    },
};

/// Sessions per script call.
const HEADS_AT_ONCE: usize = 500;
const DAY: Duration = Duration::from_secs(86_400);
/// How long the index of a user is kept beyond the idle timeout, for sessions without an absolute
/// timeout; each write of one of them restarts it.
const INDEX_LIFE: Duration = Duration::from_secs(400 * 86_400);

impl RedisStore {
    pub(super) async fn user_epoch(&self, user: &str) -> Result<u64, Error> {
        let mut get = redis::cmd("HGET");
        let _ = get.arg(self.index(user)).arg("epoch");
        let epoch = Option::<u64>::from_redis_value(self.connections.read(&get).await?);
        Ok(epoch.map_err(|_| value::corrupt())?.unwrap_or_default())
    }

    pub(super) async fn login_user(&self, login: LoginWrite<'_>) -> Result<SaveOutcome, Error> {
        let LoginWrite { old, new, record, .. } = login;
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let connection = self.connections.get().await?;
        if old.is_none() {
            dated_well(record, self.connections.compared())?;
        }
        let (index, new_key) = (self.index(record.user().unwrap_or_default()), self.key(new));
        let old_key = old.map(|(old, _)| self.key(old));
        let keys: Vec<&str> = [Some(&index), Some(&new_key), old_key.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let mut call = Script::Login.call(&keys);
        call.arg(value::encode(record)).arg(self.life(record.activity()));
        call.arg(connection.server_time_in(CREATE_DEADLINE)).arg(millis(TOMBSTONE));
        call.arg(old.map(|(_, expected)| head(expected).to_vec()).unwrap_or_default());
        call.arg(number(login.epoch).unwrap_or_default());
        call.arg(number(login.limit.map(|limit| limit.get().into())).unwrap_or_default());
        call.arg(&*self.key_prefix).arg(new.to_string());
        call.arg(old.map(|(old, _)| old.to_string()).unwrap_or_default());
        call.arg(record.created().as_millis()).arg(self.index_life(record));
        call.arg(millis(KEPT_EXPIRED_MAX)).arg(HEAD_LEN + ACTIVITY_OFFSET);
        call.arg(&*self.index_prefix).arg(HEAD_LEN + USER_OFFSET);
        match self.connections.write_over(connection.clone(), &call).await? {
            Ok(Value::Int(1)) => Ok(SaveOutcome::Saved),
            Ok(Value::Int(0)) => Ok(SaveOutcome::Gone),
            Ok(Value::Int(-1)) => {
                // The measured server clock is off: the next connection measures it again.
                connection.distrust_clocks();
                Ok(SaveOutcome::IdInUse)
            }
            Ok(Value::Int(-3)) => Ok(SaveOutcome::Revoked),
            Ok(Value::Int(_)) => Ok(SaveOutcome::IdInUse),
            Ok(current) => conflict(current),
            Err(lost) => Ok(SaveOutcome::Unknown(lost)),
        }
    }

    /// Without a scan: the ids in the index, then the heads of a bounded number of records at a
    /// time, so that other clients do not wait long.
    pub(super) async fn list_user(&self, user: &str) -> Result<Vec<(SessionId, Record)>, Error> {
        let index = self.index(user);
        let mut keys = redis::cmd("HKEYS");
        let _ = keys.arg(&index);
        let ids = Vec::<String>::from_redis_value(self.connections.read(&keys).await?);
        let ids = ids.map_err(|_| value::corrupt())?;
        let ids: Vec<SessionId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let mut listed = Vec::with_capacity(ids.len());
        for ids in ids.chunks(HEADS_AT_ONCE) {
            listed.append(&mut self.heads(&index, ids).await?);
        }
        Ok(listed)
    }

    /// Reads the whole index, which has the time of each sign-in, and heads only for the page.
    pub(super) async fn page_user(
        &self,
        user: &str,
        after: Option<&SessionCursor>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, Error> {
        let index = self.index(user);
        let mut all = redis::cmd("HGETALL");
        let _ = all.arg(&index);
        let all = Vec::<(String, u64)>::from_redis_value(self.connections.read(&all).await?);
        let (all, after) = (all.map_err(|_| value::corrupt())?, after.map(SessionCursor::order));
        let cursor = |(id, created): &(String, u64)| {
            Some(SessionCursor::new(Timestamp::from_millis(*created), id.parse().ok()?))
        };
        let mut all: Vec<_> =
            all.iter().filter_map(cursor).map(|one| (one.order(), *one.id())).collect();
        all.retain(|(order, _)| after.as_ref().is_none_or(|after| order > after));
        all.sort_unstable();
        let ids: Vec<SessionId> = all.into_iter().map(|(_, id)| id).collect();
        let mut page = Vec::new();
        // Some records may have expired before their index entry.
        for ids in ids.chunks(limit.clamp(1, HEADS_AT_ONCE)) {
            if page.len() >= limit {
                break;
            }
            page.append(&mut self.heads(&index, ids).await?);
        }
        page::cut(&mut page, None, limit);
        Ok(page)
    }

    /// The heads of these sessions, in one call.
    async fn heads(
        &self,
        index: &str,
        ids: &[SessionId],
    ) -> Result<Vec<(SessionId, Record)>, Error> {
        let mut call = Script::Heads.call(&[index]);
        call.arg(&*self.key_prefix).arg(HEAD_LEN + HEAD_MAX);
        for id in ids {
            call.arg(id.to_string());
        }
        let heads = Vec::<Vec<u8>>::from_redis_value(self.connections.repeatable(&call).await?);
        let heads = heads.map_err(|_| value::corrupt())?;
        let read = |(id, head): (&SessionId, Vec<u8>)| {
            Some((*id, value::decode_head(head.into()).ok().flatten()?))
        };
        Ok(ids.iter().zip(heads).filter_map(read).collect())
    }

    pub(super) async fn revoke_user(
        &self,
        user: &str,
        keep: Option<&SessionId>,
    ) -> Result<u64, Error> {
        let mut call = Script::RevokeAll.call(&[&self.index(user)]);
        call.arg(&*self.key_prefix).arg(millis(TOMBSTONE)).arg(millis(DAY));
        call.arg(millis(KEPT_EXPIRED_MAX)).arg(keep.map(ToString::to_string).unwrap_or_default());
        call.arg(HEAD_LEN + ACTIVITY_OFFSET);
        let count = u64::from_redis_value(self.connections.repeatable(&call).await?);
        count.map_err(|_| value::corrupt())
    }

    pub(super) fn index(&self, user: &str) -> String {
        format!("{}{user}", self.index_prefix)
    }

    /// As long as the session may live; at least a day, so that no epoch is lost during a sign-in.
    pub(super) fn index_life(&self, record: &Record) -> u64 {
        let deadlines = &record.deadlines;
        let open = deadlines.idle.saturating_add(INDEX_LIFE);
        let end = deadlines.absolute_deadline;
        let until = |end| life(Touch { end, ..record.activity() }, &self.clock());
        millis(end.map_or(open, until).max(DAY))
    }
}
