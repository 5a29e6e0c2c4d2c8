//! Impersonation: acting as another user, and back.

use crate::{
    context::SessionContext,
    error::{Error, ErrorKind},
    session::impersonation::Switch,
};

/// Maximum length of an impersonated user's id, in bytes: the list of sessions contains it.
const USER_MAX: usize = 256;

/// # Impersonation
///
/// An administrator sees the application as one of its users does, while logs, events and the list
/// of sessions name both. The session remains the administrator's:
///
/// | | while a user is impersonated |
/// |---|---|
/// | [`user_id`](Self::user_id), guards, snapshot | the user |
/// | [`impersonator`](Self::impersonator) | the administrator |
/// | [`authenticated_at`](Self::authenticated_at), [`is_fresh`](Self::is_fresh) | `None` and false: the user has not authenticated |
/// | values and platform | start empty; the administrator's are set aside and restored at the end |
/// | list of sessions | in the administrator's, with `acting_as`; not in the user's |
/// | [`sessions`](Self::sessions), [`revoke_others`](Self::revoke_others) | the user's |
/// | [`revoke_all`](crate::layer::SessionAdmin::revoke_all) of the administrator | ends it |
/// | `revoke_all` of the user | does not end it: it rests on the administrator's sign-in alone |
/// | [`validate_user`](Self::validate_user) | ends it if either of the two is deactivated |
/// | [`logout`](Self::logout) | ends both |
/// | timeouts | those of the administrator's sign-in |
///
/// To end an impersonation from outside, [`revoke`](crate::layer::SessionAdmin::revoke) the session
/// whose `acting_as` is set in the administrator's list.
///
/// [`Event::ImpersonationBegan`](crate::telemetry::Event::ImpersonationBegan) and
/// `ImpersonationEnded` contain both names, and so does the log.
impl SessionContext {
    /// Acts as `user` from now on, under a new id; stored at once, with the buffered changes. The
    /// application has to check beforehand who may impersonate whom.
    ///
    /// # Errors
    ///
    /// `Absent` if no user is signed in; `Forbidden` if a user is impersonated already; `Invalid`
    /// for the signed-in user, an empty one or one above 256 bytes; `TooLarge` as in
    /// [`insert`](Self::insert); `Closed` after the response head; those of [`save`](Self::save).
    /// After an error no user is impersonated.
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
        // Fails closed: the rights of an impersonated user must not lead to a third user.
        if self.impersonator().await?.is_some() {
            return Err(Error::new(ErrorKind::Forbidden, "a user is impersonated already"));
        }
        if actor == user {
            return Err(Error::new(ErrorKind::Invalid, "a user cannot impersonate themselves"));
        }
        self.switch(Switch::Begin(user.into())).await?;
        self.session.tell_of_impersonation(&actor, user, true);
        Ok(())
    }

    /// The user who signed in, while another user is impersonated; otherwise `None`.
    ///
    /// # Errors
    ///
    /// Those of [every method](Self#errors).
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

    /// Returns to the user who signed in, under a new id, with the values, the platform and the
    /// sign-in time from before; values inserted since are removed. Stored at once. Returns false,
    /// and does nothing, if no user is impersonated.
    ///
    /// # Errors
    ///
    /// `Closed` after the response head; those of [`save`](Self::save).
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
        // The buffered changes belong to the user before the switch.
        if self.session.is_dirty() {
            self.save().await?;
        }
        self.change(|changes| changes.switch(switch)).await?;
        let saved = self.save().await;
        if saved.is_err() {
            // Fails closed: the response must not retry it.
            self.session.state().changes.forget_switch();
        }
        saved
    }
}
