//! The tokens that came with a request, and what of the store's answers is its session.

use std::sync::Arc;

use crate::{
    error::{Causes, Error},
    request::{
        RequestSession,
        state::{Held, Presence},
    },
    session::{
        record::Record,
        token::{SessionId, Token},
    },
    telemetry::event::Event,
};

impl RequestSession {
    /// Decides which of the records found, if any, is the session.
    pub(super) fn settle(
        &self,
        found: impl IntoIterator<Item = ((SessionId, Token), Result<Option<Record>, Error>)>,
    ) -> Result<(), Error> {
        let now = self.backend.clock.now();
        let (ended, events) = (self.state().ended.clone(), &self.backend.events);
        let (mut held, mut presence) = (None, Presence::Absent);
        for ((id, token), found) in found {
            let open = |record| self.backend.open(&token, &id, record);
            match found.and_then(|found| found.map(open).transpose()) {
                _ if ended.contains(&id) => {}
                Ok(None) => events.emit(Event::Rejected(id)),
                Ok(Some(record)) if record.deadlines.is_over(now) => {
                    events.emit(Event::Expired(id));
                    presence = Presence::Expired;
                }
                Ok(Some(record)) if held.is_none() => {
                    held = Some(Held { id, token, record: Arc::new(record) });
                }
                Ok(Some(_)) => {
                    events.emit(Event::Ambiguous);
                    held = None;
                    presence = Presence::Ambiguous;
                    break;
                }
                Err(error) if error.is_unreadable() => {
                    tracing::error!(session.id = %id, error = %error, "session record unreadable");
                    events.emit(Event::Corrupt(id));
                    presence = Presence::Unreadable(error);
                }
                // Fails closed: a store that does not answer is never taken for "no session".
                Err(error) => {
                    tracing::warn!(session.id = %id, error = %Causes(&error), "session load failed");
                    return Err(error);
                }
            }
        }
        self.state().find(held, presence);
        Ok(())
    }

    /// The ids of the well-formed tokens that came with the request, each once.
    pub(crate) fn presented(&self) -> Vec<(SessionId, Token)> {
        let mut presented: Vec<(SessionId, Token)> = Vec::new();
        for token in self.backend.rules.transport.tokens(self.lines.iter()) {
            let id = token.id();
            if presented.iter().all(|(known, _)| *known != id) {
                presented.push((id, token));
            }
        }
        presented
    }
}
