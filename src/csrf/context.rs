//! Issuing and verifying, by the handle of the session.

use crate::{
    context::SessionContext,
    csrf::{
        error::{CsrfError, CsrfErrorKind},
        token::{Claim, CsrfKey, CsrfToken},
    },
    error::Error,
    request::{RequestSession, state::State, visitor_cookie},
};

impl SessionContext {
    /// A token for the forms and scripts of the page that is being made. Each call gives another,
    /// and all of a session are valid side by side, so tabs do not disturb one another.
    ///
    /// Bound to the session, if a live one came: it dies when the session ends or gets a new id, so
    /// at each login, logout and renewal. A visitor without a session gets a cookie of its own for
    /// it, named like the session's with `_csrf` behind it; nothing is stored, and the store is not
    /// asked. That cookie goes when a session begins or ends.
    ///
    /// What is buffered and will give the session a new id (a login, a renewal, the first value of
    /// a new session) is stored first, as by [`save`](Self::save), so that the token is one for the
    /// new id. Ask for it after such changes: one that was issued before them is foreign
    /// afterwards.
    ///
    /// # Errors
    ///
    /// Those of [`save`](Self::save) if something has to be stored first. `Unsupported` for a
    /// session that a newer version of this crate has written. `Closed` for a visitor without the
    /// cookie after the head; `Absent` without a session where tokens come in a header
    /// ([`Transport::bearer`](crate::Transport::bearer)): nothing can be forged there.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// let before = session.csrf_token().await?;
    /// session.login("alice").await?;
    /// let after = session.csrf_token().await?;
    /// assert!(session.verify_csrf(before.as_str()).await.is_err());
    /// assert!(session.verify_csrf(after.as_str()).await.is_ok());
    /// # Ok(()) });
    /// ```
    pub async fn csrf_token(&self) -> Result<CsrfToken, Error> {
        if self.read(gets_another_id).await?? {
            // If the session ended meanwhile its changes are gone, and the token is a visitor's.
            let _ = self.session.commit().await?;
        }
        let session = &self.session;
        let key = self.read(|state| key_or_new(session, state)).await??;
        key.issue(session.backend.clock.now())
    }

    /// Verifies a token by hand: where [`CsrfLayer`](crate::csrf::CsrfLayer) does not look, as in
    /// the parts of a `multipart/form-data` body. One store round trip at most, that of the first
    /// touch; none for text that is no token.
    ///
    /// # Errors
    ///
    /// `Refused` tells what is wrong with it: `Missing` if it is empty, `Malformed`, `Foreign`, or
    /// `Expired` after
    /// [`RedisSessionLayerBuilder::csrf_lifetime`](crate::RedisSessionLayerBuilder::csrf_lifetime).
    /// `Session` if the session could not be loaded: the token may be right or not.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// use tower_redis_session::csrf::CsrfErrorKind;
    ///
    /// let token = session.csrf_token().await?;
    /// assert!(session.verify_csrf(token.as_str()).await.is_ok());
    /// let refused = session.verify_csrf("").await.unwrap_err();
    /// assert_eq!(refused.kind(), Some(CsrfErrorKind::Missing));
    /// # Ok(()) });
    /// ```
    pub async fn verify_csrf(&self, token: impl AsRef<[u8]>) -> Result<(), CsrfError> {
        let claim = Claim::parse(token.as_ref())?;
        drop(token);
        self.verify_claim(claim).await
    }

    async fn verify_claim(&self, claim: Claim) -> Result<(), CsrfError> {
        let session = &self.session;
        // Fails closed: without an answer of the store no token is right.
        let key = self.read(|state| key(session, state)).await??;
        let (now, lifetime) = (session.backend.clock.now(), session.backend.rules.csrf_lifetime);
        key.ok_or(CsrfErrorKind::Foreign)?.verify(&claim, now, lifetime)?;
        Ok(())
    }
}

/// Whether what is buffered begins a session, or moves it to another id.
fn gets_another_id(state: &mut State) -> Result<bool, Error> {
    let begins = state.base()?.is_none() && !state.changes.is_empty();
    Ok(begins || state.changes.moves())
}

/// What the tokens of this request are made with: the session's secret, or else the visitor's.
fn key(session: &RequestSession, state: &State) -> Result<Option<CsrfKey>, Error> {
    if state.base()?.is_some() {
        return Ok(state.held.as_ref().map(|held| CsrfKey::of_session(&held.token)));
    }
    Ok(visitor_cookie::known(session, state).map(|token| CsrfKey::of_visitor(&token)))
}

fn key_or_new(session: &RequestSession, state: &mut State) -> Result<CsrfKey, Error> {
    match key(session, state)? {
        Some(key) => Ok(key),
        None => visitor_cookie::begin(session, state).map(|token| CsrfKey::of_visitor(&token)),
    }
}
