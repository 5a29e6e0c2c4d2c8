//! `Store` and `UserStore` by a database with Redis in front.

use std::time::Duration;

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
        AttemptOutcome, AttemptStore, AttemptWrite, Expected, LoginWrite, SaveOutcome, Store,
        StoreFuture, UserStore, database::Write, durable::DurableStore,
    },
    telemetry::{events::Events, health::Health},
};

impl Store for DurableStore {
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(self.engine().load(id))
    }

    fn inspect<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(self.engine().peek(id))
    }

    fn load_many<'a>(
        &'a self,
        ids: &'a [SessionId],
    ) -> StoreFuture<'a, Vec<Result<Option<Record>, Error>>> {
        Box::pin(self.engine().load_many(ids))
    }

    fn save<'a>(
        &'a self,
        id: &'a SessionId,
        expected: Expected,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        match expected {
            Expected::Absent => Box::pin(self.engine().create(id, record)),
            Expected::Version(version) => {
                let (id, record) = (*id, record.clone());
                self.carry(move |engine| async move { engine.save(&id, version, record).await })
            }
        }
    }

    fn begin_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        self.login(LoginWrite { old: Some((old, expected)), ..LoginWrite::new(new, record) })
    }

    fn finish_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
    ) -> StoreFuture<'a, SaveOutcome> {
        let (old, new) = (*old, *new);
        self.carry(
            move |engine| async move { engine.finish_renew(&old, Some(expected), &new).await },
        )
    }

    fn abandon_renew<'a>(&'a self, old: &'a SessionId, new: &'a SessionId) -> StoreFuture<'a, ()> {
        let (old, new) = (*old, *new);
        self.carry(move |engine| async move { engine.abandon_renew(&old, &new).await })
    }

    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        version: u64,
        activity: Touch,
    ) -> StoreFuture<'a, bool> {
        Box::pin(self.engine().touch(id, version, activity))
    }

    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, bool> {
        let id = *id;
        self.carry(move |engine| async move {
            let write = Write::Delete { id, expected: None };
            let ended = engine.end(&id, write).await?;
            let there = matches!(ended, SaveOutcome::Saved);
            ended.confirmed().map(|()| there)
        })
    }

    fn delete_version<'a>(&'a self, id: &'a SessionId, at: u64) -> StoreFuture<'a, SaveOutcome> {
        let id = *id;
        let write = Write::Delete { id, expected: Some(at) };
        self.carry(move |engine| async move { engine.end(&id, write).await })
    }

    fn migrate(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.engine.database().migrate())
    }

    fn check(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move { self.engine().check().await })
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.engine.close())
    }

    fn events(&self) -> Events {
        self.engine.stores.events.clone()
    }

    fn attempts(&self) -> Option<&dyn AttemptStore> {
        Some(self)
    }

    fn clock(&self) -> Clock {
        self.engine.clock()
    }

    fn placement(&self) -> Option<Placement> {
        self.engine.cache.placement()
    }

    fn ack_delay(&self) -> Duration {
        self.engine.ack_delay()
    }

    fn health(&self) -> Health {
        self.engine.health()
    }
}

/// Counted in the database alone: an outage of Redis, or one that forgets, changes no count.
impl AttemptStore for DurableStore {
    fn write<'a>(&'a self, write: &'a AttemptWrite) -> StoreFuture<'a, AttemptOutcome> {
        Box::pin(self.engine().attempt(write))
    }
}

impl UserStore for DurableStore {
    fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
        Box::pin(self.engine().database().epoch_of(user))
    }

    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
        let (limited, write) = (login.limit.is_some(), Write::login(login));
        self.carry(move |engine| async move { engine.login(write, limited).await })
    }

    fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        Box::pin(self.engine().sessions_of(user))
    }

    fn sessions_page<'a>(
        &'a self,
        user: &'a str,
        after: Option<&'a SessionCursor>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        Box::pin(self.engine().sessions_page(user, after, limit))
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        keep: Option<&'a SessionId>,
    ) -> StoreFuture<'a, u64> {
        let (user, keep) = (user.to_owned(), keep.copied());
        self.carry(move |engine| async move { engine.revoke_all(user, keep).await })
    }
}
