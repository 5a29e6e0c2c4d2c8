//! A sign-in in two steps, which fails if the user's sessions are revoked between them.

use std::fmt;

use crate::{
    context::{SessionContext, authentication::check_name, stamp::encode_stamp},
    error::{Error, ErrorKind},
    session::external_id::{ExternalId, NAME_MAX},
};

/// A sign-in whose credentials are being checked, from [`SessionContext::begin_login`].
pub struct LoginAttempt {
    user: Box<str>,
    epoch: u64,
    stamp: Option<Box<str>>,
    external_id: Option<Box<str>>,
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

    /// Adds the name that the identity provider has for this sign-in, of 1 to 1,024 bytes, so that
    /// [`revoke_by_external_id`] ends the session when the provider signs the user out: for OpenID
    /// Connect the issuer and the ID token's `sid`, `"https://id.example.org|08a5019c"`. It is
    /// unique among the service's providers, and at most 16 users sign in under it: for another
    /// one `finish_login` fails with `Invalid`. The session keeps it when it moves, until the next
    /// sign-in. Only its SHA-256 hash is stored.
    ///
    /// The session needs an absolute timeout. Until that has passed the store keeps a record of the
    /// name, also after a logout: a few hundred bytes for each sign-in. It costs a sign-in or a
    /// renewal one more round trip, and three where the record exists.
    ///
    /// A logout of the provider finds the sessions by that record. Over a
    /// [`RedisStore`](crate::RedisStore) an eviction or a failover can lose it, and the logout then
    /// ends nothing: the eviction policy `noeviction` prevents the first, a
    /// [`DurableStore`](crate::DurableStore) both. Sessions whose sign-in had no name have no
    /// record.
    ///
    /// [`revoke_by_external_id`]: crate::layer::SessionAdmin::revoke_by_external_id
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// let (issuer, sid) = ("https://id.example.org", "08a5019c");
    /// let attempt = session.begin_login("alice").await?;
    /// session.finish_login(attempt.with_external_id(format!("{issuer}|{sid}"))).await?;
    /// assert_eq!(session.user_id().await?.as_deref(), Some("alice"));
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn with_external_id(self, name: impl Into<Box<str>>) -> Self {
        Self { external_id: Some(name.into()), ..self }
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
        Ok(LoginAttempt { user: user.into(), epoch, stamp: None, external_id: None })
    }

    /// Completes the sign-in: [`login`](Self::login), stored at once.
    ///
    /// # Errors
    ///
    /// `Revoked` if all sessions of the user were revoked since the attempt began, or its
    /// [external id](LoginAttempt::with_external_id) within 5 minutes: the user is not signed in.
    /// `Invalid` for an external id out of its bounds, and for its 17th user; `Misconfigured` for
    /// one without an absolute timeout. Otherwise those of [`login`](Self::login) and
    /// [`save`](Self::save).
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
        let external_id = attempt.external_id.as_deref().map(external_id).transpose()?;
        self.sign_in(&attempt.user, Some(attempt.epoch), stamp, external_id).await?;
        let saved = self.save().await;
        if saved.as_ref().is_err_and(|error| error.kind() == ErrorKind::Revoked) {
            // Fails closed: the response must not retry it.
            self.session.state().changes.forget_login(attempt.epoch);
        }
        saved
    }
}

/// The hash of an external id.
pub(crate) fn external_id(name: &str) -> Result<ExternalId, Error> {
    if name.is_empty() || name.len() > NAME_MAX {
        let text = format!("an external id has 1 to {NAME_MAX} bytes");
        return Err(Error::new(ErrorKind::Invalid, text));
    }
    Ok(ExternalId::of(name))
}

impl fmt::Debug for LoginAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginAttempt").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
