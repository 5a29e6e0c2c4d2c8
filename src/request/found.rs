//! Lookup of a token: a record, or the record from before a move.

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

/// What the store holds for one of the request's tokens.
pub(super) struct Found {
    pub(super) id: SessionId,
    pub(super) token: Token,
    /// The record, opened if it is sealed.
    pub(super) record: Result<Option<Arc<Record>>, Error>,
    pub(super) moved: Option<Moved>,
    /// The current id of a session that has moved, within the grace period.
    heir: Option<SessionId>,
}

impl Found {
    /// From what was loaded for the token. The record is boxed at once: it is large, and its holder
    /// is moved many times.
    pub(super) fn of(
        backend: &Backend,
        (id, token): (SessionId, Token),
        loaded: Loaded,
    ) -> impl Future<Output = Result<Self, Error>> {
        let mut moved = None;
        let record = match loaded {
            Ok(Some(record)) => {
                moved = record.moved.as_deref().copied();
                backend.open(&token, &id, record).map(|record| Some(Arc::new(record)))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        let mut found = Self { id, token, record, moved, heir: None };
        async move {
            // Boxed: rare, and the usual load stays small.
            if let Some(moved) = moved {
                found.heir = Box::pin(heir(backend, moved)).await?;
            }
            Ok(found)
        }
    }

    /// The record from before a move, to read from during the grace period.
    pub(super) fn held_before_move(self, backend: &Backend) -> Option<Held> {
        let Self { id, token, record, heir: heir @ Some(_), .. } = self else { return None };
        let record = record.ok()??;
        let alive = !record.deadlines.is_over(backend.clock.now());
        alive.then_some(Held { id, token, record, heir })
    }

    pub(super) fn has_moved(&self) -> bool {
        self.moved.is_some()
    }
}

/// The current id of a session that moved within the grace period; an ended one is readable under
/// no id.
async fn heir(backend: &Backend, moved: Moved) -> Result<Option<SessionId>, Error> {
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
            // The new record is unreadable, so the old one must not be used either.
            Err(error) if error.is_unreadable() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
