//! Per-user session index and revocation epoch (Redis without a database).
//!
//! The key `{prefix}u:{tag}{user}`, with the tag in braces, holds a hash from session ids to the
//! time of their sign-in, and the epoch.

use std::time::Duration;

use redis::{FromRedisValue, Value};

use crate::{
    clock::timestamp::Timestamp,
    error::Error,
    session::{
        page::{self, SessionCursor},
        placement::{TAG_TEXT_LEN, push_tag},
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
            client::{
                cluster::decision::Follow,
                confirmed::Repeat,
                connection::{Answer, Connection},
                script::{Call, Script},
            },
            life, millis,
            value::{self, HEAD_LEN, Mark, head},
        },
    },
};

/// Too many sessions, some of them in other slots: the script does not know whether they are alive.
const TOO_MANY: i64 = -5;
/// Sessions per script call.
const HEADS_AT_ONCE: usize = 500;
/// A tag in braces.
const TAG_LEN: usize = TAG_TEXT_LEN + 2;
pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// How long the index of a user is kept beyond the idle timeout, for sessions without an absolute
/// timeout; each write of one of them restarts it.
const INDEX_LIFE: Duration = Duration::from_secs(400 * 86_400);

impl RedisStore {
    pub(super) async fn user_epoch(&self, user: &str) -> Result<u64, Error> {
        let (index, mut get) = (self.index(user), redis::cmd("HGET"));
        let epoch = self.servers.read(&index, get.arg(&index).arg("epoch")).await?;
        let epoch = Option::<u64>::from_redis_value(epoch);
        Ok(epoch.map_err(|_| value::corrupt())?.unwrap_or_default())
    }

    pub(super) async fn login_user(&self, login: LoginWrite<'_>) -> Result<SaveOutcome, Error> {
        let user = login.record.user().unwrap_or_default();
        if self.is_elsewhere(login.new, user) {
            return self.enter_elsewhere(login, user).await;
        }
        let index = self.index(user);
        let mut answer = self.login_once(&login, &index, false).await?;
        if matches!(answer, Ok(Value::Int(TOO_MANY))) {
            self.drop_dead_elsewhere(user, &index).await?;
            answer = self.login_once(&login, &index, true).await?;
        }
        let ends_another = self.ends_another(&login);
        match answer {
            Ok(Value::Int(1)) => Ok(SaveOutcome::Saved),
            Ok(Value::Int(0)) => Ok(SaveOutcome::Gone),
            Ok(Value::Int(-3)) => Ok(SaveOutcome::Revoked),
            Ok(Value::Int(_)) => Ok(SaveOutcome::IdInUse),
            Ok(Value::Array(ids)) => {
                // It is stored all the same, and the next sign-in finds them over the limit again.
                Ok(match self.end_elsewhere(&index, &ids).await {
                    Err(error) if ends_another => SaveOutcome::Unknown(error),
                    ended => ended.map(|()| SaveOutcome::Saved)?,
                })
            }
            Ok(current) => match login.old {
                Some((old, _)) => self.conflict(old, current).await,
                None => Err(value::corrupt()),
            },
            Err(lost) => Ok(SaveOutcome::Unknown(lost)),
        }
    }

    /// Whether it ends the old session in the same step.
    fn ends_another(&self, login: &LoginWrite<'_>) -> bool {
        login.old.is_some_and(|(old, _)| !self.are_apart(old, login.new))
    }

    async fn login_once(
        &self,
        login: &LoginWrite<'_>,
        index: &str,
        cleared: bool,
    ) -> Result<Answer, Error> {
        let build = |connection: &Connection| {
            if login.old.is_none() {
                // Not before the server's clock was read.
                dated_well(login.record, self.servers.compared())?;
            }
            let mut call = self.login_call(login, index, connection);
            call.arg(if cleared { "c" } else { "" });
            Ok(call)
        };
        let ends_another = self.ends_another(login);
        match ends_another || login.limit.is_some() {
            true => self.sign_in_confirmed(login.new, index, ends_another, build).await,
            false => self.servers.call(index, Follow::Many, build).await,
        }
    }

    fn login_call(&self, login: &LoginWrite<'_>, index: &str, connection: &Connection) -> Call {
        let LoginWrite { new, record, .. } = login;
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        // An old session in another slot ends in a step of its own.
        let apart = login.old.filter(|(old, _)| self.are_apart(old, new));
        let old = login.old.filter(|_| apart.is_none());
        let mark =
            apart.map(|(old, version)| Mark { old: *old, version, of_user: login.replaces_user });
        let (new_key, old_key) = (self.key(new), old.map(|(old, _)| self.key(old)));
        let keys: Vec<&str> = [index, &new_key].into_iter().chain(old_key.as_deref()).collect();
        let mut call = Script::Login.call(&keys);
        call.arg(value::encode_marked(record, mark.as_ref())).arg(self.life(record.activity()));
        call.arg(connection.server_time_in(CREATE_DEADLINE)).arg(millis(TOMBSTONE));
        call.arg(old.map(|(_, expected)| head(expected).to_vec()).unwrap_or_default());
        call.arg(number(login.epoch).unwrap_or_default());
        call.arg(number(login.limit.map(|limit| limit.get().into())).unwrap_or_default());
        call.arg(&*self.key_prefix).arg(new.to_string());
        call.arg(login.old.map(|(old, _)| old.to_string()).unwrap_or_default());
        call.arg(record.created().as_millis()).arg(self.index_life(record));
        call.arg(millis(KEPT_EXPIRED_MAX)).arg(HEAD_LEN + ACTIVITY_OFFSET);
        call.arg(&*self.index_prefix).arg(HEAD_LEN + USER_OFFSET).arg(self.placement.salted());
        call.arg(self.tag_in_cluster(record.user().unwrap_or_default()));
        call
    }

    /// Removes from a list what has ended of the sessions in other slots.
    async fn drop_dead_elsewhere(&self, user: &str, index: &str) -> Result<(), Error> {
        let (mut ids, now) = (self.listed(index).await?, self.clock().now());
        ids.retain(|id| self.is_elsewhere(id, user));
        for (id, record) in self.heads_elsewhere(index, &ids).await? {
            if record.deadlines.is_over(now) {
                self.leave_list(index, &id).await?;
            }
        }
        Ok(())
    }

    async fn listed(&self, index: &str) -> Result<Vec<SessionId>, Error> {
        let mut keys = redis::cmd("HKEYS");
        let ids = self.servers.read(index, keys.arg(index)).await?;
        let ids = Vec::<String>::from_redis_value(ids).map_err(|_| value::corrupt())?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Enters a session again in the list of its user, which was lost. In the background: nothing
    /// depends on it, and the slot may be moving.
    pub(super) fn list_again(&self, id: &SessionId, record: &Record) {
        let Some(user) = record.user() else { return };
        let (servers, index) = (self.servers.clone(), self.index(user));
        let mut call = Script::Enter.call(&[&index]);
        call.arg(id.to_string()).arg(record.created().as_millis()).arg(self.index_life(record));
        drop(tokio::spawn(async move {
            if let Err(error) = servers.repeatable(&index, Follow::Many, &call).await {
                tracing::debug!(%error, "session not listed");
            }
        }));
    }

    /// Without a scan: the ids in the index, then the heads of a bounded number of records at a
    /// time, so that other clients do not wait long.
    pub(super) async fn list_user(&self, user: &str) -> Result<Vec<(SessionId, Record)>, Error> {
        let index = self.index(user);
        let ids = self.listed(&index).await?;
        let mut listed = Vec::with_capacity(ids.len());
        for ids in ids.chunks(HEADS_AT_ONCE) {
            listed.append(&mut self.heads(user, &index, ids).await?);
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
        let (index, mut all) = (self.index(user), redis::cmd("HGETALL"));
        let all = self.servers.read(&index, all.arg(&index)).await?;
        let all = Vec::<(String, u64)>::from_redis_value(all);
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
            page.append(&mut self.heads(user, &index, ids).await?);
        }
        page::cut(&mut page, None, limit);
        Ok(page)
    }

    /// The heads of these sessions, in one call; those elsewhere in a cluster in one each.
    async fn heads(
        &self,
        user: &str,
        index: &str,
        ids: &[SessionId],
    ) -> Result<Vec<(SessionId, Record)>, Error> {
        let (elsewhere, here): (Vec<SessionId>, Vec<_>) =
            ids.iter().copied().partition(|id| self.is_elsewhere(id, user));
        let mut call = Script::Heads.call(&[index]);
        call.arg(&*self.key_prefix).arg(HEAD_LEN + HEAD_MAX);
        call.arg(if self.servers.are_a_cluster() { "c" } else { "" });
        for id in &here {
            call.arg(id.to_string());
        }
        let heads = self.servers.repeatable(index, Follow::Many, &call).await?;
        let heads = Vec::<Vec<u8>>::from_redis_value(heads).map_err(|_| value::corrupt())?;
        let read = |(id, head): (SessionId, Vec<u8>)| {
            Some((id, value::decode_head(head.into()).ok().flatten()?))
        };
        let mut found: Vec<_> = here.into_iter().zip(heads).filter_map(read).collect();
        found.append(&mut self.heads_elsewhere(index, &elsewhere).await?);
        Ok(found)
    }

    pub(super) async fn revoke_user(
        &self,
        user: &str,
        keep: Option<&SessionId>,
    ) -> Result<u64, Error> {
        let index = self.index(user);
        let mut call = Script::RevokeAll.call(&[&index]);
        call.arg(&*self.key_prefix).arg(millis(TOMBSTONE)).arg(millis(DAY));
        call.arg(millis(KEPT_EXPIRED_MAX)).arg(keep.map(ToString::to_string).unwrap_or_default());
        call.arg(HEAD_LEN + ACTIVITY_OFFSET).arg(self.tag_in_cluster(user));
        let build = |_: &Connection| Ok(call.clone());
        let ended = self.servers.end(&index, Follow::Many, Repeat::Lost, build).await?;
        let mut count = 0;
        // Those of the first reply are in no list any more, confirmed or not.
        for reply in ended.first.iter().chain(ended.answer.as_ref()) {
            let (more, elsewhere) = match reply {
                Value::Array(parts) => match parts.split_first() {
                    Some((Value::Int(count), ids)) => (*count, ids),
                    _ => return Err(value::corrupt()),
                },
                Value::Int(count) => (*count, &[][..]),
                _ => return Err(value::corrupt()),
            };
            let more = u64::try_from(more).map_err(|_| value::corrupt())?;
            count += more.saturating_add(self.revoke_elsewhere(&index, elsewhere, keep).await?);
        }
        ended.answer.map(|_| count)
    }

    pub(super) fn index(&self, user: &str) -> String {
        let mut key = String::with_capacity(self.index_prefix.len() + TAG_LEN + user.len());
        key.push_str(&self.index_prefix);
        key.push('{');
        push_tag(self.placement.tag(user), &mut key);
        key.push('}');
        key.push_str(user);
        key
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
