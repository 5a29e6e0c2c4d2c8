//! Sign-ins under an external id, and their revocation by it.
//!
//! The record of an id and a session are two writes. A session is stored first and entered in the
//! record after that; a revocation marks the record first and reads the users' sessions after
//! that. So whatever the order, the session is found by the revocation or finds its mark. A process
//! that ends between the two writes has sent its client no token of the session.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::timestamp::Timestamp,
    error::{Error, ErrorKind},
    request::shared::Backend,
    session::{
        external_id::ExternalId,
        record::Record,
        sign_ins::{Arrival, Stamp, revoked, users},
    },
    store::{Expected, SaveOutcome},
    sync::{backoff::Backoff, carried::Carried},
    telemetry::cause::By,
};

/// Attempts to change the record of an id, which others change concurrently.
const TRIES: u32 = 8;
/// Pauses between them.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(160));

impl Backend {
    /// Enters a session that was stored under a new id, if it has an external id. Fails with
    /// `Revoked` if that was revoked: the caller ends the session.
    pub(crate) async fn enter(&self, record: &Record, begins: bool) -> Result<(), Error> {
        let Some(arrival) = arrival(record, begins) else { return Ok(()) };
        // Boxed: rare, and the usual future stays small.
        if Box::pin(self.entered(arrival)).await? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Revoked, "the external id of the session was revoked"))
    }

    /// Keeps the sign-in known for as long as the session may live from now on.
    pub(crate) async fn prolong(&self, before: &Record, record: &Record) -> Result<(), Error> {
        let later = record.deadlines.absolute_deadline > before.deadlines.absolute_deadline;
        match arrival(record, false).filter(|_| later) {
            // If it was revoked, its session ends anyway.
            Some(arrival) => Box::pin(self.entered(arrival)).await.map(drop),
            None => Ok(()),
        }
    }

    async fn entered(&self, arrival: Arrival<'_>) -> Result<bool, Error> {
        let entered = |found: Option<&Record>, stamp| arrival.entered(found, stamp);
        Ok(self.change_sign_ins(arrival.name, entered).await?.is_some())
    }

    /// Ends every session under `name`; completes even if the caller is dropped.
    pub(crate) fn revoke_external_surely(
        self: &Arc<Self>,
        name: ExternalId,
        by: By,
    ) -> Carried<Result<u64, Error>> {
        let backend = Arc::clone(self);
        let work = async move { backend.revoke_external(name, &by).await };
        Carried::new(self.tracker.track_future(work))
    }

    async fn revoke_external(&self, name: ExternalId, by: &By) -> Result<u64, Error> {
        let budget = self.rules.budget.saturating_add(self.acknowledgement);
        let mark = |found: Option<&Record>, stamp| Ok(Some(revoked(name, found, stamp)));
        let (known, marked) = match self.within(budget, self.change_sign_ins(name, mark)).await {
            Ok(known) => (known, Ok(())),
            // A full store rejects the mark, and deletes all the same: what is known ends, and the
            // caller repeats it for what is in progress.
            Err(error) => match self.within(budget, self.store.load(name.key())).await {
                Ok(known) => (known, Err(error)),
                Err(_) => return Err(error),
            },
        };
        let mut count = 0;
        for user in known.as_ref().map(users).unwrap_or_default() {
            for (id, record) in self.within(budget, self.store.sessions_of(&user)).await? {
                let ends = record.external_id() == Some(name);
                if ends && self.within(budget, self.revoke(&user, &id, by)).await? {
                    count += 1;
                }
            }
        }
        marked.map(|()| count)
    }

    /// Changes the record of `name`, at the version that was read, until it is stored. The first
    /// attempt creates it: a store with copies remembers for a moment that it read nothing.
    async fn change_sign_ins(
        &self,
        name: ExternalId,
        change: impl Fn(Option<&Record>, Stamp) -> Result<Option<Record>, Error>,
    ) -> Result<Option<Record>, Error> {
        let (id, mut found) = (name.key(), None::<Record>);
        let mut attempts = BACKOFF.attempts(TRIES);
        while attempts.again().await {
            let stamp = Stamp { now: self.clock.now(), writer: self.write_ids.draw()? };
            let Some(next) = change(found.as_ref(), stamp)? else { return Ok(None) };
            let expected = found.map_or(Expected::Absent, |found| Expected::Version(found.version));
            found = match self.store.save(id, expected, &next).await? {
                SaveOutcome::Saved => return Ok(Some(next)),
                SaveOutcome::Conflict(current) => Some(current),
                // It has ended by its time.
                SaveOutcome::Gone => None,
                // It exists, or it may: to enter it twice is harmless.
                _ => self.store.load(id).await?,
            };
        }
        Err(Error::unavailable("the sign-ins of an external id could not be changed"))
    }
}

fn arrival(record: &Record, begins: bool) -> Option<Arrival<'_>> {
    let (name, user) = (record.external_id()?, record.user()?);
    let end = record.deadlines.absolute_deadline.unwrap_or(Timestamp::from_millis(u64::MAX));
    Some(Arrival { name, user, end, begins })
}
