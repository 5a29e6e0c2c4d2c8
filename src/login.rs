//! A sign-in that ends where the user's sessions are revoked meanwhile, and the way out of all of
//! them at once.

use std::fmt;

use crate::{
    context::SessionContext,
    error::{Error, ErrorKind},
    identity::check_name,
};

/// A sign-in whose credentials are being checked; made by [`SessionContext::begin_login`].
pub struct LoginAttempt {
    user: Box<str>,
    epoch: u64,
}

impl LoginAttempt {
    /// The user who wants to sign in.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// assert_eq!(session.begin_login("alice").await?.user(), "alice");
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }
}

impl SessionContext {
    /// Begins the sign-in of `user`, before the password is checked: if all sessions of the user
    /// are revoked from here on, [`finish_login`](Self::finish_login) refuses. Whoever changes a
    /// password and revokes what there is can so be sure that the old one opens nothing more. One
    /// round trip.
    ///
    /// # Errors
    ///
    /// `Invalid` for an empty user or one above 1,024 bytes; `Misconfigured` with a store that keeps
    /// no list of a user's sessions.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// # fn is_right(_: &str) -> bool { true }
    /// let attempt = session.begin_login("alice").await?;
    /// if is_right("the password") {
    ///     session.finish_login(attempt, None).await?;
    /// }
    /// assert_eq!(session.user_id().await?.as_deref(), Some("alice"));
    /// # Ok(()) });
    /// ```
    pub async fn begin_login(&self, user: &str) -> Result<LoginAttempt, Error> {
        check_name("user", user)?;
        let epoch = self.session.backend.store.epoch(user);
        let epoch = self.session.within_budget(epoch).await?;
        Ok(LoginAttempt { user: user.into(), epoch })
    }

    /// The sign-in itself: [`login`](Self::login), stored at once.
    ///
    /// # Errors
    ///
    /// `Revoked` if all sessions of the user were revoked since the attempt began: nobody is signed
    /// in then. Else those of [`login`](Self::login) and [`save`](Self::save).
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// use tower_redis_session::ErrorKind;
    ///
    /// let attempt = session.begin_login("alice").await?;
    /// session.login("alice", None).await?;
    /// session.logout_everywhere().await?;
    /// let refused = session.finish_login(attempt, None).await.unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Revoked);
    /// # Ok(()) });
    /// ```
    pub async fn finish_login(
        &self,
        attempt: LoginAttempt,
        platform: Option<&str>,
    ) -> Result<(), Error> {
        self.sign_in(&attempt.user, platform, Some(attempt.epoch)).await?;
        let saved = self.save().await;
        if saved.as_ref().is_err_and(|error| error.kind() == ErrorKind::Revoked) {
            // Fails closed: the response must not try it again.
            self.session.state().changes.forget_login(attempt.epoch);
        }
        saved
    }

    /// Ends this session and every other one of its user, at once and in the store; the cookie is
    /// cleared. A session without a user ends alone. Where a [`login`](Self::login) of somebody else
    /// is not stored yet, the sessions of both end.
    ///
    /// # Errors
    ///
    /// `Unavailable`: some or all may not have ended. `Misconfigured` with a store that keeps no
    /// list of a user's sessions. `Ambiguous`, `Corrupt` and `Unsupported` where it cannot be told
    /// whose session it is: what the client's cookies open has ended, and nothing else.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// session.login("alice", None).await?;
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
        // Whoever is about to be signed in, and who was.
        let user = self.user_id().await?;
        let other = stored.filter(|stored| user.as_ref() != Some(stored));
        for user in user.into_iter().chain(other) {
            let revoked = self.session.backend.store.revoke_all(&user);
            let count = self.session.within_budget(revoked).await?;
            tracing::info!(count, "all sessions of a user revoked");
        }
        self.logout().await
    }
}

/// Whether there is something, and nobody knows whose.
fn cannot_tell(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Ambiguous | ErrorKind::Corrupt | ErrorKind::Unsupported)
}

impl fmt::Debug for LoginAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginAttempt").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
