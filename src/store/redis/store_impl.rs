//! `Store` and `UserStore` by Redis alone.

use redis::{Cmd, FromRedisValue, Value};

use crate::{
    clock::Clock,
    error::Error,
    session::{
        page::SessionCursor,
        record::{Record, Touch},
        token::SessionId,
    },
    store::{
        AttemptStore, Expected, LoginWrite, SaveOutcome, Store, StoreFuture, UserStore,
        outcome::clocks_differ,
        redis::{KEY_TAIL, RedisStore, client::check, record},
    },
    telemetry::{
        events::Events,
        health::{Health, Serving},
    },
};

impl Store for RedisStore {
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move {
            let mut get = Cmd::with_capacity(2, 3 + self.key_prefix.len() + KEY_TAIL);
            let _ = get.arg("GET").arg(self.key(id));
            record(self.connections.read(&get).await?)
        })
    }

    fn load_many<'a>(
        &'a self,
        ids: &'a [SessionId],
    ) -> StoreFuture<'a, Vec<Result<Option<Record>, Error>>> {
        Box::pin(async move {
            // MGET returns nil for a key of another type, which then counts as no session: fails
            // closed.
            let mut get = redis::cmd("MGET");
            for id in ids {
                let _ = get.arg(self.key(id));
            }
            let values = Vec::<Value>::from_redis_value(self.connections.read(&get).await?);
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

    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, bool> {
        let call = self.kill(id, None);
        Box::pin(async move {
            match self.connections.write(&call).await? {
                Ok(deleted) => Ok(deleted == Value::Int(1)),
                // The first attempt may have found it: the second one finds its tombstone.
                Err(_) => self.connections.write(&call).await?.map(|_| true),
            }
        })
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
        let redis = self.connections.status();
        let serving = if redis.answers { Serving::Redis } else { Serving::None };
        Health { redis: Some(redis), ..Health::new(serving) }
    }

    fn check(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let checked =
                check::check(&self.connections, &self.key_prefix, &self.index_prefix).await;
            self.availability.checked(&checked);
            checked?;
            let beyond = self.connections.compared().beyond_check();
            beyond.map_or(Ok(()), |(whose, seconds)| Err(clocks_differ(whose, seconds)))
        })
    }

    fn attempts(&self) -> Option<&dyn AttemptStore> {
        Some(self)
    }

    fn clock(&self) -> Clock {
        Clock::system().beside(self.connections.compared())
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
