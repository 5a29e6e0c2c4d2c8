//! Acting as another user, and back.

use crate::{
    context::SessionContext,
    error::{Error, ErrorKind},
    session::impersonation::Switch,
};

/// Longest user that can be acted as, in bytes: the list of sessions shows it.
const USER_MAX: usize = 256;

/// # Impersonation
///
/// An administrator sees the application as one of its users does, and everybody can see who it
/// really is. The session stays the administrator's:
///
/// | | while a user is impersonated |
/// |---|---|
/// | [`user_id`](Self::user_id), guards, snapshot | the user |
/// | [`impersonator`](Self::impersonator) | the administrator |
/// | [`authenticated_at`](Self::authenticated_at), [`is_fresh`](Self::is_fresh) | none, and false: that user proved nothing |
/// | values and platform | begin empty; the administrator's are set aside and come back |
/// | list of sessions | in the administrator's, with `acting_as`; not in the user's |
/// | [`revoke_all`](crate::layer::SessionAdmin::revoke_all) of the administrator | ends it |
/// | `revoke_all` of the user | does not end it: it is no session of theirs |
/// | [`logout`](Self::logout) | ends both |
/// | timeouts | those of the administrator's sign-in |
///
/// [`Event::ImpersonationBegan`](crate::telemetry::Event::ImpersonationBegan) and
/// `ImpersonationEnded` carry both names, and so does the log.
impl SessionContext {
    /// Acts as `user` from here on, under a new id; stored at once, with what is buffered. Who may
    /// do that, and as whom, is for the application to check before.
    ///
    /// # Errors
    ///
    /// `Absent` if nobody is signed in; `Forbidden` if a user is impersonated already; `Invalid`
    /// for the user who is signed in, an empty one or one above 256 bytes; `TooLarge` as in
    /// [`insert`](Self::insert); `Closed` after the head; those of [`save`](Self::save). Nobody is
    /// impersonated then.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("root").await?;
    /// session.impersonate("alice").await?;
    /// assert_eq!(session.user_id().await?.as_deref(), Some("alice"));
    /// assert_eq!(session.impersonator().await?.as_deref(), Some("root"));
    /// # Ok(()) });
    /// ```
    pub async fn impersonate(&self, user: &str) -> Result<(), Error> {
        if user.is_empty() || user.len() > USER_MAX {
            let text = format!("a user to be impersonated has 1 to {USER_MAX} bytes");
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        let actor = self.signed_in().await?;
        // Fails closed: nobody reaches a third user by way of a second one's rights.
        if self.impersonator().await?.is_some() {
            return Err(Error::new(ErrorKind::Forbidden, "a user is impersonated already"));
        }
        if actor == user {
            return Err(Error::new(ErrorKind::Invalid, "nobody impersonates themselves"));
        }
        self.switch(Switch::Begin(user.into())).await?;
        self.session.tell_of_impersonation(&actor, user, true);
        Ok(())
    }

    /// The user who signed in, while another one is impersonated; else none.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("root").await?;
    /// assert_eq!(session.impersonator().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn impersonator(&self) -> Result<Option<String>, Error> {
        self.read(|state| Ok(state.changes.impersonator(state.base()?))).await?
    }

    /// Back to the user who signed in, under a new id, with the values, the platform and the time
    /// of that sign-in; what was put into the session meanwhile goes. Stored at once. False, and
    /// nothing is done, if nobody is impersonated.
    ///
    /// # Errors
    ///
    /// `Closed` after the head; those of [`save`](Self::save).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("root").await?;
    /// session.insert("theme", "dark").await?;
    /// session.impersonate("alice").await?;
    /// assert!(session.keys().await?.is_empty());
    /// assert!(session.end_impersonation().await?);
    /// assert_eq!(session.user_id().await?.as_deref(), Some("root"));
    /// assert_eq!(session.keys().await?, ["theme"]);
    /// # Ok(()) });
    /// ```
    pub async fn end_impersonation(&self) -> Result<bool, Error> {
        let Some(actor) = self.impersonator().await? else { return Ok(false) };
        let user = self.signed_in().await?;
        self.switch(Switch::End).await?;
        self.session.tell_of_impersonation(&actor, &user, false);
        Ok(true)
    }

    async fn switch(&self, switch: Switch) -> Result<(), Error> {
        self.read(|state| state.may_set_cookie()).await??;
        // What is buffered is of the user before.
        if self.session.is_dirty() {
            self.save().await?;
        }
        self.change(|changes| changes.switch(switch)).await?;
        let saved = self.save().await;
        if saved.is_err() {
            // Fails closed: the response must not try it again.
            self.session.state().changes.forget_switch();
        }
        saved
    }
}
