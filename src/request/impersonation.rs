//! Events of impersonation.

use crate::{
    request::{RequestSession, state::Held},
    telemetry::event::Event,
};

impl RequestSession {
    /// Reports that `actor` impersonates `user` from now on, or no longer.
    pub(crate) fn tell_of_impersonation(&self, actor: &str, user: &str, began: bool) {
        let Some(id) = self.state().held.as_ref().map(Held::live_id) else { return };
        let (actor, user) = (actor.to_owned(), user.to_owned());
        self.backend.events.emit(if began {
            Event::ImpersonationBegan { id, actor, user }
        } else {
            Event::ImpersonationEnded { id, actor, user }
        });
    }

    /// Reports the end of an impersonation, if any, before the session itself ends.
    pub(super) fn tell_of_its_end(&self) {
        let names = {
            let state = self.state();
            let base = state.base().ok().flatten();
            state.changes.impersonator(base).zip(state.changes.user(base))
        };
        if let Some((actor, user)) = names {
            self.tell_of_impersonation(&actor, &user, false);
        }
    }
}
