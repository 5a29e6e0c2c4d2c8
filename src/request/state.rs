//! State of one request's session, and its buffered changes.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use crate::{
    error::{Error, ErrorKind},
    request::{shared::Backend, visitor::Visitor},
    session::{
        changes::{Changes, plan::Writer},
        record::Record,
        token::{SessionId, Token},
    },
};

#[derive(Debug, Default)]
pub(crate) struct State {
    /// As it was when the state was locked.
    pub(crate) stage: Stage,
    pub(crate) presence: Presence,
    pub(crate) held: Option<Held>,
    pub(crate) changes: Changes,
    pub(crate) savepoints: Savepoints,
    pub(crate) cookie: CookieChange,
    /// The secret of a client without a session, which CSRF tokens are bound to then.
    pub(crate) visitor: Visitor,
    /// Sessions whose deletion the store has not confirmed yet.
    pub(crate) ending: Vec<Ending>,
    /// Other sessions that the cookies of this request open, or might: a sign-in ends them.
    pub(crate) twins: Vec<SessionId>,
    /// Sessions that this request told to end at any time: a load under way never brings one back.
    pub(crate) ended: Vec<SessionId>,
    /// How often this request was told to end its session; as of the turn that is under way.
    pub(crate) endings: u64,
    pub(crate) endings_at_turn: u64,
    /// How often a session turned out to have ended concurrently.
    pub(crate) losses: u64,
    /// What the load, and what failed, took of the budget.
    pub(crate) spent: Duration,
    /// The request only looks: it is no activity.
    pub(crate) unused: bool,
}

/// A session to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) id: SessionId,
    /// An attempt of which the store has not confirmed anything has perhaps ended it.
    pub(crate) tried: bool,
}

/// How far the response is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The handler runs.
    #[default]
    Open,
    /// The head is sent: no cookie can be changed any more.
    Streaming,
    /// The response is over, or was never made.
    Closed,
}

/// The stage of a request, told without a lock.
#[derive(Debug, Default)]
pub(crate) struct AtomicStage(AtomicU8);

impl AtomicStage {
    pub(crate) fn get(&self) -> Stage {
        match self.0.load(Ordering::Acquire) {
            0 => Stage::Open,
            1 => Stage::Streaming,
            _ => Stage::Closed,
        }
    }

    pub(crate) fn set(&self, stage: Stage) {
        let number = match stage {
            Stage::Open => 0,
            Stage::Streaming => 1,
            Stage::Closed => 2,
        };
        self.0.store(number, Ordering::Release);
    }
}

/// What the cookies of the request led to.
#[derive(Clone, Debug, Default)]
pub(crate) enum Presence {
    /// No cookie, or one that the store does not know, or a session that this request ended.
    #[default]
    Absent,
    /// A record, in `State::held`.
    Alive,
    /// A session that has moved to another id, of which the client is being told.
    Moved,
    /// A record whose time is over.
    Expired,
    /// Bytes that cannot be read; why.
    Unreadable(Error),
    /// More than one record.
    Ambiguous,
}

/// The record that the store has, as far as this request knows.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) id: SessionId,
    /// What `id` was derived from. What else is secret about the session is too.
    pub(crate) token: Token,
    pub(crate) record: Arc<Record>,
    /// Where the session lives now, if `record` is what it was before it moved there: to read from
    /// alone.
    pub(crate) heir: Option<SessionId>,
}

impl Held {
    /// The id under which the session lives.
    pub(crate) fn live_id(&self) -> SessionId {
        self.heir.unwrap_or(self.id)
    }
}

/// The attempts under way, the outermost first.
#[derive(Debug, Default)]
pub(crate) struct Savepoints {
    /// What was buffered when each began, as far as it is not stored since.
    pub(super) before: Vec<Changes>,
    /// What the cookies led to, where a sign-in has passed over it.
    pub(super) overruled: Option<Presence>,
}

/// What the response does to the cookie.
#[derive(Debug, Default)]
pub(crate) enum CookieChange {
    #[default]
    Keep,
    Set(Token),
    Remove,
}

impl State {
    /// Whether the store has something to be told.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.changes.is_empty() || !self.ending.is_empty()
    }

    /// The response is no success: what was buffered is not stored.
    pub(crate) fn drop_changes(&mut self) {
        if !mem::take(&mut self.changes).is_empty() {
            tracing::debug!("session changes dropped with a failed response");
        }
    }

    /// Notes that a session has to end.
    pub(crate) fn end(&mut self, id: SessionId) {
        if self.ending.iter().all(|ending| ending.id != id) {
            self.ending.push(Ending { id, tried: false });
        }
    }

    /// What is to end next, and whether it was tried before; it is from now on.
    pub(crate) fn next_to_end(&mut self) -> Option<Ending> {
        let next = self.ending.first_mut()?;
        Some(mem::replace(next, Ending { tried: true, ..*next }))
    }

    /// Notes that the store has confirmed it.
    pub(crate) fn has_ended(&mut self, id: SessionId) {
        self.ending.retain(|ending| ending.id != id);
    }

    /// Takes in what a load found.
    pub(crate) fn find(&mut self, held: Option<Held>, otherwise: Presence) {
        if self.held.is_some() && held.is_none() {
            self.lose();
        }
        self.presence = if held.is_some() { Presence::Alive } else { otherwise };
        self.held = held;
    }

    /// Whether the session has moved to another id than this request came with: what would go into
    /// it is dropped, and begins no session of its own.
    pub(crate) fn has_moved(&self) -> bool {
        match &self.held {
            Some(held) => held.heir.is_some(),
            None => matches!(self.presence, Presence::Moved),
        }
    }

    /// The session, if the request counts as its use.
    pub(crate) fn used(&self) -> Option<Held> {
        self.held.clone().filter(|_| !self.unused)
    }

    /// Whether the request was told to end its session since the turn under way began.
    pub(crate) fn told_to_end(&self) -> bool {
        self.endings != self.endings_at_turn
    }

    /// The session turned out to have ended: what was to go into it does not begin another one.
    /// Only a login does, since it asks nothing of what was there.
    pub(crate) fn lose(&mut self) {
        self.losses += 1;
        if !self.changes.signs_in() {
            self.changes = Changes::default();
            self.savepoints.forget_all();
        }
    }

    /// The record to read from. `Unsupported` is passed on, since the record may be well and the
    /// user signed in; what is plainly corrupt is no session.
    pub(crate) fn base(&self) -> Result<Option<&Record>, Error> {
        match &self.presence {
            Presence::Unreadable(error) if error.kind() == ErrorKind::Unsupported => {
                Err(error.clone())
            }
            _ => Ok(self.held.as_ref().map(|held| &*held.record)),
        }
    }

    /// Whether a value may be written here, and why not.
    pub(crate) fn writable(&self) -> Result<(), Error> {
        match &self.presence {
            Presence::Unreadable(error) => Err(error.clone()),
            Presence::Ambiguous => Err(Error::new(
                ErrorKind::Ambiguous,
                "the request has several live session cookies",
            )),
            Presence::Moved => Ok(()),
            _ if self.held.is_none() => self.may_set_cookie(),
            _ => Ok(()),
        }
    }

    /// Buffers a value, if the record stays within its bound.
    pub(crate) fn insert(
        &mut self,
        backend: &Backend,
        name: &str,
        json: Bytes,
    ) -> Result<(), Error> {
        let base = self.held.as_ref().map(|held| &*held.record);
        self.changes.check_insert(base, name, &json, &backend.rules.policy)?;
        self.changes.insert(name, json);
        Ok(())
    }

    /// Buffers a change, if the record stays within its bound.
    pub(crate) fn change(
        &mut self,
        backend: &Backend,
        change: impl FnOnce(&mut Changes),
    ) -> Result<(), Error> {
        let mut changes = self.changes.clone();
        change(&mut changes);
        let base = self.held.as_ref().map(|held| &*held.record);
        let _ =
            changes.plan(base, backend.clock.now(), &backend.rules.policy, &Writer::default())?;
        self.changes = changes;
        Ok(())
    }

    /// A sign-in begins a session of its own, whatever is there that cannot be used.
    pub(crate) fn pass_over(&mut self) {
        if self.held.is_none() {
            let found = mem::replace(&mut self.presence, Presence::Absent);
            let _ = self.savepoints.overruled.get_or_insert(found);
        }
    }

    /// Whether a new id can still reach the client.
    pub(crate) fn may_set_cookie(&self) -> Result<(), Error> {
        if self.stage == Stage::Open { Ok(()) } else { Err(Error::closed()) }
    }
}

impl Savepoints {
    /// All that was buffered is stored, or gone with the session.
    pub(crate) fn forget_all(&mut self) {
        self.before.iter_mut().for_each(|changes| *changes = Changes::default());
        self.overruled = None;
    }

    /// The value under `name` is stored.
    pub(crate) fn forget(&mut self, name: &str) {
        for changes in &mut self.before {
            let _ = changes.take_name(name);
        }
    }
}
