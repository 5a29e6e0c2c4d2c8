//! A save over the version before it, and what is found in the place of that version.

use redis::Value;

use crate::{
    error::Error,
    session::{record::Record, token::SessionId},
    store::{
        SaveOutcome,
        redis::{
            RedisStore,
            client::{
                cluster::decision::Follow,
                connection::Connection,
                script::{Call, Script},
            },
            record,
            value::{self, head},
        },
    },
};

/// What a save came to.
enum Replaced {
    Done(SaveOutcome),
    /// There is another value.
    Other(Value),
}

impl RedisStore {
    pub(super) async fn replace(
        &self,
        id: &SessionId,
        expected: u64,
        record: &Record,
    ) -> Result<SaveOutcome, Error> {
        let key = self.key(id);
        let build = |_: &Connection| Ok(self.save_call(id, expected, record));
        let mut current = match self.replace_once(id, record, &key, &build).await? {
            Replaced::Done(outcome) => return Ok(outcome),
            Replaced::Other(current) => current,
        };
        if let Value::BulkString(found) = &current
            && value::is_pending(found)
        {
            // It ends another one before it is used. Boxed: rare.
            let now = Box::pin(self.load_id(id)).await?;
            if now != value::decode(found.clone().into())? {
                return Ok(now.map_or(SaveOutcome::Gone, SaveOutcome::Conflict));
            }
            // Nothing was written in between: the expected version is the one that was seen.
            current = match self.replace_once(id, record, &key, &build).await? {
                Replaced::Done(outcome) => return Ok(outcome),
                Replaced::Other(current) => current,
            };
        }
        self.conflict(id, current).await
    }

    fn save_call(&self, id: &SessionId, expected: u64, record: &Record) -> Call {
        let (key, index) = (self.key(id), record.user().map(|user| self.index(user)));
        let declared = index.as_deref().filter(|_| !self.servers.are_a_cluster());
        let keys: Vec<&str> = std::iter::once(&*key).chain(declared).collect();
        let mut call = Script::Save.call(&keys);
        call.arg(head(expected).as_slice()).arg(value::encode(record));
        call.arg(self.life(record.activity()));
        if let Some(index) = &index {
            call.arg(id.to_string()).arg(record.created().as_millis());
            call.arg(self.index_life(record));
            if declared.is_none() {
                call.arg(index);
            }
        }
        call
    }

    async fn replace_once(
        &self,
        id: &SessionId,
        record: &Record,
        key: &str,
        build: &(impl Fn(&Connection) -> Result<Call, Error> + Sync),
    ) -> Result<Replaced, Error> {
        Ok(Replaced::Done(match self.servers.call(key, Follow::One, build).await? {
            Ok(Value::Int(1)) => SaveOutcome::Saved,
            Ok(Value::Int(2)) => {
                self.list_again(id, record);
                SaveOutcome::Saved
            }
            Ok(Value::Int(_)) => SaveOutcome::Gone,
            Ok(current) => return Ok(Replaced::Other(current)),
            Err(lost) => SaveOutcome::Unknown(lost),
        }))
    }

    /// What a write found under `id` in the place of the version that it expected.
    pub(super) async fn conflict(
        &self,
        id: &SessionId,
        current: Value,
    ) -> Result<SaveOutcome, Error> {
        let now = match &current {
            // It ends another one before it is used. Boxed: rare.
            Value::BulkString(value) if value::is_pending(value) => {
                Box::pin(self.load_id(id)).await?
            }
            _ => record(current)?,
        };
        Ok(now.map_or(SaveOutcome::Gone, SaveOutcome::Conflict))
    }
}
