//! Attempts to apply changes, until one succeeds or the session is over.

use std::{borrow::Cow, mem};

use crate::{
    error::Error,
    request::{
        RequestSession,
        commit::{Applied, confirm::Settled, join::Join},
        state::Held,
    },
    session::{
        changes::{Changes, plan::Plan},
        record::Record,
        token::SessionId,
        write_id::WriteId,
    },
    sync::keyed_lock::KeyedGuard,
};

impl RequestSession {
    /// Applies `changes` to the record in the store, at its current version. `fresh` is whether the
    /// record was loaded for this call, or need not be.
    pub(super) async fn apply<'a>(
        &self,
        mut changes: impl FnMut(Option<&Record>) -> Result<Cow<'a, Changes>, Error>,
        mut fresh: bool,
    ) -> Result<Applied, Error> {
        let mark = self.backend.write_ids.draw()?;
        let (mut asked, mut goes_on, mut turn) = (false, true, None);
        while goes_on && !self.state().told_to_end() {
            let (held, moved) = self.held_or_moved();
            let live = held.as_ref().filter(|_| !moved);
            match self.join_or_wait(live, &mut changes, mark, turn.is_some()).await? {
                Join::Saved => return Ok(Applied::Done),
                Join::Again => continue,
                Join::Alone => {}
            }
            let changes = changes(held.as_ref().map(|held| &*held.record))?;
            if moved && !changes.signs_in() {
                return Ok(self.drop_after_move(held.as_ref()));
            }
            // A second sign-in: the session that it takes values from may have ended since.
            if let Some(before) = held.as_ref().filter(|held| held.heir.is_some() && !asked) {
                asked = true;
                Box::pin(self.find_again(before)).await?;
                continue;
            }
            match (self.apply_to(held.as_ref(), &changes, mark, &mut fresh).await?, held) {
                (Settled::Saved, _) => return Ok(Applied::Done),
                // Boxed: rare, and the usual future stays small.
                (Settled::Gone, Some(held)) => {
                    goes_on = Box::pin(self.overtaken(held, &changes)).await?;
                }
                (Settled::Conflict(current), Some(held)) => {
                    self.take_turn(held.id, &mut turn).await;
                    self.hold_instead(held, current)?;
                }
                (Settled::Gone | Settled::Conflict(_) | Settled::Taken, _) => {}
            }
        }
        Ok(if self.state().has_moved() { Applied::Moved } else { Applied::Gone })
    }

    /// Waits for a writer that has a turn, then joins the write in progress, if there is one.
    async fn join_or_wait<'a>(
        &self,
        held: Option<&Held>,
        changes: &mut impl FnMut(Option<&Record>) -> Result<Cow<'a, Changes>, Error>,
        mark: WriteId,
        has_turn: bool,
    ) -> Result<Join, Error> {
        let Some(held) = held else { return Ok(Join::Alone) };
        let locks = &self.backend.write_locks;
        // First, so that the queue of the session ends for the one that has its turn.
        if !has_turn && locks.is_held(&held.id) {
            drop(locks.acquire(held.id).await);
        }
        self.join((&held.id, &held.token), changes, mark).await
    }

    /// After a conflict: a writer that cannot join another's write would meet them without end.
    async fn take_turn<'a>(&'a self, id: SessionId, turn: &mut Option<KeyedGuard<'a, SessionId>>) {
        if turn.is_none() {
            *turn = Some(self.backend.write_locks.acquire(id).await);
        }
    }

    /// The record, and whether the session has moved away from it.
    fn held_or_moved(&self) -> (Option<Held>, bool) {
        let state = self.state();
        (state.held.clone(), state.has_moved())
    }

    /// One attempt, on the record as this request knows it.
    async fn apply_to(
        &self,
        held: Option<&Held>,
        changes: &Changes,
        mark: WriteId,
        fresh: &mut bool,
    ) -> Result<Settled, Error> {
        let (now, base) = (self.backend.clock.now(), held.map(|held| &*held.record));
        let over = base.is_some_and(|base| base.deadlines.is_over(now));
        let plan = if over { Plan::Nothing } else { self.plan(changes, base, now, mark)? };
        let idle = matches!(plan, Plan::Nothing | Plan::Touch(_));
        match held {
            // Expired as far as this request knows, though another may have kept it alive; or a
            // no-op by an old copy, which proves nothing about the store.
            Some(old) if over || (idle && !mem::replace(fresh, true)) => {
                self.look_again(old.id).await
            }
            held => match self.carry_out(plan, held, changes.epoch()).await? {
                Settled::Taken => Err(Error::unavailable("no new id is accepted")),
                settled => Ok(settled),
            },
        }
    }
}
