//! Listing and revoking a user's sessions.

use crate::{
    context::SessionContext,
    error::{Error, ErrorKind},
    session::{
        device::LABEL_MAX,
        info::SessionInfo,
        page::{SessionCursor, SessionPage},
        token::SessionId,
    },
    telemetry::cause::By,
};

impl SessionContext {
    /// All sessions of the signed-in user, the latest sign-in first. With a database one round
    /// trip; with Redis alone one, and one more for each 500 sessions.
    ///
    /// # Errors
    ///
    /// `Absent` if no user is signed in; `Unavailable`; `Misconfigured` over
    /// [`WithoutUsers`](crate::store::WithoutUsers).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.save().await?;
    /// assert_eq!(session.sessions().await?[0].created_at, session.created_at().await?.unwrap());
    /// # Ok(()) });
    /// ```
    pub async fn sessions(&self) -> Result<Vec<SessionInfo>, Error> {
        let user = self.signed_in().await?;
        let current = self.id().await?;
        let listed = self.session.backend.sessions_of(&user, current);
        self.session.within_budget(listed).await
    }

    /// One page of [`sessions`](Self::sessions), for users who may have thousands: at most `limit`
    /// sessions, from 1 to 1,000, starting after the position that the previous page returned. A
    /// session created in the meantime is on no later page. With a database one statement, which
    /// reads that page only; with Redis alone one round trip for all ids and one for the page.
    ///
    /// # Errors
    ///
    /// Those of [`sessions`](Self::sessions); `Invalid` for a `limit` out of range.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.save().await?;
    /// let mut next = None;
    /// loop {
    ///     let page = session.sessions_page(next.as_ref(), 100).await?;
    ///     assert_eq!(page.sessions.len(), 1);
    ///     next = page.next;
    ///     if next.is_none() {
    ///         break;
    ///     }
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn sessions_page(
        &self,
        after: Option<&SessionCursor>,
        limit: usize,
    ) -> Result<SessionPage, Error> {
        let user = self.signed_in().await?;
        let current = self.id().await?;
        let page = self.session.backend.sessions_page(&user, current, after, limit);
        self.session.within_budget(page).await
    }

    /// Ends one session of the signed-in user, at once and on every instance; for the current
    /// session the same as [`logout`](Self::logout). Returns false if the user has no such session,
    /// it had ended already, or it has another id by now; [`sessions`](Self::sessions) returns the
    /// current ids.
    ///
    /// # Errors
    ///
    /// `Absent` if no user is signed in; `Unavailable`: the session may or may not have ended.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.save().await?;
    /// let id = session.sessions().await?[0].id;
    /// assert!(session.revoke(&id).await?);
    /// assert_eq!(session.user_id().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn revoke(&self, id: &SessionId) -> Result<bool, Error> {
        let user = self.signed_in().await?;
        if self.id().await?.as_ref() == Some(id) {
            self.logout().await?;
            return Ok(true);
        }
        self.session.within_budget(self.session.backend.revoke_surely(&user, id, By::USER)).await
    }

    /// Ends every other session of the signed-in user, at once and on every instance, and every
    /// [sign-in](Self::begin_login) whose password was checked before; returns how many sessions it
    /// ended. Call it when the password changes.
    ///
    /// # Errors
    ///
    /// `Absent` if no user is signed in; `Unavailable`: some or all may not have ended;
    /// `Misconfigured` over [`WithoutUsers`](crate::store::WithoutUsers).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.save().await?;
    /// assert_eq!(session.revoke_others().await?, 0);
    /// assert_eq!(session.user_id().await?.as_deref(), Some("alice"));
    /// # Ok(()) });
    /// ```
    pub async fn revoke_others(&self) -> Result<u64, Error> {
        let user = self.signed_in().await?;
        let kept = self.id().await?;
        self.session
            .within_budget(self.session.backend.revoke_all_surely(&user, kept, By::USER))
            .await
    }

    /// Ends this session and every other session of its user, at once and in the store, and removes
    /// the cookie. A session without a user ends alone. If a [`login`](Self::login) of another user
    /// is buffered, the sessions of both users end. While a user is
    /// [impersonated](Self::impersonate), their sessions and this one end, but no other session of
    /// the impersonator.
    ///
    /// # Errors
    ///
    /// `Unavailable`: some or all may not have ended. `Misconfigured` over
    /// [`WithoutUsers`](crate::store::WithoutUsers). `Ambiguous`, `Corrupt` and `Unsupported` if
    /// the user cannot be determined: only the sessions that the client's cookies open have ended.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.logout_everywhere().await?;
    /// assert_eq!(session.user_id().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn logout_everywhere(&self) -> Result<(), Error> {
        let stored = match self.record().await {
            Ok(record) => record.user().map(str::to_owned),
            Err(error) if matches!(error.kind(), ErrorKind::Absent | ErrorKind::Expired) => None,
            Err(error) if cannot_tell(&error) => {
                self.logout().await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        // The user of a buffered login, and the stored one.
        let user = self.user_id().await?;
        let impersonates = self.impersonator().await?.is_some();
        let other = stored.filter(|stored| user.as_ref() != Some(stored) && !impersonates);
        for user in user.into_iter().chain(other) {
            let revoked = self.session.backend.revoke_all_surely(&user, None, By::USER);
            let _ = self.session.within_budget(revoked).await?;
        }
        self.logout().await
    }

    /// Sets the user's own name for this session, at most 128 bytes; `None` removes it. Buffered
    /// until the response.
    ///
    /// # Errors
    ///
    /// `Invalid` for an empty label, a longer one, or one with control characters; `Absent`,
    /// `Expired` or `Ambiguous` without a session; `Unavailable`.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.set_label(Some("Phone")).await?;
    /// assert!(session.set_label(Some("")).await.is_err());
    /// # Ok(()) });
    /// ```
    pub async fn set_label(&self, label: Option<&str>) -> Result<(), Error> {
        let is_bad = |label: &str| label.is_empty() || label.len() > LABEL_MAX;
        if label.is_some_and(|label| is_bad(label) || label.contains(char::is_control)) {
            let text = format!("a label has 1 to {LABEL_MAX} bytes and no control characters");
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        self.require_session().await?;
        self.change(|changes| changes.set_label(label)).await
    }

    pub(crate) async fn signed_in(&self) -> Result<String, Error> {
        if let Some(user) = self.user_id().await? {
            return Ok(user);
        }
        let _ = self.record().await?;
        Err(Error::new(ErrorKind::Absent, "no user is signed in"))
    }
}

/// Whether a session exists whose user cannot be determined.
fn cannot_tell(error: &Error) -> bool {
    error.kind() == ErrorKind::Ambiguous || error.is_unreadable()
}
