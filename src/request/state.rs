//! State of one request's session, and its buffered changes.

use std::{mem, sync::Arc, time::Duration};

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

pub(crate) use crate::request::stage::{AtomicStage, Stage};

#[derive(Debug, Default)]
pub(crate) struct State {
    /// The stage when the state was locked.
    pub(crate) stage: Stage,
    pub(crate) presence: Presence,
    pub(crate) held: Option<Held>,
    pub(crate) changes: Changes,
    pub(crate) savepoints: Savepoints,
    pub(crate) cookie: CookieChange,
    pub(crate) old_cookie: OldCookie,
    /// The secret of a client without a session, to which CSRF tokens are bound then.
    pub(crate) visitor: Visitor,
    /// Sessions whose deletion the store has not confirmed yet.
    pub(crate) ending: Vec<Ending>,
    /// Other sessions that the cookies of this request open, or may open: a sign-in ends them.
    pub(crate) twins: Vec<SessionId>,
    /// Sessions that this request has ended: a load in progress never revives one.
    pub(crate) ended: Vec<SessionId>,
    /// Number of calls that ended the session in this request; its value at the start of the
    /// current operation.
    pub(crate) endings: u64,
    pub(crate) endings_at_turn: u64,
    /// How often a session turned out to have ended concurrently.
    pub(crate) losses: u64,
    /// Time of the budget that the load and failed calls have used.
    pub(crate) spent: Duration,
    /// The request is passive: it is not activity.
    pub(crate) unused: bool,
}

/// A session to end.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) id: SessionId,
    /// An unconfirmed attempt may have ended it.
    pub(crate) tried: bool,
    pub(crate) record: Option<Arc<Record>>,
}

/// Result of looking up the request's cookies.
#[derive(Clone, Debug, Default)]
pub(crate) enum Presence {
    /// No cookie, no record for it, or a session that this request ended.
    #[default]
    Absent,
    /// A record, in `State::held`.
    Alive,
    /// A session that has moved to another id, which another response sends to the client.
    Moved,
    /// An expired record.
    Expired,
    /// A record that cannot be decoded, with the error.
    Unreadable(Error),
    /// More than one record.
    Ambiguous,
}

/// The record in the store, as far as this request knows.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) id: SessionId,
    /// The token that `id` is derived from. Other secrets of the session are derived from it too.
    pub(crate) token: Token,
    pub(crate) record: Arc<Record>,
    /// The session's current id, if `record` is the one from before the move: read-only then.
    pub(crate) heir: Option<SessionId>,
}

impl Held {
    /// The session's current id.
    pub(crate) fn live_id(&self) -> SessionId {
        self.heir.unwrap_or(self.id)
    }
}

/// The attempts in progress, the outermost first.
#[derive(Debug, Default)]
pub(crate) struct Savepoints {
    /// The changes buffered when each began, minus what was stored since.
    pub(super) before: Vec<Changes>,
    /// Result of looking up the cookies, where a sign-in has overridden it.
    pub(super) overruled: Option<Presence>,
}

/// How the response changes the cookie.
#[derive(Debug, Default)]
pub(crate) enum CookieChange {
    #[default]
    Keep,
    Set(Token),
    Remove,
}

/// The cookie of another library, of which a session can be taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OldCookie {
    /// There is none, or nothing is known about it.
    #[default]
    Stays,
    /// It opens nothing from now on: the response removes it.
    Ends,
    /// The same, once the store has confirmed that.
    IsToEnd,
}

impl State {
    /// Whether there is something to store.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.changes.is_empty() || self.has_to_end()
    }

    /// Whether a session has to end.
    pub(crate) fn has_to_end(&self) -> bool {
        !self.ending.is_empty() || self.old_cookie == OldCookie::IsToEnd
    }

    /// The old cookie opens nothing; what a logout has to end stays to be ended.
    pub(crate) fn end_old_cookie(&mut self) {
        if self.old_cookie == OldCookie::Stays {
            self.old_cookie = OldCookie::Ends;
        }
    }

    /// The response is not a success: buffered changes are dropped.
    pub(crate) fn drop_changes(&mut self) {
        if !mem::take(&mut self.changes).is_empty() {
            tracing::debug!("session changes dropped with a failed response");
        }
    }

    /// Notes that a session has to end.
    pub(crate) fn end(&mut self, id: SessionId, record: Option<Arc<Record>>) {
        if self.ending.iter().all(|ending| ending.id != id) {
            self.ending.push(Ending { id, tried: false, record });
        }
    }

    /// The next session to delete, and whether an attempt was made before.
    pub(crate) fn next_to_end(&mut self) -> Option<Ending> {
        let next = self.ending.first_mut()?;
        Some(mem::replace(next, Ending { tried: true, ..next.clone() }))
    }

    /// Records that the store has confirmed the deletion.
    pub(crate) fn has_ended(&mut self, id: SessionId) {
        self.ending.retain(|ending| ending.id != id);
    }

    /// Takes over the result of a load.
    pub(crate) fn find(&mut self, held: Option<Held>, otherwise: Presence) {
        if self.held.is_some() && held.is_none() {
            self.lose();
        }
        self.presence = if held.is_some() { Presence::Alive } else { otherwise };
        self.held = held;
    }

    /// Whether the session has moved to another id since this request was sent: its changes are
    /// dropped, and create no new session.
    pub(crate) fn has_moved(&self) -> bool {
        match &self.held {
            Some(held) => held.heir.is_some(),
            None => matches!(self.presence, Presence::Moved),
        }
    }

    /// The session, if the request counts as activity.
    pub(crate) fn used(&self) -> Option<Held> {
        self.held.clone().filter(|_| !self.unused)
    }

    /// Whether the session was ended by this request since the current operation began.
    pub(crate) fn told_to_end(&self) -> bool {
        self.endings != self.endings_at_turn
    }

    /// The session turned out to have ended: its buffered changes create no new session. Only a
    /// login does, since it does not depend on the old one.
    pub(crate) fn lose(&mut self) {
        self.losses += 1;
        if !self.changes.signs_in() {
            self.changes = Changes::default();
            self.savepoints.forget_all();
        }
    }

    /// The record to read from. `Unsupported` is returned, since the record may be valid and the
    /// user signed in; a corrupt record counts as no session.
    pub(crate) fn base(&self) -> Result<Option<&Record>, Error> {
        match &self.presence {
            Presence::Unreadable(error) if error.kind() == ErrorKind::Unsupported => {
                Err(error.clone())
            }
            _ => Ok(self.held.as_ref().map(|held| &*held.record)),
        }
    }

    /// Fails if no value may be written.
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

    /// Buffers a value, unless the record would exceed its bounds.
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

    /// Buffers a change, unless the record would exceed its bounds.
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

    /// A sign-in creates a new session in place of one that cannot be used.
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
    /// All buffered changes are stored, or dropped with the session.
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
