//! Touch: records activity in place, without a new version.

use std::sync::Arc;

use crate::{
    error::{Causes, Error},
    request::{RequestSession, shared::Backend, state::Held},
    session::record::Touch,
};

impl RequestSession {
    /// Stores the activity in the background.
    pub(crate) fn touch_later(&self, held: &Held, activity: Touch) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Some(turn) = self.backend.touching.begin(held.id) else { return };
        let (backend, held) = (Arc::clone(&self.backend), held.clone());
        let touch = async move {
            if let Err(error) = touch(&backend, &held, activity).await {
                tracing::debug!(session.id = %held.id, error = %Causes(&error), "touch failed");
            }
            drop(turn);
        };
        runtime.spawn(self.backend.tracker.track_future(touch));
    }
}

/// Stores the activity; returns whether the record accepted it.
pub(crate) async fn touch(backend: &Backend, held: &Held, activity: Touch) -> Result<bool, Error> {
    let touch = backend.store.touch(&held.id, held.record.version, activity);
    backend.within(backend.rules.budget, touch).await
}
