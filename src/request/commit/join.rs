//! Joining the write of a session that is in progress in this process.

use std::{borrow::Cow, sync::Arc, time::Duration};

use tokio::runtime::Handle;

use crate::{
    error::Error,
    request::{
        RequestSession,
        commit::confirm::{Settled, save_settled},
        shared::Backend,
        state::Stage,
        write_queue::{Batch, Joined, Joining, WriteInProgress},
    },
    session::{
        changes::{Changes, plan::Plan},
        record::Record,
        token::{SessionId, Token},
        write_id::WriteId,
    },
    telemetry::event::Event,
};

/// Maximum wait for the write of another request, which may not be polled: as long as a command may
/// take.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// Whether changes were stored together with others.
pub(super) enum Join {
    Saved,
    /// They were not, or a write of their own is needed.
    Alone,
    /// The same after a conflict: what this request holds has been replaced.
    Again,
}

impl RequestSession {
    /// Stores `changes` by the write after the one that is in progress, if there is one.
    pub(super) async fn join<'a>(
        &self,
        (id, token): (&SessionId, &Token),
        changes: &mut impl FnMut(Option<&Record>) -> Result<Cow<'a, Changes>, Error>,
        mark: WriteId,
    ) -> Result<Join, Error> {
        loop {
            let Some((base, joining)) = self.join_next(id, changes, mark) else {
                return Ok(Join::Alone);
            };
            // Cancellation safety: a caller that is dropped here leaves its change in the write.
            match self.joined(id, joining).await {
                Joined::Saved(record) => {
                    let (before, now) = (base.deadlines, record.deadlines);
                    self.hold(*id, token.clone(), record);
                    self.hand_out_again_if_it_lasts(token, before, now);
                    return Ok(Join::Saved);
                }
                Joined::NotSaved(Some(current)) => {
                    self.backend.events.emit(Event::Conflict { id: *id });
                    self.hold(*id, token.clone(), current);
                    return Ok(Join::Again);
                }
                // The first of those that joined writes alone, and the others join it.
                Joined::NotSaved(None) => {}
                Joined::Failed(error) => return Err(error),
            }
        }
    }

    async fn joined(&self, id: &SessionId, mut joining: Joining) -> Joined {
        let limit = self.backend.longest_wait();
        let joined = match tokio::time::timeout(limit, &mut joining.joined).await {
            Ok(joined) => joined,
            Err(_) => {
                self.backend.writes.abandon(id, &joining);
                joining.joined.await
            }
        };
        let abandoned = || Error::unavailable("the write that this change joined was abandoned");
        joined.unwrap_or_else(|_| Joined::Failed(abandoned()))
    }

    /// Applies `changes` to the record that is being written. `None` if none is, or if they need a
    /// write of their own; also if they cannot be applied, since that record may never be stored.
    fn join_next<'a>(
        &self,
        id: &SessionId,
        changes: &mut impl FnMut(Option<&Record>) -> Result<Cow<'a, Changes>, Error>,
        mark: WriteId,
    ) -> Option<(Arc<Record>, Joining)> {
        loop {
            let base = self.backend.writes.latest(id)?;
            let now = self.backend.clock.now();
            if base.deadlines.is_over(now) {
                return None;
            }
            let changes = changes(Some(&base)).ok()?;
            let plan = match changes.is_wholesale() {
                true => return None,
                false => self.plan(&changes, Some(&base), now, mark).ok()?,
            };
            let record = match plan {
                Plan::Update(record) => record,
                // Said already by what is not stored yet.
                Plan::Nothing => Record { writer: mark, ..Record::clone(&base) },
                _ => return None,
            };
            if let Some(joining) = self.backend.writes.join(id, &base, record) {
                return Some((base, joining));
            }
        }
    }

    /// The same for a request that has not loaded its session: the record that is being written is
    /// what a load would find. Returns whether the changes are stored; if not, it is loaded.
    pub(super) async fn join_unloaded<'a>(
        &self,
        mut changes: impl FnMut(Option<&Record>) -> Result<Cow<'a, Changes>, Error>,
    ) -> Result<bool, Error> {
        let rules = &self.backend.rules;
        let is_plain = rules.take_over.is_none() && rules.transport.successor().is_none();
        let is_loaded = self.accessed().loaded.initialized();
        if !is_plain || is_loaded || self.state().stage == Stage::Closed {
            return Ok(false);
        }
        let [(id, token)] = self.presented() else { return Ok(false) };
        if self.backend.writes.latest(id).is_none() || self.backend.write_locks.is_held(id) {
            return Ok(false);
        }
        let mark = self.backend.write_ids.draw()?;
        let mut is_saved = false;
        // A write that fails is no load that fails: the session can still be read.
        let loaded = self.accessed().loaded.get_or_try_init(|| async {
            let joined = self.join((id, token), &mut changes, mark).await?;
            is_saved = matches!(joined, Join::Saved);
            // What is in the store instead is known.
            let is_known = is_saved || matches!(joined, Join::Again) && self.holds_a_live_one();
            if !is_known {
                return Ok(self.load_now().await);
            }
            self.backend.cookie_echo.came_back();
            Ok(Ok(()))
        });
        loaded.await?.clone()?;
        Ok(is_saved)
    }

    fn holds_a_live_one(&self) -> bool {
        let (state, now) = (self.state(), self.backend.clock.now());
        state.held.as_ref().is_some_and(|held| !held.record.deadlines.is_over(now))
    }
}

impl Backend {
    /// Maximum wait for the write of another request. It leaves time for a write of one's own.
    pub(super) fn longest_wait(&self) -> Duration {
        LONGEST_WAIT.min(self.rules.budget / 2)
    }

    /// The write of a session is stored, as `record`: what joined it is written next.
    pub(super) fn write_joined(
        self: &Arc<Self>,
        write: WriteInProgress,
        token: &Token,
        record: &Arc<Record>,
    ) {
        let Some((write, batch)) = write.saved(self.batch_limit()) else { return };
        let Ok(runtime) = Handle::try_current() else {
            return batch.notify(&Joined::NotSaved(None));
        };
        let (backend, token, before) = (Arc::clone(self), token.clone(), Arc::clone(record));
        let work = async move { backend.write_batches(write, batch, before, &token).await };
        drop(runtime.spawn(self.tracker.track_future(work)));
    }

    /// The write of a session met a conflict with `current`: nothing that joined it is stored.
    pub(super) fn join_nothing(&self, write: WriteInProgress, token: &Token, current: &Record) {
        let current = self.open(token, write.id(), current.clone());
        write.not_saved(current.ok().map(Arc::new));
    }

    /// In a task of its own, so that no caller who leaves takes the changes of others along.
    async fn write_batches(
        &self,
        mut write: WriteInProgress,
        mut batch: Batch,
        mut before: Arc<Record>,
        token: &Token,
    ) {
        loop {
            let saved =
                self.within(self.batch_limit(), self.write_batch(&write, &batch, &before, token));
            match saved.await {
                Ok(Settled::Saved) => {
                    before = Arc::clone(&batch.record);
                    let next = write.saved(self.batch_limit());
                    batch.notify(&Joined::Saved(Arc::clone(&before)));
                    let Some(next) = next else { return };
                    (write, batch) = next;
                }
                Ok(Settled::Conflict(current)) => {
                    let current = self.open(token, write.id(), current).ok().map(Arc::new);
                    batch.notify(&Joined::NotSaved(current.clone()));
                    return write.not_saved(current);
                }
                Ok(Settled::Gone | Settled::Taken) => {
                    return batch.notify(&Joined::NotSaved(None));
                }
                // What joined since is not part of it: `write` ends without it.
                Err(error) => return batch.notify(&Joined::Failed(error)),
            }
        }
    }

    fn batch_limit(&self) -> Duration {
        self.rules.budget.saturating_add(self.acknowledgement)
    }

    async fn write_batch(
        &self,
        write: &WriteInProgress,
        batch: &Batch,
        before: &Record,
        token: &Token,
    ) -> Result<Settled, Error> {
        self.prolong(before, &batch.record).await?;
        let stored = self.closed(token, write.id(), &batch.record)?;
        save_settled(self, write.id(), &stored).await
    }
}
