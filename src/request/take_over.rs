//! Take-over of a session of another library, at the first request with its cookie.
//!
//! | file | holds |
//! |---|---|
//! | `claims` | claims in the store: read, write, close |
//! | `steps` | the steps of one take-over |
//! | `create` | those that create the session |
//!
//! Specified in `docs/import.md`.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use http::HeaderValue;

use crate::{
    error::Error,
    request::{
        RequestSession,
        found::Found,
        old_library::{OldKey, Stored, TakeOverRules},
        shared::Backend,
        state::{CookieChange, OldCookie, Presence, State},
        take_over::{
            claims::{close, load},
            steps::{Taken, take_over},
        },
    },
    session::{
        claim::{bar_id, claim_id},
        token::SessionId,
    },
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
        let endings = {
            let state = self.state();
            let opens_none = matches!(state.presence, Presence::Absent | Presence::Expired);
            let ends = state.old_cookie == OldCookie::IsToEnd;
            if state.held.is_some() || !opens_none || ends || old.is_empty() {
                return Ok(());
            }
            // Fails closed: without a cookie the next request would not find the session.
            state.may_set_cookie()?;
            state.endings
        };
        let work = take_over(Arc::clone(&self.backend), old, self.device());
        match Carried::new(self.backend.tracker.track_future(work)).await? {
            Taken::Over { id, token, record } => {
                let found = Found::of(&self.backend, (id, token), Ok(record)).await?;
                self.hold_taken(found, endings)?;
            }
            Taken::Nothing => self.state().end_old_cookie(),
            Taken::Unknown => {}
            Taken::Ambiguous => {
                self.backend.events.emit(Event::Ambiguous);
                self.state().presence = Presence::Ambiguous;
            }
        }
        Ok(())
    }

    /// Holds the session that was taken over, unless this request has ended it since `endings`: the
    /// logout closes the claim, and ends the session by it.
    fn hold_taken(&self, found: Found, endings: u64) -> Result<(), Error> {
        let (id, token) = (found.id, found.token.clone());
        if self.state().endings == endings {
            self.settle([found])?;
        }
        let mut state = self.state();
        if state.endings != endings {
            state.ended.push(id);
            if state.held.as_ref().is_some_and(|held| held.id == id) {
                (state.held, state.presence) = (None, Presence::Absent);
            }
            return Ok(());
        }
        if !matches!(state.presence, Presence::Unreadable(_)) {
            state.end_old_cookie();
        }
        if state.held.as_ref().is_some_and(|held| held.heir.is_none()) {
            state.cookie = CookieChange::Set(token);
        }
        Ok(())
    }

    /// Closes the old sessions of this request: a sign-in or a logout ends them too. After a logout
    /// so does what was taken over from them.
    pub(super) async fn close_old_sessions(&self, logout: bool) -> Result<(), Error> {
        let Some(rules) = self.old_library() else { return Ok(()) };
        for old in self.old_keys(rules) {
            let id = claim_id(&old.key);
            if self.backend.knows_old(rules, &old, &id).await? {
                let life = rules.life(self.backend.clock.now());
                close(&self.backend, &id, life, logout).await?;
                self.backend.forget_old(rules, old);
            }
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
                let life = rules.bar_life(self.clock.now());
                close(self, &bar_id(user), life, false).await
            }
            _ => Ok(()),
        }
    }

    /// Whether there is a claim on the old session, or the session itself. Clients invent ids of
    /// plain cookies: without this each one would be a record.
    async fn knows_old(
        &self,
        rules: &TakeOverRules,
        old: &OldKey,
        id: &SessionId,
    ) -> Result<bool, Error> {
        if load(self, id).await?.is_some() {
            return Ok(true);
        }
        // Fails closed: a store that fails counts as one that has it. Nor may it block a logout.
        let work = tokio::time::timeout(self.rules.budget / 4, rules.library.load(old));
        if !matches!(work.await, Ok(Ok(Stored::Nothing))) {
            return Ok(true);
        }
        // The request that has taken it over deletes it after its claim.
        Ok(load(self, id).await?.is_some())
    }

    /// Deletes the old session in the background. A failure changes nothing: its claim counts.
    fn forget_old(&self, rules: &TakeOverRules, old: OldKey) {
        let (library, fail) = (Arc::clone(&rules.library), Arc::clone(&rules.deletions_fail));
        drop(self.tracker.spawn(async move {
            match library.delete(&old).await {
                Ok(()) => fail.store(false, Relaxed),
                // Not a line for each request of an outage.
                Err(error) if fail.swap(true, Relaxed) => {
                    tracing::debug!(%error, "old session not deleted: its claim is kept");
                }
                Err(error) => {
                    tracing::warn!(%error, "old sessions not deleted: their claims are kept");
                }
            }
        }));
    }
}

/// The header that removes the other library's cookie, if it is due: it has ended, or the session
/// of this crate counts.
pub(crate) fn old_removal(session: &RequestSession, state: &State) -> Option<HeaderValue> {
    let counts_no_more = state.old_cookie == OldCookie::Ends
        || state.held.is_some()
        || !matches!(state.cookie, CookieChange::Keep);
    if counts_no_more { session.old_library()?.library.removal() } else { None }
}
