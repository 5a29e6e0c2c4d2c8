//! What a request has of a session in its hands, and how it lets go.

use std::{mem, sync::Arc};

use crate::{
    clock::timestamp::Timestamp,
    error::Error,
    request::{
        RequestSession,
        commit::confirm::Settled,
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
    /// What `changes` do to a record that is not over, or to none.
    pub(super) fn plan(
        &self,
        changes: &Changes,
        base: Option<&Record>,
        now: Timestamp,
        mark: WriteId,
    ) -> Result<Plan, Error> {
        // Where a request comes from goes with a new id: nobody else asks.
        let new = base.is_none() || changes.moves();
        let writer = Writer { mark, device: if new { self.device() } else { None } };
        changes.plan(base, now, &self.backend.rules.policy, &writer)
    }

    /// Asks the store for the record anew, to apply the changes to that.
    pub(super) async fn look_again(&self, id: SessionId) -> Result<Settled, Error> {
        let found = self.backend.store.load(&id).await?;
        let alive = found.filter(|record| !record.deadlines.is_over(self.backend.clock.now()));
        Ok(alive.map_or(Settled::Gone, Settled::Conflict))
    }

    /// A new id needs a cookie, and the head is gone. (After a drop in mid-commit nobody reads the
    /// answer anyway, and the commit runs to its end.)
    pub(super) fn refuse_while_streaming(&self) -> Result<(), Error> {
        let streaming = self.state().stage == Stage::Streaming;
        if streaming { Err(Error::closed()) } else { Ok(()) }
    }

    /// Lets go of a session that ended meanwhile. Answers whether `changes` may go on without it:
    /// only a login may, since it asks nothing of what was there.
    pub(super) fn forget(&self, id: &SessionId, changes: &Changes) -> bool {
        self.backend.events.emit(Event::Overtaken(*id));
        self.let_go();
        let goes_on = changes.signs_in();
        if !goes_on {
            self.state().lose();
        }
        goes_on
    }

    pub(super) fn let_go(&self) {
        let mut state = self.state();
        state.held = None;
        state.presence = Presence::Absent;
        state.cookie = CookieChange::Remove;
    }

    pub(super) fn hold(&self, id: SessionId, token: Token, record: Record) {
        let mut state = self.state();
        if state.told_to_end() {
            // Told while this was under way: it ends too, and whoever told waits for that.
            state.ended.push(id);
            state.ending.push(id);
            return;
        }
        state.held = Some(Held { id, token, record: Arc::new(record) });
        state.presence = Presence::Alive;
    }

    /// What another has written meanwhile, to build on.
    pub(super) fn hold_instead(&self, held: Held, current: Record) -> Result<(), Error> {
        self.backend.events.emit(Event::Conflict(held.id));
        let current = self.backend.open(&held.token, &held.id, current)?;
        self.hold(held.id, held.token, current);
        Ok(())
    }

    /// A cookie whose age depends on what has changed; the token stays.
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

    /// The client is not told of the new id after all, but of what it was to be told `before`.
    pub(super) fn take_back(&self, held: &Held, before: CookieChange) {
        let mut state = self.state();
        state.cookie = before;
        if state.held.is_some() {
            state.held = Some(held.clone());
        }
    }

    /// Answers what the client was to be told of before.
    pub(super) fn hand_out(&self, token: Token, id: SessionId, record: Record) -> CookieChange {
        self.hold(id, token.clone(), record);
        mem::replace(&mut self.state().cookie, CookieChange::Set(token))
    }
}
