//! `Store` and `UserStore` by Redis alone.

use futures_util::future::join_all;
use redis::{Cmd, FromRedisValue, Value};

use crate::{
    clock::Clock,
    error::Error,
    session::{
        page::SessionCursor,
        placement::Placement,
        record::{Record, Touch},
        token::SessionId,
    },
    store::{
        AttemptStore, Expected, LoginWrite, SaveOutcome, Store, StoreFuture, UserStore,
        outcome::clocks_differ,
        redis::{RedisStore, record, value},
    },
    telemetry::{
        events::Events,
        health::{Health, Serving},
    },
};

impl Store for RedisStore {
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(self.load_id(id))
    }

    fn inspect<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move {
            match self.get(id).await? {
                Value::BulkString(bytes) if value::is_pending(&bytes) => Ok(None),
                value => record(value),
            }
        })
    }

    fn load_many<'a>(
        &'a self,
        ids: &'a [SessionId],
    ) -> StoreFuture<'a, Vec<Result<Option<Record>, Error>>> {
        Box::pin(async move {
            if self.servers.are_a_cluster() {
                return Ok(join_all(ids.iter().map(|id| self.load_id(id))).await);
            }
            // MGET returns nil for a key of another type, which then counts as no session: fails
            // closed.
            let (keys, mut get) = (ids.iter().map(|id| self.key(id)), redis::cmd("MGET"));
            let keys: Vec<String> = keys.collect();
            let values = self.servers.read(&self.key_prefix, get.arg(&keys)).await?;
            let values = Vec::<Value>::from_redis_value(values);
            Ok(values.map_err(Error::unavailable)?.into_iter().map(record).collect())
        })
    }

    fn save<'a>(
        &'a self,
        id: &'a SessionId,
        expected: Expected,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        match expected {
            // Listed with the user, however it was made.
            Expected::Absent if record.user().is_some() => self.login(LoginWrite::new(id, record)),
            Expected::Absent => Box::pin(self.create(id, record)),
            Expected::Version(version) => Box::pin(self.replace(id, version, record)),
        }
    }

    fn begin_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        match record.user() {
            Some(_) => self
                .login(LoginWrite { old: Some((old, expected)), ..LoginWrite::new(new, record) }),
            None => Box::pin(self.move_to(old, expected, new, record)),
        }
    }

    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        version: u64,
        activity: Touch,
    ) -> StoreFuture<'a, bool> {
        Box::pin(self.touch_key(id, version, activity))
    }

    fn finish_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
    ) -> StoreFuture<'a, SaveOutcome> {
        match self.are_apart(old, new) {
            true => Box::pin(self.finish_apart(old, expected, new)),
            // Both were done in one step.
            false => Box::pin(self.finish_confirmed(old, new)),
        }
    }

    fn abandon_renew<'a>(&'a self, old: &'a SessionId, new: &'a SessionId) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            if self.are_apart(old, new) {
                let _ = self.end_alone(new).await?;
            }
            Ok(())
        })
    }

    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, bool> {
        Box::pin(self.end(id))
    }

    fn delete_version<'a>(
        &'a self,
        id: &'a SessionId,
        expected: u64,
    ) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(self.remove(id, expected))
    }

    fn events(&self) -> Events {
        self.events.clone()
    }

    fn health(&self) -> Health {
        let redis = self.servers.status();
        let serving = if redis.answers { Serving::Redis } else { Serving::None };
        Health { redis: Some(redis), ..Health::new(serving) }
    }

    fn check(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.servers.check(&self.key_prefix, &self.index_prefix).await?;
            let beyond = self.servers.compared().beyond_check();
            beyond.map_or(Ok(()), |(whose, seconds)| Err(clocks_differ(whose, seconds)))
        })
    }

    fn attempts(&self) -> Option<&dyn AttemptStore> {
        Some(self)
    }

    fn clock(&self) -> Clock {
        Clock::system().beside(self.servers.compared())
    }

    fn placement(&self) -> Option<Placement> {
        self.places.then(|| self.placement.clone())
    }
}

impl RedisStore {
    async fn get(&self, id: &SessionId) -> Result<Value, Error> {
        let key = self.key(id);
        let mut get = Cmd::with_capacity(2, 3 + key.len());
        let _ = get.arg("GET").arg(&key);
        self.servers.read(&key, &get).await
    }

    /// Takes the steps first that a sign-in has left.
    pub(super) async fn load_id(&self, id: &SessionId) -> Result<Option<Record>, Error> {
        match self.get(id).await? {
            Value::BulkString(bytes) if value::is_pending(&bytes) => {
                // Boxed: rare, and the usual read stays small.
                Box::pin(self.finish_marked(id, bytes)).await
            }
            value => record(value),
        }
    }
}

impl UserStore for RedisStore {
    fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
        Box::pin(self.user_epoch(user))
    }

    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(self.login_user(login))
    }

    fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        Box::pin(self.list_user(user))
    }

    fn sessions_page<'a>(
        &'a self,
        user: &'a str,
        after: Option<&'a SessionCursor>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        Box::pin(self.page_user(user, after, limit))
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        keep: Option<&'a SessionId>,
    ) -> StoreFuture<'a, u64> {
        Box::pin(self.revoke_user(user, keep))
    }
}
