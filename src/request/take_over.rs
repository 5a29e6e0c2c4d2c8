//! Take-over of a session of another library, at the first request with its cookie.
//!
//! | file | holds |
//! |---|---|
//! | `claims` | claims in the store: read, write, close |
//! | `steps` | the steps of one take-over |
//! | `create` | those that create the session |
//!
//! Specified in `docs/import.md`.

use std::sync::Arc;

use http::HeaderValue;

use crate::{
    error::Error,
    request::{
        RequestSession,
        found::Found,
        old_library::{OldKey, TakeOverRules},
        shared::Backend,
        state::{CookieChange, OldCookie, Presence, State},
        take_over::{
            claims::close,
            steps::{Taken, take_over},
        },
    },
    session::claim::{Claim, bar_id, claim_id},
    sync::carried::Carried,
    telemetry::event::Event,
};

mod claims;
mod create;
mod steps;

impl RequestSession {
    /// Whether the request has a cookie of the other library. Searches the cookie lines.
    pub(super) fn has_old_cookie(&self) -> bool {
        self.old_library().is_some()
    }

    fn old_library(&self) -> Option<&TakeOverRules> {
        let rules = self.backend.rules.take_over.as_ref()?;
        let is_there = rules.library.is_in(&mut self.credentials.lines());
        (is_there && rules.is_open(self.backend.clock.now())).then_some(rules)
    }

    fn old_keys(&self, rules: &TakeOverRules) -> Vec<OldKey> {
        let parts = self.old_signed_parts.as_deref();
        let found = rules.library.find(&mut self.credentials.lines(), parts);
        let mut old: Vec<OldKey> = Vec::with_capacity(found.len());
        for key in found {
            if !old.contains(&key) {
                old.push(key);
            }
        }
        old
    }

    /// Makes the old session the session of this request, unless its own cookie opens one.
    ///
    /// Cancellation safety: what has started is completed even if the caller is dropped, so that
    /// other requests with the cookie find it done.
    pub(super) async fn take_over(&self) -> Result<(), Error> {
        let Some(rules) = self.old_library() else { return Ok(()) };
        let old = self.old_keys(rules);
        {
            let state = self.state();
            let opens_none = matches!(state.presence, Presence::Absent | Presence::Expired);
            if state.held.is_some() || !opens_none || old.is_empty() {
                return Ok(());
            }
            // Fails closed: without a cookie the next request would not find the session.
            state.may_set_cookie()?;
        }
        let work = take_over(Arc::clone(&self.backend), old, self.device());
        match Carried::new(self.backend.tracker.track_future(work)).await? {
            Taken::Over { id, token, record } => {
                let found = Found::of(&self.backend, (id, token.clone()), Ok(record)).await?;
                self.settle([found])?;
                let mut state = self.state();
                if !matches!(state.presence, Presence::Unreadable(_)) {
                    state.old_cookie = OldCookie::Ends;
                }
                if state.held.as_ref().is_some_and(|held| held.heir.is_none()) {
                    state.cookie = CookieChange::Set(token);
                }
            }
            Taken::Nothing => self.state().old_cookie = OldCookie::Ends,
            Taken::Unreadable => {}
            Taken::Ambiguous => {
                self.backend.events.emit(Event::Ambiguous);
                self.state().presence = Presence::Ambiguous;
            }
        }
        Ok(())
    }

    /// Closes the old sessions of this request: a sign-in or a logout ends them too. After a logout
    /// so does what was taken over from them.
    pub(super) async fn close_old_sessions(&self, logout: bool) -> Result<(), Error> {
        let Some(rules) = self.old_library() else { return Ok(()) };
        for old in self.old_keys(rules) {
            let before = close(&self.backend, rules, &claim_id(&old.key)).await?;
            if let Some(Claim::Claimed(target) | Claim::Done(target)) = before.filter(|_| logout) {
                let _ = self.backend.store.delete(&target.id).await?;
            }
            self.backend.forget_old(rules, old);
        }
        self.state().old_cookie = OldCookie::Ends;
        Ok(())
    }
}

impl Backend {
    /// Bars the old sessions of a user, before the user's epoch is raised: a take-over reads the
    /// epoch and then the bar.
    pub(super) async fn bar_old_sessions(&self, user: &str) -> Result<(), Error> {
        match &self.rules.take_over {
            Some(rules) if rules.is_open(self.clock.now()) => {
                close(self, rules, &bar_id(user)).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Deletes the old session in the background. A failure changes nothing: its claim counts.
    fn forget_old(&self, rules: &TakeOverRules, old: OldKey) {
        let library = Arc::clone(&rules.library);
        drop(self.tracker.spawn(async move {
            if let Err(error) = library.delete(&old).await {
                tracing::debug!(error = %error, "old session not deleted: its claim is closed");
            }
        }));
    }
}

/// The header that removes the other library's cookie, if it is due: it has ended, or the session
/// of this crate counts.
pub(crate) fn old_removal(session: &RequestSession, state: &State) -> Option<HeaderValue> {
    let rules = session.old_library()?;
    let counts_no_more = state.old_cookie == OldCookie::Ends
        || state.held.is_some()
        || !matches!(state.cookie, CookieChange::Keep);
    if counts_no_more { rules.library.removal() } else { None }
}
