//! Load of a request's session: from its tokens to one record.

use crate::{
    clock::timestamp::Timestamp,
    error::Error,
    request::{
        RequestSession,
        found::Found,
        header_lines::Credentials,
        shared::Backend,
        state::{Held, Presence},
    },
    session::{
        moved::MOVED_KEPT,
        token::{SessionId, Token},
    },
    telemetry::event::Event,
};

/// The sessions that several tokens open, loaded one by one.
#[derive(Default)]
struct Opened {
    held: Option<Held>,
    /// The record from before a move.
    before_move: Option<Held>,
    presence: Presence,
    twins: Vec<SessionId>,
    ambiguous: bool,
}

impl Opened {
    fn take_moved(&mut self, found: Found, backend: &Backend, now: Timestamp) {
        if !found.moved.is_some_and(|moved| moved.is_within(MOVED_KEPT, now)) {
            return backend.events.emit(Event::UnknownToken { id: found.id });
        }
        self.presence = Presence::Moved;
        if self.before_move.is_none() {
            self.before_move = found.held_before_move(backend);
        }
    }

    fn take(&mut self, found: Found, backend: &Backend, now: Timestamp) -> Result<(), Error> {
        let (Found { id, token, record, .. }, events) = (found, &backend.events);
        match record {
            Ok(None) => events.emit(Event::UnknownToken { id }),
            Ok(Some(record)) if record.deadlines.is_over(now) => {
                let user = record.user().map(str::to_owned);
                events.emit(Event::Expired { id, user });
                self.presence = Presence::Expired;
            }
            Ok(Some(_)) if self.held.is_some() => {
                self.ambiguous = true;
                self.twins.push(id);
            }
            Ok(Some(record)) => {
                self.held = Some(Held { id, token, record, heir: None });
            }
            Err(error) if error.is_unreadable() => {
                tracing::error!(session.id = %id, error = %error, "session record unreadable");
                events.emit(Event::Corrupt { id });
                self.presence = Presence::Unreadable(error);
                self.twins.push(id);
            }
            // Fails closed: an unreachable store is never treated as "no session".
            Err(error) => {
                backend.log_failure("session load failed", Some(&id), &error);
                return Err(error);
            }
        }
        Ok(())
    }
}

impl RequestSession {
    /// Decides which of the loaded records, if any, is the session.
    pub(super) fn settle(&self, found: impl IntoIterator<Item = Found>) -> Result<(), Error> {
        let backend = &*self.backend;
        let (now, ended) = (backend.clock.now(), self.state().ended.clone());
        let mut opened = Opened::default();
        for found in found {
            if ended.contains(&found.id) {
                continue;
            }
            if found.has_moved() {
                opened.take_moved(found, backend, now);
            } else {
                opened.take(found, backend, now)?;
            }
        }
        let Opened { mut held, before_move, mut presence, mut twins, ambiguous } = opened;
        if ambiguous {
            backend.events.emit(Event::Ambiguous);
            presence = Presence::Ambiguous;
            twins.extend(held.take().map(|held| held.id));
        }
        let before_move = before_move.filter(|_| matches!(presence, Presence::Moved));
        let mut state = self.state();
        // A single id that is loaded again says nothing about the others.
        state.twins.retain(|id| !twins.contains(id));
        state.twins.append(&mut twins);
        state.find(held.or(before_move), presence);
        Ok(())
    }

    /// The ids of the well-formed tokens that came with the request, each once.
    pub(crate) fn presented(&self) -> &[(SessionId, Token)] {
        self.presented.get_or_init(|| self.derive_presented())
    }

    fn derive_presented(&self) -> Vec<(SessionId, Token)> {
        let mut presented: Vec<(SessionId, Token)> = Vec::new();
        let mut tokens = match &self.credentials {
            Credentials::Lines(_) => self.backend.rules.transport.tokens(self.credentials.lines()),
            Credentials::Token(token) => vec![token.clone()],
        };
        if tokens.is_empty() {
            tokens = self.former_tokens();
        }
        for token in tokens {
            let id = self.backend.rules.tokens.id(&token);
            if presented.iter().all(|(known, _)| *known != id) {
                presented.push((id, token));
            }
        }
        presented
    }
}
