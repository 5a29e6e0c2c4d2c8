//! Stamps: end a session when the user's password changes elsewhere.

use bytes::Bytes;

use crate::{
    context::SessionContext,
    error::{Error, ErrorKind},
    session::{json, reserved::STAMP_MAX},
};

/// # Stamps
///
/// A stamp identifies the state of the credentials behind a sign-in: a hash of the stored password
/// hash, or a counter of password changes. It is stored with the session and compared with the
/// current one. So a session ends after a password change elsewhere, even by a system that does not
/// know of sessions.
///
/// A session without a stamp is not compared: sessions from before the application used stamps stay
/// valid. [`validate_user`](Self::validate_user) gets the current stamp from a
/// [`Directory`](crate::directory::Directory).
impl SessionContext {
    /// Stores the stamp of the signed-in user. Buffered, so that it is stored together with a
    /// preceding [`login`](Self::login). The next sign-in removes it. Counts towards the record
    /// size as a value does.
    ///
    /// Read the stamp before the password is checked, together with the password hash. After a
    /// password change in this session, set the new stamp and [`save`](Self::save) at once: a
    /// request that compares in between ends the session.
    ///
    /// Does nothing while a user is [impersonated](Self::impersonate): the stamp is that of the
    /// user who signed in.
    ///
    /// # Errors
    ///
    /// `Absent` if no user is signed in; `Invalid` for an empty stamp or one above 128 bytes;
    /// `TooLarge` as in [`insert`](Self::insert).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.set_stamp("changes: 3").await?;
    /// assert!(session.keys().await?.is_empty());
    /// assert_eq!(session.stamp().await?.as_deref(), Some("changes: 3"));
    /// # Ok(()) });
    /// ```
    pub async fn set_stamp(&self, stamp: &str) -> Result<(), Error> {
        let json = encode_stamp(stamp)?;
        let _ = self.signed_in().await?;
        if self.impersonator().await?.is_some() {
            return Ok(());
        }
        self.change(|changes| changes.set_stamp(json)).await
    }

    /// The stamp that was set last, at the sign-in or since.
    ///
    /// # Errors
    ///
    /// Those of [every method](Self#errors).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// assert_eq!(session.stamp().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn stamp(&self) -> Result<Option<String>, Error> {
        let json = self.read(|state| Ok(state.changes.stamp(state.base()?))).await??;
        json.map(|json| json::decode(&json)).transpose()
    }

    /// Ends the session, at once and in the store, if its stamp is not `current`; returns whether
    /// the session stays valid. `None` ends every session that has a stamp. Reads from the store
    /// only before it ends the session: another request may have stored a new stamp.
    ///
    /// While a user is [impersonated](Self::impersonate), `current` is the stamp of the
    /// [`impersonator`](Self::impersonator).
    ///
    /// [`Event::StampChanged`](crate::telemetry::Event::StampChanged) reports it.
    ///
    /// # Errors
    ///
    /// Those of [`validate`](Self::validate) and [`logout`](Self::logout).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.set_stamp("changes: 3").await?;
    /// session.save().await?;
    /// assert!(session.validate_stamp(Some("changes: 3")).await?);
    /// assert!(!session.validate_stamp(Some("changes: 4")).await?);
    /// assert_eq!(session.user_id().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn validate_stamp(&self, current: Option<&str>) -> Result<bool, Error> {
        if self.is_stamped(current).await? {
            return Ok(true);
        }
        self.validate().await?;
        if self.is_stamped(current).await? {
            return Ok(true);
        }
        self.session.destroy_with_old_stamp().await?;
        Ok(false)
    }

    async fn is_stamped(&self, current: Option<&str>) -> Result<bool, Error> {
        let own = self.stamp().await?;
        Ok(own.is_none() || own.as_deref() == current)
    }
}

/// Encodes a stamp for the record.
pub(super) fn encode_stamp(stamp: &str) -> Result<Bytes, Error> {
    if stamp.is_empty() || stamp.len() > STAMP_MAX {
        let text = format!("a stamp has 1 to {STAMP_MAX} bytes");
        return Err(Error::new(ErrorKind::Invalid, text));
    }
    json::encode(stamp)
}
