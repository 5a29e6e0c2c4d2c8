//! The tokens that came with a request, and what of the store's answers is its session.

use std::sync::Arc;

use crate::{
    error::{Causes, Error},
    request::{
        RequestSession,
        shared::Backend,
        state::{Held, Presence},
    },
    session::{
        moved::{HOPS_MAX, MOVED_KEPT, Moved},
        record::Record,
        token::{SessionId, Token},
    },
    telemetry::event::Event,
};

type Loaded = Result<Option<Record>, Error>;

/// What the store has for one of the tokens that came with a request.
pub(super) struct Found {
    id: SessionId,
    token: Token,
    loaded: Loaded,
    /// Where the session lives that has moved away from `id`, if the grace is not over.
    heir: Option<SessionId>,
}

impl Found {
    /// With what was loaded for the token.
    pub(super) async fn of(
        backend: &Backend,
        (id, token): (SessionId, Token),
        loaded: Loaded,
    ) -> Result<Self, Error> {
        let heir = heir(backend, &loaded).await?;
        Ok(Self { id, token, loaded, heir })
    }

    /// What the session was before it moved, to read from while the grace lasts.
    pub(super) fn held_before_move(self, backend: &Backend) -> Option<Held> {
        let Self { id, token, loaded, heir: heir @ Some(_) } = self else { return None };
        let record = backend.open(&token, &id, loaded.ok()??).ok()?;
        let alive = !record.deadlines.is_over(backend.clock.now());
        alive.then(|| Held { id, token, record: Arc::new(record), heir })
    }

    pub(super) fn has_moved(&self) -> bool {
        self.moved().is_some()
    }

    fn moved(&self) -> Option<Moved> {
        self.loaded.as_ref().ok()?.as_ref()?.moved.as_deref().copied()
    }
}

/// Where a session lives that has moved within the grace: an ended one is read under no id.
async fn heir(backend: &Backend, loaded: &Loaded) -> Result<Option<SessionId>, Error> {
    let Ok(Some(Record { moved: Some(moved), .. })) = loaded else { return Ok(None) };
    if !moved.is_within(backend.rules.renewal_grace, backend.clock.now()) {
        return Ok(None);
    }
    let mut id = moved.to;
    for _ in 0..HOPS_MAX {
        match backend.store.load(&id).await {
            Ok(Some(Record { moved: Some(moved), .. })) => id = moved.to,
            Ok(Some(record)) => {
                let alive = !record.deadlines.is_over(backend.clock.now());
                return Ok(alive.then_some(id));
            }
            Ok(None) => return Ok(None),
            // It opens nothing, so neither does what it was before.
            Err(error) if error.is_unreadable() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

impl RequestSession {
    /// Decides which of the records found, if any, is the session.
    pub(super) fn settle(&self, found: impl IntoIterator<Item = Found>) -> Result<(), Error> {
        let (backend, events) = (&*self.backend, &self.backend.events);
        let now = backend.clock.now();
        let ended = self.state().ended.clone();
        let (mut held, mut twins, mut presence) = (None::<Held>, Vec::new(), Presence::Absent);
        let (mut before_move, mut ambiguous) = (None, false);
        for found in found {
            if ended.contains(&found.id) {
                continue;
            }
            if let Some(moved) = found.moved() {
                if moved.is_within(MOVED_KEPT, now) {
                    presence = Presence::Moved;
                    before_move = before_move.or_else(|| found.held_before_move(backend));
                } else {
                    events.emit(Event::Rejected(found.id));
                }
                continue;
            }
            let Found { id, token, loaded, .. } = found;
            let open = |record| backend.open(&token, &id, record);
            match loaded.and_then(|loaded| loaded.map(open).transpose()) {
                Ok(None) => events.emit(Event::Rejected(id)),
                Ok(Some(record)) if record.deadlines.is_over(now) => {
                    events.emit(Event::Expired(id));
                    presence = Presence::Expired;
                }
                Ok(Some(_)) if held.is_some() => {
                    ambiguous = true;
                    twins.push(id);
                }
                Ok(Some(record)) => {
                    held = Some(Held { id, token, record: Arc::new(record), heir: None });
                }
                Err(error) if error.is_unreadable() => {
                    tracing::error!(session.id = %id, error = %error, "session record unreadable");
                    events.emit(Event::Corrupt(id));
                    presence = Presence::Unreadable(error);
                    twins.push(id);
                }
                // Fails closed: a store that does not answer is never taken for "no session".
                Err(error) => {
                    tracing::warn!(session.id = %id, error = %Causes(&error), "session load failed");
                    return Err(error);
                }
            }
        }
        if ambiguous {
            events.emit(Event::Ambiguous);
            presence = Presence::Ambiguous;
            twins.extend(held.take().map(|held| held.id));
        }
        let before_move = before_move.filter(|_| matches!(presence, Presence::Moved));
        let mut state = self.state();
        state.twins = twins;
        state.find(held.or(before_move), presence);
        Ok(())
    }

    /// The ids of the well-formed tokens that came with the request, each once.
    pub(crate) fn presented(&self) -> Vec<(SessionId, Token)> {
        let mut presented: Vec<(SessionId, Token)> = Vec::new();
        for token in self.backend.rules.transport.tokens(self.lines.iter()) {
            let id = self.backend.rules.tokens.id(&token);
            if presented.iter().all(|(known, _)| *known != id) {
                presented.push((id, token));
            }
        }
        presented
    }
}
