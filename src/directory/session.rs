//! A session and the directory together: who is signed in, with which platform, and whether still.

use crate::{
    context::SessionContext,
    directory::{Directory, PlatformInfo, UserInfo, active_platform},
    error::{Error, ErrorKind},
};

/// What became of a session that was [checked](SessionContext::validate_user).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserValidation {
    /// The session is good, and this is its user.
    User(UserInfo),
    /// The session is good, and nobody is signed in.
    Anonymous,
    /// The user is unknown or was deactivated: the session has been ended.
    Ended,
    /// The user has another [stamp](Directory::stamp) than at the sign-in, as after a change of the
    /// password elsewhere: the session has been ended.
    StampChanged,
}

impl SessionContext {
    /// The user that is signed in, as the directory has them. `None` if nobody is, and for one who
    /// is unknown there or not active.
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

    /// The [active platform](active_platform()) of the user: the session's, else the user's
    /// default, else the first. `None` without a user, as by [`user_info`](Self::user_info), or
    /// without a platform.
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

    /// Makes a platform of the user's the active one, and answers with it. Buffered, as
    /// [`set_platform`](Self::set_platform) is, which does not ask whose it is.
    ///
    /// # Errors
    ///
    /// `Absent` if nobody is signed in, as by [`user_info`](Self::user_info); `Forbidden` for a
    /// platform that is not the user's, or not active: nothing tells it from one that does not
    /// exist. Else those of the directory.
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
        let nobody = || Error::new(ErrorKind::Absent, "nobody is signed in");
        let user_id = self.user_id().await?.ok_or_else(nobody)?;
        let _ = active_user(directory, &user_id).await?.ok_or_else(nobody)?;
        let platforms = directory.platforms(&user_id).await?;
        let own = platforms.into_iter().find(|own| own.active && own.id == platform_id);
        let own = own.ok_or_else(|| {
            Error::new(ErrorKind::Forbidden, "the platform is not one of the user's active ones")
        })?;
        self.set_platform(&own.id).await?;
        Ok(own)
    }

    /// Asks the store whether the session is still good, as [`validate`](Self::validate) does, and
    /// the directory whether its user is. The session of a user who is unknown or was deactivated
    /// ends, at once and in the store. So does one whose [stamp](Self::set_stamp) is not the
    /// directory's. While a user is [impersonated](Self::impersonate), both have to be good, and
    /// the stamp is the [`impersonator`](Self::impersonator)'s.
    ///
    /// A directory that does not answer ends nothing.
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
            tracing::info!("the session of a user who is not active any more has been ended");
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

/// A user who was deactivated is none.
async fn active_user(directory: &impl Directory, user_id: &str) -> Result<Option<UserInfo>, Error> {
    Ok(directory.user(user_id).await?.filter(|user| user.active))
}
