//! What the store has for a token: a record, or what a session was before it moved.

use std::sync::Arc;

use crate::{
    error::Error,
    request::{shared::Backend, state::Held},
    session::{
        moved::{HOPS_MAX, Moved},
        record::Record,
        token::{SessionId, Token},
    },
};

pub(super) type Loaded = Result<Option<Record>, Error>;

/// What the store has for one of the tokens that came with a request.
pub(super) struct Found {
    pub(super) id: SessionId,
    pub(super) token: Token,
    pub(super) loaded: Loaded,
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
        let moved = loaded
            .as_ref()
            .is_ok_and(|found| found.as_ref().is_some_and(|record| record.moved.is_some()));
        // Boxed, as what is rare, so that every load stays small.
        let heir = if moved { Box::pin(heir(backend, &loaded)).await? } else { None };
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

    pub(super) fn moved(&self) -> Option<Moved> {
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
