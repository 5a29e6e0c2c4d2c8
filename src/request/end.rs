//! End of a session: by logout, or to begin another.

use std::{mem, sync::Arc};

use crate::{
    error::Error,
    request::{
        RequestSession,
        state::{CookieChange, Held, Presence, Stage},
    },
    telemetry::event::Event,
};

impl RequestSession {
    /// Cancellation safety: dropped here it goes on by itself; failed, the ids stand in `ending`,
    /// and the commit before the head tries again.
    pub(crate) async fn destroy(self: &Arc<Self>) -> Result<(), Error> {
        self.tell_of_its_end();
        let any = self.begin_to_end()?;
        // What another task of this request is storing right now has to end as well.
        if any || self.accessed().operation_lock.try_lock().is_err() {
            self.commit_surely().await?;
        }
        Ok(())
    }

    /// The same, for one whose user has another stamp by now.
    pub(crate) async fn destroy_with_old_stamp(self: &Arc<Self>) -> Result<(), Error> {
        let id = self.state().held.as_ref().map(Held::live_id);
        if let Some(id) = id {
            self.backend.events.emit(Event::StampChanged { id });
        }
        self.destroy().await
    }

    /// Forgets the session here and notes what has to go from the store; whether there is any.
    fn begin_to_end(&self) -> Result<bool, Error> {
        let mut ids: Vec<_> = self.presented().into_iter().map(|(id, _)| id).collect();
        ids.extend(self.outdated());
        let mut state = self.state();
        if state.stage == Stage::Closed {
            return Err(Error::closed());
        }
        let ended_before = matches!(state.cookie, CookieChange::Remove);
        let held = state.held.take().map(|held| held.id);
        if let Some(id) = held {
            // With what cannot be read: the client is to be left with nothing.
            ids = mem::take(&mut state.twins);
            ids.push(id);
        } else if ended_before {
            ids.clear();
        }
        state.presence = Presence::Absent;
        state.changes = Default::default();
        state.savepoints.forget_all();
        state.endings += 1;
        state.ended.extend(&ids);
        for id in ids {
            state.end(id);
        }
        // Whatever the cookies said, this request knows now that it has no session.
        let _ = self.accessed().loaded.set(Ok(()));
        Ok(!state.ending.is_empty())
    }
}
