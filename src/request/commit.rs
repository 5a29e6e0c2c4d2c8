//! From a plan to the store: apply, rebase on conflict, settle what is unknown.

use std::{borrow::Cow, mem, pin::pin};

use bytes::Bytes;
use tracing::{Instrument as _, field::display};

use crate::{
    error::{Causes, Error},
    request::{
        RequestSession,
        commit::confirm::{delete_settled, known, login_settled, renew_settled},
        state::Held,
    },
    session::{
        changes::{Changes, plan::Plan},
        record::Record,
        token::{SessionId, Token},
    },
    store::{Expected, Login, SaveOutcome},
    sync::keyed_lock::Turn,
    telemetry::event::Event,
};

mod adopt;
mod confirm;

pub(crate) use crate::request::commit::confirm::{Settled, save_settled};

/// Fresh ids that a create tries; a store that answers late may need a second one.
const CREATE_TRIES: usize = 3;

/// What became of the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    Done,
    /// The session ended meanwhile: the changes went with it.
    Gone,
}

impl RequestSession {
    /// Brings everything that this request has done to the store, within its budget.
    ///
    /// On an error nothing is forgotten: the changes are there to be committed again.
    pub(crate) async fn commit(&self) -> Result<Applied, Error> {
        // Pinned here: what passes it on moves a pointer, and not the whole of it.
        let commit = pin!(async {
            let _turn = self.touched().turn.lock().await;
            self.commit_in_turn().await
        });
        let id = self.state().held.as_ref().map(|held| display(held.id));
        let span = tracing::debug_span!("session_commit", session.id = id);
        self.within_budget(commit).instrument(span).await.inspect_err(|error| {
            tracing::warn!(error = %Causes(error), "session commit failed");
        })
    }

    /// The same for a caller that has its turn already and looks after the budget.
    pub(crate) async fn commit_in_turn(&self) -> Result<Applied, Error> {
        self.end_what_was_told_to().await?;
        let changes = {
            let mut state = self.state();
            state.endings_at_turn = state.endings;
            mem::take(&mut state.changes)
        };
        if changes.is_empty() {
            return Ok(Applied::Done);
        }
        let mut guard = Restore { session: self, changes: Some(changes) };
        let Some(changes) = &guard.changes else { return Ok(Applied::Done) };
        let applied = self.apply(|_| Ok(Cow::Borrowed(changes)), None, true).await?;
        guard.changes = None;
        Ok(applied)
    }

    /// Applies what `edit` makes of the value under `name`, and nothing else that is buffered.
    pub(crate) async fn commit_edit(
        &self,
        name: &str,
        turn: Option<Turn<'_, SessionId>>,
        fresh: bool,
        mut edit: impl FnMut(Option<&[u8]>) -> Result<Bytes, Error>,
    ) -> Result<Applied, Error> {
        let own = {
            let mut state = self.state();
            state.endings_at_turn = state.endings;
            state.changes.take_name(name)
        };
        let mut guard = Restore { session: self, changes: Some(own) };
        let Some(own) = &guard.changes else { return Ok(Applied::Done) };
        let changes = |base: Option<&Record>| {
            let json = edit(own.get(base, name).as_deref())?;
            let mut changes = own.clone();
            changes.insert(name, json);
            Ok(Cow::Owned(changes))
        };
        let applied = self.apply(changes, turn, fresh).await?;
        guard.changes = None;
        Ok(applied)
    }

    /// Deletes the sessions that `destroy` was told to end: also the one that a renewal under way
    /// at that time has moved to, and what an earlier attempt could not delete.
    async fn end_what_was_told_to(&self) -> Result<(), Error> {
        let ids = {
            let mut state = self.state();
            if state.ending.is_empty() {
                return Ok(());
            }
            let held = state.held.take().map(|held| held.id);
            state.ending.extend(held);
            state.ending.clone()
        };
        for id in ids {
            if !self.state().ending.contains(&id) {
                continue;
            }
            self.backend.store.delete(&id).await?;
            self.backend.events.emit(Event::Destroyed(id));
            self.state().ending.retain(|other| *other != id);
        }
        self.let_go();
        Ok(())
    }

    /// Applies `changes` to the record that the store has, whatever it has become meanwhile.
    /// `turn` is the one among this process' writers, if the caller has one already; `fresh` is
    /// whether the record was loaded for this very call, or need not be.
    async fn apply<'a>(
        &self,
        mut changes: impl FnMut(Option<&Record>) -> Result<Cow<'a, Changes>, Error>,
        mut turn: Option<Turn<'_, SessionId>>,
        mut fresh: bool,
    ) -> Result<Applied, Error> {
        let (backend, mark) = (&*self.backend, self.backend.marks.draw()?);
        while !self.state().told_to_end() {
            let held = self.state().held.clone();
            let now = backend.clock.now();
            let base = held.as_ref().map(|held| &*held.record);
            let changes = changes(base)?;
            let over = base.is_some_and(|base| base.deadlines.is_over(now));
            let plan = if over { Plan::Nothing } else { self.plan(&changes, base, now, mark)? };
            let idle = matches!(plan, Plan::Nothing | Plan::Touch(_));
            let settled = match &held {
                // Over as this request knows it, though another may have kept it alive; or nothing
                // to do by an old copy, which is no answer of the store's.
                Some(old) if over || (idle && !mem::replace(&mut fresh, true)) => {
                    self.look_again(old.id).await?
                }
                held => self.carry_out(plan, held.as_ref(), changes.epoch()).await?,
            };
            match (settled, held) {
                (Settled::Saved, _) => return Ok(Applied::Done),
                (Settled::Taken, _) => return Err(Error::unavailable("no new id is accepted")),
                (Settled::Gone, Some(held)) if !self.forget(&held.id, &changes) => break,
                (Settled::Conflict(current), Some(held)) => {
                    let id = held.id;
                    self.hold_instead(held, current)?;
                    if turn.is_none() {
                        turn = Some(backend.write_locks.acquire(id).await);
                    }
                }
                (Settled::Gone | Settled::Conflict(_), _) => {}
            }
        }
        Ok(Applied::Gone)
    }

    /// `epoch` is the user's, as it was before the credentials were checked.
    async fn carry_out(
        &self,
        plan: Plan,
        held: Option<&Held>,
        epoch: Option<u64>,
    ) -> Result<Settled, Error> {
        match (plan, held) {
            (Plan::Create(record), _) => self.create(record, epoch).await,
            (Plan::Update(record), Some(held)) => self.write(held, record).await,
            (Plan::Renew(record), Some(held)) => self.renew_as(held, record, epoch).await,
            (Plan::Destroy, Some(held)) => self.end_emptied(held).await,
            (Plan::Touch(activity), Some(held)) => {
                self.touch_later(held, activity);
                Ok(Settled::Saved)
            }
            _ => Ok(Settled::Saved),
        }
    }

    async fn create(&self, record: Record, epoch: Option<u64>) -> Result<Settled, Error> {
        self.refuse_while_streaming()?;
        let (store, limit) = (&self.backend.store, self.backend.rules.sessions_per_user);
        let mut cause = None;
        for _ in 0..CREATE_TRIES {
            let token = Token::generate()?;
            let id = token.id();
            let stored = self.backend.closed(&token, &id, &record)?;
            let login = Login { epoch, limit, ..Login::new(&id, &stored) };
            let created = match record.user() {
                Some(_) => login_settled(&self.backend, login).await?,
                None => match store.save(&id, Expected::Absent, &stored).await? {
                    // It may have landed or land yet. Nobody knows that id, and it dies by itself.
                    SaveOutcome::Unknown(error) => {
                        cause = Some(error);
                        continue;
                    }
                    outcome => known(outcome)?,
                },
            };
            if matches!(created, Settled::Saved) {
                self.backend.events.emit(Event::Created(id));
                drop(stored);
                let _ = self.hand_out(token, id, record);
                return Ok(Settled::Saved);
            }
            tracing::warn!("a fresh session id was refused");
        }
        cause.map_or(Ok(Settled::Taken), Err)
    }

    async fn write(&self, held: &Held, record: Record) -> Result<Settled, Error> {
        let stored = self.backend.closed(&held.token, &held.id, &record)?;
        let settled = save_settled(&self.backend, &held.id, &stored).await?;
        if matches!(settled, Settled::Saved) {
            drop(stored);
            let (before, now) = (held.record.deadlines, record.deadlines);
            self.hold(held.id, held.token.clone(), record);
            self.hand_out_again_if_it_lasts(&held.token, before, now);
        }
        Ok(settled)
    }

    async fn renew_as(
        &self,
        held: &Held,
        record: Record,
        epoch: Option<u64>,
    ) -> Result<Settled, Error> {
        self.refuse_while_streaming()?;
        let (old, expected) = (held.id, held.record.version);
        let limit = self.backend.rules.sessions_per_user;
        for _ in 0..CREATE_TRIES {
            let token = Token::generate()?;
            let new = token.id();
            let stored = self.backend.closed(&token, &new, &record)?;
            let login = Login { epoch, limit, ..Login::new(&new, &stored) };
            match renew_settled(&self.backend, (&old, expected), login).await? {
                Settled::Taken => tracing::warn!("a fresh session id was refused"),
                Settled::Saved => {
                    // From here on the answer carries the new id, whatever comes: the old one may
                    // be dead at any time.
                    drop(stored);
                    let before = self.hand_out(token, new, record);
                    let finished = self.backend.store.finish_renew(&old, expected, &new).await?;
                    if let SaveOutcome::Conflict(_) | SaveOutcome::Gone = finished {
                        // Written under the old id between the two steps, which is not to be lost;
                        // or ended there, and the new one with it.
                        self.take_back(held, before);
                        return known(finished);
                    }
                    self.backend.events.emit(Event::Renewed { old, new });
                    return Ok(Settled::Saved);
                }
                settled => return Ok(settled),
            }
        }
        Ok(Settled::Taken)
    }

    /// Ends a session that has nothing left, unless somebody put something in meanwhile.
    async fn end_emptied(&self, held: &Held) -> Result<Settled, Error> {
        let version = held.record.version;
        let settled = match delete_settled(&self.backend, &held.id, version).await? {
            // Whoever ended it, it is over, as these changes want it.
            Settled::Gone => Settled::Saved,
            settled => settled,
        };
        if matches!(settled, Settled::Saved) {
            self.backend.events.emit(Event::Destroyed(held.id));
            self.let_go();
        }
        Ok(settled)
    }
}

/// Puts changes back that an error, or the end of a dropped commit, left without a home.
struct Restore<'a> {
    session: &'a RequestSession,
    changes: Option<Changes>,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        if let Some(changes) = self.changes.take() {
            let mut state = self.session.state();
            if !state.told_to_end() {
                state.changes.restore_below(changes);
            }
        }
    }
}
