//! Issuing and verifying tokens through `SessionContext`.

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
    /// Issues a token for the forms and scripts of a page. Each call returns a new one, and all
    /// tokens of a session are valid at the same time, so tabs do not interfere.
    ///
    /// Bound to the session, if there is a live one: it becomes invalid when the session ends or
    /// gets a new id, so at each login, logout and renewal. A visitor without a session gets a
    /// cookie of its own for it, named like the session's with `_csrf` behind it; nothing is
    /// stored, and the store is not queried. That cookie is removed when a session begins or ends.
    ///
    /// Buffered changes that give the session a new id (a login, a renewal, the first value of a
    /// new session) are stored first, as by [`save`](Self::save), so that the token is bound to the
    /// new id. Call this after such changes: a token issued before them is foreign afterwards.
    ///
    /// # Errors
    ///
    /// Those of [`save`](Self::save) if something has to be stored first. `Unsupported` for a
    /// session that a newer version of this crate has written. `Closed` for a visitor without the
    /// cookie once the head is sent; `Absent` without a session where tokens come in a header
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
            // If the session ended concurrently its changes are gone, and the token is a visitor's.
            let _ = self.session.commit().await?;
        }
        let session = &self.session;
        let key = self.read(|state| key_or_new(session, state)).await??;
        key.issue(session.backend.clock.now())
    }

    /// Verifies a token in a handler: for places that [`CsrfLayer`](crate::csrf::CsrfLayer) does
    /// not read, such as the parts of a `multipart/form-data` body. At most one store round trip,
    /// that of the session's load; none for a malformed token.
    ///
    /// # Errors
    ///
    /// `Refused` with the fault: `Missing` if it is empty, `Malformed`, `Foreign`, or `Expired`
    /// after
    /// [`RedisSessionLayerBuilder::csrf_lifetime`](crate::RedisSessionLayerBuilder::csrf_lifetime).
    /// `Session` if the session could not be loaded: the token may be valid or not.
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
        // Fails closed: without a reply of the store no token is valid.
        let (key, former) = self
            .read(|state| Ok::<_, Error>((key(session, state)?, former_key(session, state)?)))
            .await??;
        let (now, lifetime) = (session.backend.clock.now(), session.backend.rules.csrf_lifetime);
        let verify = |key: Option<CsrfKey>| match key {
            Some(key) => key.verify(&claim, now, lifetime),
            None => Err(CsrfErrorKind::Foreign),
        };
        match verify(key) {
            Err(CsrfErrorKind::Foreign) => Ok(verify(former)?),
            verdict => Ok(verdict?),
        }
    }
}

/// Whether the buffered changes begin a session or move it to another id.
fn gets_another_id(state: &mut State) -> Result<bool, Error> {
    let begins = state.base()?.is_none() && !state.changes.is_empty();
    Ok(begins || state.changes.moves())
}

/// The key of this request's tokens: from the session's secret, or else the visitor's.
fn key(session: &RequestSession, state: &State) -> Result<Option<CsrfKey>, Error> {
    if state.base()?.is_some() {
        return Ok(state.held.as_ref().map(|held| CsrfKey::of_session(&held.token)));
    }
    Ok(visitor_cookie::known(session, state).map(|token| CsrfKey::of_visitor(&token)))
}

/// The key of the tokens that a visitor was given before a change of the cookie.
fn former_key(session: &RequestSession, state: &State) -> Result<Option<CsrfKey>, Error> {
    if state.base()?.is_some() {
        return Ok(None);
    }
    Ok(visitor_cookie::former(session, state).map(|token| CsrfKey::of_visitor(&token)))
}

fn key_or_new(session: &RequestSession, state: &mut State) -> Result<CsrfKey, Error> {
    match key(session, state)? {
        Some(key) => Ok(key),
        None => visitor_cookie::begin(session, state).map(|token| CsrfKey::of_visitor(&token)),
    }
}
