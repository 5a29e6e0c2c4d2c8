//! Sessions of a user that are in another slot of a cluster than the user's list: signed in before
//! ids had tags, or moved in from another store. They are listed, limited and revoked as the
//! others, in more steps.

use redis::{FromRedisValue as _, Value};

use crate::{
    error::Error,
    session::{
        placement::tag_text,
        record::{Record, format::HEAD_MAX},
        token::SessionId,
    },
    store::{
        LoginWrite, SaveOutcome,
        redis::{
            RedisStore,
            client::cluster::decision::Follow,
            client::script::Script,
            value::{self, HEAD_LEN, Mark},
        },
    },
};

impl RedisStore {
    /// Whether a session of the user is in another slot than the list.
    pub(super) fn is_elsewhere(&self, id: &SessionId, user: &str) -> bool {
        self.servers.are_a_cluster() && id.tag() != self.placement.tag(user)
    }

    /// The user's tag, by which a script recognizes the others; empty on one server, which has all.
    pub(super) fn tag_in_cluster(&self, user: &str) -> Vec<u8> {
        match self.servers.are_a_cluster() {
            true => tag_text(self.placement.tag(user)).to_vec(),
            false => Vec::new(),
        }
    }

    /// Stores such a session: first in the list, so that a revocation finds it.
    pub(super) async fn enter_elsewhere(
        &self,
        login: LoginWrite<'_>,
        user: &str,
    ) -> Result<SaveOutcome, Error> {
        let index = self.index(user);
        if let Some(epoch) = login.epoch
            && self.user_epoch(user).await? != epoch
        {
            return Ok(SaveOutcome::Revoked);
        }
        let mut call = Script::Enter.call(&[&index]);
        call.arg(login.new.to_string()).arg(login.record.created().as_millis());
        call.arg(self.index_life(login.record));
        let _ = self.servers.repeatable(&index, Follow::Many, &call).await?;
        let mark = login.old.map(|(old, version)| Mark {
            old: *old,
            version,
            of_user: login.replaces_user,
        });
        let created = self.create_marked(login.new, login.record, mark.as_ref()).await?;
        if !matches!(created, SaveOutcome::Saved) {
            return Ok(created);
        }
        let (id, mut get) = (login.new.to_string(), redis::cmd("HGET"));
        let listed = self.servers.read(&index, get.arg(&index).arg(id)).await?;
        if listed == Value::Nil {
            // Revoked in between.
            let _ = self.end_alone(login.new).await?;
            return Ok(SaveOutcome::Revoked);
        }
        Ok(SaveOutcome::Saved)
    }

    /// Their heads. What is no more leaves the list.
    pub(super) async fn heads_elsewhere(
        &self,
        index: &str,
        ids: &[SessionId],
    ) -> Result<Vec<(SessionId, Record)>, Error> {
        let mut found = Vec::new();
        for id in ids {
            let (key, mut get) = (self.key(id), redis::cmd("GETRANGE"));
            let _ = get.arg(&key).arg(0).arg(HEAD_LEN + HEAD_MAX - 1);
            let head = self.servers.read(&key, &get).await?;
            let head = Vec::<u8>::from_redis_value(head).map_err(|_| value::corrupt())?;
            match head.first() {
                Some(b'R') => {
                    let record = value::decode_head(head.into()).ok().flatten();
                    found.extend(record.map(|record| (*id, record)));
                }
                Some(b'P') => {}
                _ => self.leave_list(index, id).await?,
            }
        }
        Ok(found)
    }

    /// Ends those that a revocation has found in a list, and removes them from it; returns how many
    /// there were. In this sequence: what is not reached stays in the list, for the next attempt.
    pub(super) async fn revoke_elsewhere(
        &self,
        index: &str,
        ids: &[Value],
        keep: Option<&SessionId>,
    ) -> Result<u64, Error> {
        let mut ended = 0;
        for id in ids {
            let id = id_of(id)?;
            let there = self.end_unless(&id, keep).await?;
            self.leave_list(index, &id).await?;
            // One that was being entered finds itself in no list, or is found now.
            let there = there || self.end_unless(&id, keep).await?;
            ended += u64::from(there);
        }
        Ok(ended)
    }

    /// Ends those over a limit, and nothing to which one has moved.
    pub(super) async fn end_elsewhere(&self, index: &str, ids: &[Value]) -> Result<(), Error> {
        for id in ids {
            let id = id_of(id)?;
            let there = self.end_alone(&id).await?;
            self.leave_list(index, &id).await?;
            if !there {
                let _ = self.end_alone(&id).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn leave_list(&self, index: &str, id: &SessionId) -> Result<(), Error> {
        let mut del = redis::cmd("HDEL");
        // Safe to run twice.
        self.servers.read(index, del.arg(index).arg(id.to_string())).await.map(drop)
    }
}

fn id_of(value: &Value) -> Result<SessionId, Error> {
    let id = String::from_redis_value_ref(value).ok().and_then(|id| id.parse().ok());
    id.ok_or_else(value::corrupt)
}
