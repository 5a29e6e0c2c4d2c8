//! Sign-in, renewal, logout; the signed-in user and the active platform.

use bytes::Bytes;

use crate::{
    context::SessionContext,
    error::{Error, ErrorKind},
    request::state::State,
    session::external_id::ExternalId,
};

/// Maximum length of a user or platform id, in bytes.
const NAME_MAX: usize = 1024;

impl SessionContext {
    /// The signed-in user, or `None`. While a user is [impersonated](Self::impersonate), the
    /// impersonated user.
    ///
    /// # Errors
    ///
    /// Those of [every method](Self#errors).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert_eq!(session.user_id().await?, None);
    /// session.login("alice").await?;
    /// assert_eq!(session.user_id().await?.as_deref(), Some("alice"));
    /// # Ok(()) });
    /// ```
    pub async fn user_id(&self) -> Result<Option<String>, Error> {
        self.read(|state| Ok(state.changes.user(state.base()?))).await?
    }

    /// The active platform, or `None`.
    ///
    /// # Errors
    ///
    /// Those of [every method](Self#errors).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.set_platform("pixelfed-1").await?;
    /// assert_eq!(session.platform_id().await?.as_deref(), Some("pixelfed-1"));
    /// # Ok(()) });
    /// ```
    pub async fn platform_id(&self) -> Result<Option<String>, Error> {
        self.read(|state| Ok(state.changes.platform(state.base()?))).await?
    }

    /// Signs `user` in, without an active platform: [`set_platform`](Self::set_platform) sets one.
    /// Buffered. When the login is stored, the session gets a new id and the absolute timeout
    /// starts again. From then on the old id can write nothing; it reads the session as it was
    /// before for the [grace](crate::RedisSessionLayerBuilder::renewal_grace) (10 s by default).
    ///
    /// The values of an anonymous session, or of a session of the same user, are kept; those of
    /// another user are removed, buffered ones included. If the loaded session has ended in the
    /// meantime, a new one is created. Every other session that the request's cookies open is ended
    /// first.
    ///
    /// # Errors
    ///
    /// `Invalid` for an empty user or one above 1,024 bytes; `TooLarge` as in
    /// [`insert`](Self::insert); `Closed` after the response head.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("cart", &["tea"]).await?;
    /// session.login("alice").await?;
    /// assert_eq!(session.keys().await?, ["cart"]);
    /// # Ok(()) });
    /// ```
    pub async fn login(&self, user: &str) -> Result<(), Error> {
        self.sign_in(user, None, None, None).await
    }

    /// Signs `user` in, if the user's epoch is still `epoch` when the login is stored.
    pub(crate) async fn sign_in(
        &self,
        user: &str,
        epoch: Option<u64>,
        stamp: Option<Bytes>,
        external_id: Option<ExternalId>,
    ) -> Result<(), Error> {
        check_name("user", user)?;
        let backend = &self.session.backend;
        let login = |state: &mut State| {
            state.may_set_cookie()?;
            let base = state.held.as_ref().map(|held| &*held.record);
            let stranger = state.changes.impersonator(base).is_some()
                || state.changes.user(base).is_some_and(|before| before != user);
            state.change(backend, |changes| {
                if stranger {
                    changes.forget_values();
                }
                changes.login(user, None);
                changes.hold_login_to(epoch, external_id);
                if let Some(json) = stamp {
                    changes.set_stamp(json);
                }
            })?;
            // An unreadable record, or several sessions at once, must not block a login: it creates
            // a session of its own.
            state.pass_over();
            Ok(())
        };
        self.read(login).await?
    }

    /// Gives the session a new id when it is stored. Call it after a change of privilege. Values
    /// and absolute timeout are kept. The old id is no longer written to; it can be read during the
    /// [`renewal_grace`](crate::RedisSessionLayerBuilder::renewal_grace). Does nothing without a
    /// session, or if another request has renewed it already.
    ///
    /// # Errors
    ///
    /// `Closed` after the response head.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("theme", "dark").await?;
    /// session.save().await?;
    /// let old = session.id().await?;
    /// session.renew().await?;
    /// session.save().await?;
    /// assert_ne!(session.id().await?, old);
    /// # Ok(()) });
    /// ```
    pub async fn renew(&self) -> Result<(), Error> {
        let renew = |state: &mut State| {
            if state.base()?.is_some() {
                state.may_set_cookie()?;
                state.changes.renew();
            }
            Ok(())
        };
        self.read(renew).await?
    }

    /// Ends the session in the store, at once, and removes the cookie. A request in flight cannot
    /// revive it. A later `insert` creates a new session under a new id.
    ///
    /// One round trip; none without a cookie. Also ends records that cannot be read, and every
    /// session that the client's cookies open, one after the other.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the session may not have ended. The layer then tries again before the
    /// response and responds with 503 if that fails too: a logout is never reported as done unless
    /// it is.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.logout().await?;
    /// assert_eq!(session.user_id().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn logout(&self) -> Result<(), Error> {
        self.destroy().await
    }

    /// Ends the session as [`logout`](Self::logout) does. For sessions without a user.
    ///
    /// # Errors
    ///
    /// As for [`logout`](Self::logout).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("cart", &["tea"]).await?;
    /// session.destroy().await?;
    /// assert!(session.keys().await?.is_empty());
    /// # Ok(()) });
    /// ```
    pub async fn destroy(&self) -> Result<(), Error> {
        self.session.destroy().await
    }

    /// Sets the active platform. Buffered; a concurrent slow request does not undo it.
    ///
    /// # Errors
    ///
    /// `Absent` without a session; `Invalid` for an empty name or one above 1,024 bytes.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.set_platform("mastodon-1").await?;
    /// assert_eq!(session.platform_id().await?.as_deref(), Some("mastodon-1"));
    /// # Ok(()) });
    /// ```
    pub async fn set_platform(&self, platform: &str) -> Result<(), Error> {
        check_name("platform", platform)?;
        self.require_session().await?;
        self.change(|changes| changes.set_platform(Some(platform))).await
    }

    /// Clears the active platform; returns whether there was one. Buffered.
    ///
    /// # Errors
    ///
    /// Those of [every method](Self#errors).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.set_platform("mastodon-1").await?;
    /// assert!(session.clear_platform().await?);
    /// assert!(!session.clear_platform().await?);
    /// # Ok(()) });
    /// ```
    pub async fn clear_platform(&self) -> Result<bool, Error> {
        let clear = |state: &mut State| {
            let there = state.changes.platform(state.base()?).is_some();
            if there {
                state.writable()?;
                state.changes.set_platform(None);
            }
            Ok(there)
        };
        self.read(clear).await?
    }

    /// Fails unless there is a session, or a buffered change that will create one.
    pub(crate) async fn require_session(&self) -> Result<(), Error> {
        let begun = |state: &mut State| state.held.is_none() && !state.changes.is_empty();
        if self.read(begun).await? { Ok(()) } else { self.record().await.map(|_| ()) }
    }
}

pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > NAME_MAX {
        let text = format!("a {what} has 1 to {NAME_MAX} bytes");
        return Err(Error::new(ErrorKind::Invalid, text));
    }
    Ok(())
}
