//! A session's user and platform from the directory, and their validation.

use crate::{
    context::SessionContext,
    directory::{Directory, PlatformInfo, UserInfo, active_platform},
    error::{Error, ErrorKind},
};

/// Result of [`validate_user`](SessionContext::validate_user).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserValidation {
    /// The session is valid, and this is its user.
    User(UserInfo),
    /// The session is valid, and no user is signed in.
    Anonymous,
    /// The user does not exist or was deactivated: the session has been ended.
    Ended,
    /// The user's [stamp](Directory::stamp) differs from that of the sign-in, for example after a
    /// password change elsewhere: the session has been ended.
    StampChanged,
}

impl SessionContext {
    /// The signed-in user, from the directory. `None` if no user is signed in, or the user does not
    /// exist there or is not active.
    ///
    /// # Errors
    ///
    /// Those of [`user_id`](Self::user_id) and of the directory.
    ///
    /// ```
    /// # use tower_redis_session::testing::Accounts;
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert_eq!(session.user_info(&Accounts).await?, None);
    /// session.login("alice").await?;
    /// assert_eq!(session.user_info(&Accounts).await?.unwrap().role, "member");
    /// # Ok(()) });
    /// ```
    pub async fn user_info(&self, directory: &impl Directory) -> Result<Option<UserInfo>, Error> {
        let Some(user_id) = self.user_id().await? else { return Ok(None) };
        active_user(directory, &user_id).await
    }

    /// The [active platform](active_platform()) of the user: the session's, otherwise the user's
    /// default, otherwise the first. `None` without a user, as in [`user_info`](Self::user_info),
    /// or without a platform.
    ///
    /// # Errors
    ///
    /// Those of [`platform_id`](Self::platform_id) and of the directory.
    ///
    /// ```
    /// # use tower_redis_session::testing::Accounts;
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// assert_eq!(session.platform_info(&Accounts).await?.unwrap().id, "12");
    /// # Ok(()) });
    /// ```
    pub async fn platform_info(
        &self,
        directory: &impl Directory,
    ) -> Result<Option<PlatformInfo>, Error> {
        let Some(user_id) = self.user_id().await? else { return Ok(None) };
        if active_user(directory, &user_id).await?.is_none() {
            return Ok(None);
        }
        let platforms = directory.platforms(&user_id).await?;
        let chosen = self.platform_id().await?;
        Ok(active_platform(&platforms, chosen.as_deref()).cloned())
    }

    /// Makes one of the user's platforms the active one and returns it. Buffered, like
    /// [`set_platform`](Self::set_platform), which does not check the owner.
    ///
    /// # Errors
    ///
    /// `Absent` if no user is signed in, as in [`user_info`](Self::user_info); `Forbidden` for a
    /// platform that does not belong to the user, does not exist or is not active, which are not
    /// distinguished. Otherwise those of the directory.
    ///
    /// ```
    /// # use tower_redis_session::{ErrorKind, testing::Accounts};
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.switch_platform(&Accounts, "11").await?;
    /// assert_eq!(session.platform_info(&Accounts).await?.unwrap().id, "11");
    /// let refused = session.switch_platform(&Accounts, "21").await.unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Forbidden);
    /// # Ok(()) });
    /// ```
    pub async fn switch_platform(
        &self,
        directory: &impl Directory,
        platform_id: &str,
    ) -> Result<PlatformInfo, Error> {
        let nobody = || Error::new(ErrorKind::Absent, "no user is signed in");
        let user_id = self.user_id().await?.ok_or_else(nobody)?;
        let _ = active_user(directory, &user_id).await?.ok_or_else(nobody)?;
        let platforms = directory.platforms(&user_id).await?;
        let own = platforms.into_iter().find(|own| own.active && own.id == platform_id);
        let own = own.ok_or_else(|| {
            Error::new(ErrorKind::Forbidden, "the platform is not an active one of the user")
        })?;
        self.set_platform(&own.id).await?;
        Ok(own)
    }

    /// Checks with the store that the session is valid, as [`validate`](Self::validate) does, and
    /// with the directory that its user is. Ends the session, at once and in the store, if the user
    /// does not exist, was deactivated, or has a [stamp](Self::set_stamp) other than the session's.
    /// While a user is [impersonated](Self::impersonate), both users have to be valid, and the
    /// stamp is that of the [`impersonator`](Self::impersonator).
    ///
    /// If the directory is unreachable, the session is not ended.
    ///
    /// # Errors
    ///
    /// Those of [`validate`](Self::validate), [`logout`](Self::logout) and of the directory.
    ///
    /// ```
    /// # use tower_redis_session::testing::Accounts;
    /// use tower_redis_session::directory::UserValidation;
    ///
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("mallory").await?;
    /// session.save().await?;
    /// assert_eq!(session.validate_user(&Accounts).await?, UserValidation::Ended);
    /// assert_eq!(session.user_id().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn validate_user(&self, directory: &impl Directory) -> Result<UserValidation, Error> {
        self.validate().await?;
        let Some(user_id) = self.user_id().await? else { return Ok(UserValidation::Anonymous) };
        let impersonator = self.impersonator().await?;
        let mut user = active_user(directory, &user_id).await?;
        if let Some(actor) = &impersonator
            && active_user(directory, actor).await?.is_none()
        {
            user = None;
        }
        let Some(user) = user else {
            self.logout().await?;
            tracing::info!("session ended: its user is no longer active");
            return Ok(UserValidation::Ended);
        };
        if self.stamp().await?.is_some() {
            let signed_in = impersonator.unwrap_or(user_id);
            let current = directory.stamp(&signed_in).await?;
            if !self.validate_stamp(current.as_deref()).await? {
                return Ok(UserValidation::StampChanged);
            }
        }
        Ok(UserValidation::User(user))
    }
}

/// A deactivated user counts as absent.
async fn active_user(directory: &impl Directory, user_id: &str) -> Result<Option<UserInfo>, Error> {
    Ok(directory.user(user_id).await?.filter(|user| user.active))
}
