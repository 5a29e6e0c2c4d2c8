//! `Store` and `UserStore` by a database alone.

use std::time::{Duration, Instant};

use crate::{
    clock::Clock,
    error::Error,
    session::{
        page::SessionCursor,
        record::{Record, Touch},
        token::SessionId,
    },
    store::{
        AttemptOutcome, AttemptStore, AttemptWrite, Expected, LoginWrite, SaveOutcome, Store,
        StoreFuture, UserStore,
        database::{
            DatabaseStore, renewal,
            row::Row,
            write::{Terms, Write, WriteFault, Written},
        },
    },
    telemetry::{
        events::Events,
        health::{BackendHealth, Health, Serving},
    },
};

impl Store for DatabaseStore {
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move {
            let row = self.reply(self.database.read(id)).await;
            let Some(row) = row? else { return Ok(None) };
            self.settle(id, row).await
        })
    }

    fn inspect<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move {
            let row = self.reply(self.database.read(id)).await;
            Ok(row?
                .and_then(Row::living)
                .filter(|row| row.replaces.is_none())
                .map(|row| row.record))
        })
    }

    fn load_many<'a>(
        &'a self,
        ids: &'a [SessionId],
    ) -> StoreFuture<'a, Vec<Result<Option<Record>, Error>>> {
        Box::pin(async move {
            let rows = self.reply(self.database.read_each(ids)).await?;
            let mut records = Vec::with_capacity(rows.len());
            for (id, row) in ids.iter().zip(rows) {
                records.push(match row {
                    Ok(Some(row)) => self.settle(id, row).await,
                    Ok(None) => Ok(None),
                    Err(error) => Err(error),
                });
            }
            Ok(records)
        })
    }

    fn save<'a>(
        &'a self,
        id: &'a SessionId,
        expected: Expected,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        let (id, record) = (*id, record.clone());
        let write = match expected {
            Expected::Absent => Write::Create { id, record, terms: Terms::default() },
            Expected::Version(expected) => Write::Save { id, expected, record },
        };
        Box::pin(async move { outcome(self.write(write).await) })
    }

    fn begin_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        let login = LoginWrite { old: Some((old, expected)), ..LoginWrite::new(new, record) };
        self.login(login)
    }

    fn finish_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
    ) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(renewal::finish(old, Some(expected), new, self))
    }

    fn abandon_renew<'a>(&'a self, old: &'a SessionId, new: &'a SessionId) -> StoreFuture<'a, ()> {
        Box::pin(renewal::abandon(old, new, self))
    }

    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        version: u64,
        activity: Touch,
    ) -> StoreFuture<'a, bool> {
        let write = Write::Touch { id: *id, version, activity };
        Box::pin(async move {
            let written = self.write(write).await.map_err(WriteFault::into_error)?;
            Ok(matches!(written, Written::Done { .. }))
        })
    }

    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, bool> {
        let write = Write::Delete { id: *id, expected: None };
        Box::pin(async move {
            let written = self.write(write).await.map_err(WriteFault::into_error)?;
            Ok(written.has_ended())
        })
    }

    fn delete_version<'a>(
        &'a self,
        id: &'a SessionId,
        expected: u64,
    ) -> StoreFuture<'a, SaveOutcome> {
        let write = Write::Delete { id: *id, expected: Some(expected) };
        Box::pin(async move { outcome(self.write(write).await) })
    }

    fn migrate(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.database.migrate())
    }

    fn check(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let checked = match self.database.check().await {
                Ok(()) => self.clock_check.check(&self.database).await,
                Err(error) => Err(error),
            };
            self.availability.checked(&checked);
            checked
        })
    }

    fn events(&self) -> Events {
        self.events.clone()
    }

    fn health(&self) -> Health {
        let ((connections, _), now) = (self.database.pool(), Instant::now());
        let database = BackendHealth {
            answers: self.availability.answers(now) && !self.database.is_starved(),
            unavailable_for: self.availability.unavailable_for(now),
            rejects_writes: self.availability.rejects_writes(),
            last_cause: self.availability.last_cause(),
            connections,
            pool_size: self.database.pool_size(),
            clock_ahead: self.clock_check.ahead(),
            primary: None,
            switched_ago: None,
        };
        let serving = if database.answers { Serving::Database } else { Serving::None };
        Health { database: Some(database), ..Health::new(serving) }
    }

    fn attempts(&self) -> Option<&dyn AttemptStore> {
        Some(self)
    }

    fn clock(&self) -> Clock {
        self.database.clock()
    }
}

impl AttemptStore for DatabaseStore {
    fn write<'a>(&'a self, write: &'a AttemptWrite) -> StoreFuture<'a, AttemptOutcome> {
        Box::pin(async move {
            self.database.purge_when_due(Duration::ZERO);
            self.reply(self.database.attempt(write)).await
        })
    }
}

impl UserStore for DatabaseStore {
    fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
        Box::pin(self.reply(self.database.epoch_of(user)))
    }

    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(async move { Ok(renewal::begin(Write::login(login), self).await?.0) })
    }

    fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        Box::pin(self.reply(self.database.sessions_of(user)))
    }

    fn sessions_page<'a>(
        &'a self,
        user: &'a str,
        after: Option<&'a SessionCursor>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        Box::pin(self.reply(self.database.sessions_page(user, after, limit)))
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        keep: Option<&'a SessionId>,
    ) -> StoreFuture<'a, u64> {
        let write = Write::Revoke { user: user.to_owned(), keep: keep.copied() };
        Box::pin(async move {
            match self.write(write).await.map_err(WriteFault::into_error)? {
                Written::Done { version: killed, .. } => Ok(killed),
                _ => Ok(0),
            }
        })
    }
}

fn outcome(result: Result<Written, WriteFault>) -> Result<SaveOutcome, Error> {
    match result {
        Ok(Written::Done { .. }) => Ok(SaveOutcome::Saved),
        Ok(Written::Conflict(current)) => Ok(SaveOutcome::Conflict(current)),
        Ok(Written::Gone) => Ok(SaveOutcome::Gone),
        Ok(Written::Taken) => Ok(SaveOutcome::IdInUse),
        Ok(Written::Revoked) => Ok(SaveOutcome::Revoked),
        Err(WriteFault::Unknown(error)) => Ok(SaveOutcome::Unknown(error)),
        Err(WriteFault::Refused(error)) => Err(error),
    }
}
