//! A sign-in in two steps, which fails if the user's sessions are revoked between them.

use std::fmt;

use crate::{
    context::{SessionContext, authentication::check_name, stamp::encode_stamp},
    error::{Error, ErrorKind},
};

/// A sign-in whose credentials are being checked, from [`SessionContext::begin_login`].
pub struct LoginAttempt {
    user: Box<str>,
    epoch: u64,
    stamp: Option<Box<str>>,
}

impl LoginAttempt {
    /// The user who is signing in.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert_eq!(session.begin_login("alice").await?.user(), "alice");
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Adds a [stamp](SessionContext::set_stamp), stored in the same step.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// let attempt = session.begin_login("alice").await?;
    /// session.finish_login(attempt.with_stamp("changes: 3")).await?;
    /// assert_eq!(session.stamp().await?.as_deref(), Some("changes: 3"));
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn with_stamp(self, stamp: impl Into<Box<str>>) -> Self {
        Self { stamp: Some(stamp.into()), ..self }
    }
}

impl SessionContext {
    /// Begins the sign-in of `user`, before the password is checked: if all sessions of the user
    /// are revoked afterwards, [`finish_login`](Self::finish_login) fails. So after a password
    /// change and a revocation, a sign-in that checked the old password fails. One round trip.
    ///
    /// # Errors
    ///
    /// `Invalid` for an empty user or one above 1,024 bytes; `Misconfigured` over
    /// [`WithoutUsers`](crate::store::WithoutUsers).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// # fn is_right(_: &str) -> bool { true }
    /// let attempt = session.begin_login("alice").await?;
    /// if is_right("the password") {
    ///     session.finish_login(attempt).await?;
    /// }
    /// assert_eq!(session.user_id().await?.as_deref(), Some("alice"));
    /// # Ok(()) });
    /// ```
    pub async fn begin_login(&self, user: &str) -> Result<LoginAttempt, Error> {
        check_name("user", user)?;
        let epoch = self.session.backend.store.revocation_epoch(user);
        let epoch = self.session.within_budget(epoch).await?;
        Ok(LoginAttempt { user: user.into(), epoch, stamp: None })
    }

    /// Completes the sign-in: [`login`](Self::login), stored at once.
    ///
    /// # Errors
    ///
    /// `Revoked` if all sessions of the user were revoked since the attempt began: the user is not
    /// signed in. Otherwise those of [`login`](Self::login) and [`save`](Self::save).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// use tower_redis_session::ErrorKind;
    ///
    /// let attempt = session.begin_login("alice").await?;
    /// session.login("alice").await?;
    /// session.logout_everywhere().await?;
    /// let refused = session.finish_login(attempt).await.unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Revoked);
    /// # Ok(()) });
    /// ```
    pub async fn finish_login(&self, attempt: LoginAttempt) -> Result<(), Error> {
        let stamp = attempt.stamp.as_deref().map(encode_stamp).transpose()?;
        self.sign_in(&attempt.user, Some(attempt.epoch), stamp).await?;
        let saved = self.save().await;
        if saved.as_ref().is_err_and(|error| error.kind() == ErrorKind::Revoked) {
            // Fails closed: the response must not retry it.
            self.session.state().changes.forget_login(attempt.epoch);
        }
        saved
    }
}

impl fmt::Debug for LoginAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginAttempt").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
