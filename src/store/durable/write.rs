//! Write path: commit to the database, then update Redis.
//!
//! Specified in `docs/protocol.md`, section 3.3.

use std::sync::{Arc, atomic::Ordering};

use crate::{
    clock::moment::Moment,
    error::Error,
    session::{record::Record, token::SessionId},
    store::{
        SaveOutcome,
        database::{Committed, Ended, Epoch, Terms, Write, WriteFault, Written},
        durable::{engine::Engine, journal::Order, load::is_away},
        outcome::dated_well,
    },
};

/// The database's outcome of a write, and when it committed it.
pub(super) struct Done {
    pub(super) written: Written,
    pub(super) epoch: Option<Epoch>,
    pub(super) at: Moment,
}

impl Engine {
    /// A fresh id: nothing can be cached about it, so Redis needs no update.
    pub(super) async fn create(
        &self,
        id: &SessionId,
        record: &Record,
    ) -> Result<SaveOutcome, Error> {
        let terms = Terms::default();
        let write = Write::Create { id: *id, record: record.clone(), terms };
        match self.commit(write).await {
            Ok(Done { written: Written::Done { .. }, .. }) => Ok(SaveOutcome::Saved),
            Ok(_) => Ok(SaveOutcome::IdInUse),
            Err(fault) => fault.into_outcome(),
        }
    }

    pub(super) async fn save(
        &self,
        id: &SessionId,
        expected: u64,
        record: Record,
    ) -> Result<SaveOutcome, Error> {
        let doubt = Doubt::about(self, *id);
        let done =
            match self.commit(Write::Save { id: *id, expected, record: record.clone() }).await {
                Ok(done) => done,
                Err(fault) => return doubt.unless_refused(fault).into_outcome(),
            };
        match done.written {
            Written::Done { version, .. } => {
                let order = Order::Put(Box::new(record));
                self.told(doubt, &order, version, &done).await;
                Ok(SaveOutcome::Saved)
            }
            // An earlier attempt of ours, whose reply was lost: Redis does not know it either.
            Written::Conflict(ref current) if current.writer == record.writer => {
                let order = Order::Put(Box::new(current.clone()));
                self.told(doubt, &order, current.version(), &done).await;
                Ok(SaveOutcome::Conflict(current.clone()))
            }
            Written::Conflict(current) => {
                doubt.dispel();
                Ok(SaveOutcome::Conflict(current))
            }
            Written::Gone | Written::Taken | Written::Revoked => {
                // The instance that ended it may not have updated Redis.
                let pushed = self.kill_copy(id, &done).await;
                doubt.dispel_if(pushed);
                Ok(SaveOutcome::Gone)
            }
        }
    }

    /// Ends a session by `write`. Redis is updated whatever the outcome: a row that had ended
    /// already does not prove that its deletion was pushed.
    pub(super) async fn end(&self, id: &SessionId, write: Write) -> Result<SaveOutcome, Error> {
        let doubt = Doubt::about(self, *id);
        let done = match self.commit(write).await {
            Ok(done) => done,
            Err(WriteFault::Unknown(error)) => {
                // If it happened, other instances must not read a copy while the database is
                // unreachable; if not, reading the row does no harm.
                let _ = self.push(id, &Order::Kill, None).await;
                return Ok(SaveOutcome::Unknown(error));
            }
            Err(fault) => return doubt.unless_refused(fault).into_outcome(),
        };
        match done.written {
            Written::Conflict(current) => {
                doubt.dispel();
                return Ok(SaveOutcome::Conflict(current));
            }
            Written::Done { version, .. } => {
                let ended = done.written.has_ended();
                self.told(doubt, &Order::Kill, version, &done).await;
                if !ended {
                    return Ok(SaveOutcome::Gone);
                }
            }
            Written::Gone | Written::Taken | Written::Revoked => {
                let pushed = self.kill_copy(id, &done).await;
                doubt.dispel_if(pushed);
                self.acknowledge(done.at, pushed).await;
                return Ok(SaveOutcome::Gone);
            }
        }
        Ok(SaveOutcome::Saved)
    }

    /// Updates Redis, clears the journal if Redis accepted it, and waits if strict.
    pub(super) async fn told(&self, doubt: Doubt<'_>, order: &Order, version: u64, done: &Done) {
        let pushed = self.tell_of(doubt, order, version, done).await;
        self.acknowledge(done.at, pushed).await;
    }

    /// The same without the wait; returns whether Redis accepted all of it.
    pub(super) async fn tell_of(
        &self,
        doubt: Doubt<'_>,
        order: &Order,
        version: u64,
        done: &Done,
    ) -> bool {
        let id = doubt.id;
        let mut pushed = self.push(&id, order, done.epoch.as_ref()).await;
        // Without the epoch it is unknown whether that was the right place.
        pushed &= done.epoch.is_some();
        if pushed {
            doubt.dispel();
            self.database().clear_later(id, version);
        } else {
            // Others learn sooner than by their next poll, where the database can notify them.
            drop(doubt);
            self.announce_soon();
        }
        self.push_ends(done).await && pushed
    }

    /// Pushes the other sessions that a write ended; returns whether Redis accepted all.
    pub(super) async fn push_ends(&self, done: &Done) -> bool {
        let Written::Done { ended, .. } = &done.written else { return true };
        if ended.is_empty() {
            return true;
        }
        let ids: Vec<_> = ended.iter().map(|ended| ended.id).collect();
        let pushed = self.push_each(&ids, &Order::Kill, done.epoch.as_ref()).await;
        let pushed = pushed && done.epoch.is_some();
        if pushed {
            for Ended { id, version } in ended {
                if let Some(version) = version {
                    self.database().clear_later(*id, *version);
                }
            }
        } else {
            let (mut trust, now) = (self.authority.trust(), self.now());
            ids.iter().for_each(|id| trust.set_aside(*id, now));
            drop(trust);
            self.announce_soon();
        }
        pushed
    }

    /// Pushes the end of a session that was over already; returns whether that was the right place.
    pub(super) async fn kill_copy(&self, id: &SessionId, done: &Done) -> bool {
        let pushed = self.push(id, &Order::Kill, done.epoch.as_ref()).await;
        pushed && done.epoch.is_some()
    }

    /// Notifies the other instances of changes: rate-limited, for any number of changes that Redis
    /// missed.
    fn announce_soon(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.announcing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (database, announcing) = (self.database().clone(), Arc::clone(&self.announcing));
        let pause = self.parameters.poll_interval / 20;
        drop(runtime.spawn(async move {
            tokio::time::sleep(pause).await;
            // Later changes are announced again.
            announcing.store(false, Ordering::Release);
            database.announce().await;
        }));
    }

    /// Compares the clocks of both stores, before the first session is created.
    async fn look_at_clocks(&self) {
        if self.compared.is_unknown() && !self.looked.swap(true, Ordering::AcqRel) {
            let looks = async { tokio::join!(self.within_redis(self.cache.link()), self.poll(1)) };
            drop(Box::pin(looks).await);
        }
    }

    pub(super) async fn commit(&self, write: Write) -> Result<Done, WriteFault> {
        if let Write::Create { record, .. } = &write
            && self.clock().is_real()
        {
            self.look_at_clocks().await;
            dated_well(record, &self.compared).map_err(WriteFault::Refused)?;
        }
        // While the database is unreachable only Redis may record activity.
        self.database().purge_when_due(self.parameters.stretch);
        let fresh = write.creates().map(|id| (id, self.fresh_ids.begin(id, self.now())));
        let asked = self.now();
        let committed = self.database().write(write).await;
        if let Some((id, first)) = fresh {
            let known = match &committed {
                Ok(Committed { written: Written::Done { .. } | Written::Taken, .. }) => true,
                // Unless an earlier attempt is still in progress.
                Ok(_) | Err(WriteFault::Refused(_)) => first,
                Err(WriteFault::Unknown(_)) => false,
            };
            if known {
                self.fresh_ids.end(&id);
            }
        }
        match &committed {
            Ok(_) => self.database_said(asked, None),
            Err(WriteFault::Refused(error) | WriteFault::Unknown(error)) => {
                self.database_said(asked, Some(error).filter(|error| is_away(error)));
            }
        }
        let Committed { written, epoch } = committed?;
        let at = self.now();
        if let Some(epoch) = &epoch {
            self.authority.trust().adopt(epoch, at);
        }
        if let (Some((id, _)), Written::Done { .. }) = (fresh, &written) {
            Box::pin(self.there_is_something(&id, epoch.as_ref())).await;
        }
        self.pass("after-commit").await;
        Ok(Done { written, epoch, at })
    }
}

/// While it exists, a change of a session may be in progress that Redis does not know. If it is
/// dropped, by a cancelled caller or with an unknown outcome, this instance distrusts Redis for
/// that session until the next poll of the journal.
pub(super) struct Doubt<'a> {
    engine: &'a Engine,
    id: SessionId,
    doubted: bool,
}

impl<'a> Doubt<'a> {
    pub(super) fn about(engine: &'a Engine, id: SessionId) -> Self {
        Self { engine, id, doubted: true }
    }

    pub(super) fn dispel(mut self) {
        self.doubted = false;
    }

    pub(super) fn dispel_if(self, pushed: bool) {
        if pushed {
            self.dispel();
        }
    }

    /// A rejected write changed nothing.
    pub(super) fn unless_refused(self, fault: WriteFault) -> WriteFault {
        if matches!(fault, WriteFault::Refused(_)) {
            self.dispel();
        }
        fault
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if self.doubted {
            self.engine.authority.trust().set_aside(self.id, self.engine.now());
        }
    }
}

impl WriteFault {
    pub(super) fn into_outcome(self) -> Result<SaveOutcome, Error> {
        match self {
            Self::Refused(error) => Err(error),
            Self::Unknown(error) => Ok(SaveOutcome::Unknown(error)),
        }
    }
}

impl SaveOutcome {
    /// For a write without another kind of failure: whether it is known to have happened.
    pub(super) fn confirmed(self) -> Result<(), Error> {
        match self {
            Self::Unknown(cause) => Err(cause),
            _ => Ok(()),
        }
    }
}
