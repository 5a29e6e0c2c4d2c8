//! End of a session: by logout, or before a new one.

use std::{mem, sync::Arc};

use crate::{
    error::Error,
    request::{
        RequestSession,
        state::{CookieChange, Held, OldCookie, Presence, Stage},
    },
    telemetry::event::Event,
};

impl RequestSession {
    /// Cancellation safety: dropped here it completes anyway; if it fails, the ids stay in
    /// `ending`, and the commit before the head retries.
    pub(crate) async fn destroy(self: &Arc<Self>) -> Result<(), Error> {
        self.tell_of_its_end();
        let any = self.begin_to_end()?;
        // A session that another task of this request is storing has to end as well.
        if any || self.accessed().operation_lock.try_lock().is_err() {
            self.commit_surely().await?;
        }
        Ok(())
    }

    /// The same, for a session with an outdated stamp.
    pub(crate) async fn destroy_with_old_stamp(self: &Arc<Self>) -> Result<(), Error> {
        let of = |held: &Held| (held.live_id(), held.record.user().map(str::to_owned));
        let held = self.state().held.as_ref().map(of);
        if let Some((id, user)) = held {
            self.backend.events.emit(Event::StampChanged { id, user });
        }
        self.destroy().await
    }

    /// Drops the session here and notes which ids to delete from the store; returns whether there
    /// are any.
    fn begin_to_end(&self) -> Result<bool, Error> {
        let mut ids: Vec<_> = self.presented().iter().map(|(id, _)| *id).collect();
        ids.extend(self.outdated());
        let has_old_cookie = self.has_old_cookie();
        let mut state = self.state();
        if state.stage == Stage::Closed {
            return Err(Error::closed());
        }
        let ended_before = matches!(state.cookie, CookieChange::Remove);
        let held = state.held.take();
        if let Some(Held { id, .. }) = held {
            // Unreadable ones too: the client must be left without a session.
            ids = mem::take(&mut state.twins);
            ids.push(id);
        } else if ended_before {
            ids.clear();
        }
        if has_old_cookie && state.old_cookie == OldCookie::Stays {
            state.old_cookie = OldCookie::IsToEnd;
        }
        state.presence = Presence::Absent;
        state.changes = Default::default();
        state.savepoints.forget_all();
        state.endings += 1;
        state.ended.extend(&ids);
        for id in ids {
            let known = held.as_ref().filter(|held| held.id == id);
            state.end(id, known.map(|held| Arc::clone(&held.record)));
        }
        // Whatever the cookies were, the request has no session from now on.
        let _ = self.accessed().loaded.set(Ok(()));
        Ok(state.has_to_end())
    }
}
