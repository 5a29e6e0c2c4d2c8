//! The record that a request holds: planning on it, reloading it, dropping it.

use std::{mem, sync::Arc};

use crate::{
    clock::timestamp::Timestamp,
    error::Error,
    request::{
        RequestSession,
        commit::{Applied, confirm::Settled},
        found::Found,
        state::{CookieChange, Held, Presence, Stage},
    },
    session::{
        changes::{
            Changes,
            plan::{Plan, Writer},
        },
        expiry::Deadlines,
        record::Record,
        token::{SessionId, Token},
        write_id::WriteId,
    },
    telemetry::event::Event,
};

impl RequestSession {
    /// The plan of `changes` for a live record, or for none.
    pub(super) fn plan(
        &self,
        changes: &Changes,
        base: Option<&Record>,
        now: Timestamp,
        mark: WriteId,
    ) -> Result<Plan, Error> {
        // The device is stored only with a new id.
        let new = base.is_none() || changes.moves();
        let writer = Writer { mark, device: if new { self.device() } else { None } };
        changes.plan(base, now, &self.backend.rules.policy, &writer)
    }

    /// Reloads the record from the store, to apply the changes to it.
    pub(super) async fn look_again(&self, id: SessionId) -> Result<Settled, Error> {
        let found = self.backend.store.load(&id).await?;
        let now = self.backend.clock.now();
        let alive = |record: &Record| record.moved.is_none() && !record.deadlines.is_over(now);
        let alive = found.filter(alive);
        Ok(alive.map_or(Settled::Gone, Settled::Conflict))
    }

    /// A new id needs a cookie, and the head is sent. (A commit that outlives its dropped response
    /// runs to its end, as the response is not read anyway.)
    pub(super) fn refuse_while_streaming(&self) -> Result<(), Error> {
        let streaming = self.state().stage == Stage::Streaming;
        if streaming { Err(Error::closed()) } else { Ok(()) }
    }

    /// Drops a session that ended or moved concurrently. Returns whether `changes` may continue
    /// without it: only a login may, with the record from before the move. The cookie stays: the
    /// client may have a newer one, and the request that ended the session has removed it.
    pub(super) async fn overtaken(&self, held: Held, changes: &Changes) -> Result<bool, Error> {
        self.tell_of_loss(&held);
        let goes_on = changes.signs_in();
        let loaded = self.backend.store.load(&held.id).await;
        let moved = match Found::of(&self.backend, (held.id, held.token), loaded).await {
            Ok(found) => Some(found).filter(Found::has_moved),
            Err(error) if goes_on => return Err(error),
            Err(_) => None,
        };
        if self.state().told_to_end() {
            return Ok(false);
        }
        self.let_go(CookieChange::Keep);
        if let Some(moved) = moved {
            self.settle([moved])?;
        }
        if !goes_on {
            self.state().lose();
        }
        Ok(goes_on)
    }

    fn tell_of_loss(&self, held: &Held) {
        let user = held.record.user().map(str::to_owned);
        self.backend.events.emit(Event::EndedDuringRequest { id: held.id, user });
    }

    /// Reads the record from before a move again.
    pub(super) async fn find_again(&self, before: &Held) -> Result<(), Error> {
        let loaded = self.backend.store.load(&before.id).await;
        let found = Found::of(&self.backend, (before.id, before.token.clone()), loaded).await?;
        self.settle([found])
    }

    /// The session has moved: drops the changes of this request.
    pub(super) fn drop_after_move(&self, held: Option<&Held>) -> Applied {
        if let Some(held) = held {
            self.tell_of_loss(held);
        }
        self.state().lose();
        Applied::Moved
    }

    /// `cookie` is the change of the client's cookie.
    pub(super) fn let_go(&self, cookie: CookieChange) {
        let mut state = self.state();
        state.held = None;
        state.presence = Presence::Absent;
        state.cookie = cookie;
    }

    pub(super) fn hold(&self, id: SessionId, token: Token, record: impl Into<Arc<Record>>) {
        let record = record.into();
        let mut state = self.state();
        if state.told_to_end() {
            // Ended by the handler in the meantime: it ends too, and the caller of `destroy` waits
            // for that.
            state.ended.push(id);
            state.end(id, Some(record));
            return;
        }
        state.held = Some(Held { id, token, record, heir: None });
        state.presence = Presence::Alive;
    }

    /// Holds a concurrently written record instead, to build on.
    pub(super) fn hold_instead(&self, held: Held, current: Record) -> Result<(), Error> {
        self.backend.events.emit(Event::Conflict { id: held.id });
        let current = self.backend.open(&held.token, &held.id, current)?;
        self.hold(held.id, held.token, current);
        Ok(())
    }

    /// A cookie whose `Max-Age` depends on the changes; the token stays.
    pub(super) fn hand_out_again_if_it_lasts(
        &self,
        token: &Token,
        before: Deadlines,
        now: Deadlines,
    ) {
        let transport = &self.backend.rules.transport;
        let age = |deadlines: Deadlines| {
            transport.lasts(deadlines.remembered).then_some(deadlines.absolute_deadline)
        };
        let mut state = self.state();
        if age(before) != age(now) && state.stage == Stage::Open && state.held.is_some() {
            state.cookie = CookieChange::Set(token.clone());
        }
    }

    /// The new id is not sent to the client after all; the cookie change is reset to `before`.
    pub(super) fn take_back(&self, held: &Held, before: CookieChange) {
        let mut state = self.state();
        state.cookie = before;
        if state.held.is_some() {
            state.held = Some(held.clone());
        }
    }

    /// Holds the new record and sends its token with the response; returns the previous cookie
    /// change.
    pub(super) fn hand_out(&self, token: Token, id: SessionId, record: Record) -> CookieChange {
        if let (Some(_), Some(user)) = (self.backend.rules.sessions_per_user, record.user()) {
            // The oldest of too many ended in the same step.
            self.backend.watches.hint(user);
        }
        self.hold(id, token.clone(), record);
        mem::replace(&mut self.state().cookie, CookieChange::Set(token))
    }
}
