//! Timestamps and expiry of a session.

use serde::Serialize;

use crate::{
    clock::timestamp::Timestamp,
    context::SessionContext,
    error::{Error, ErrorKind},
    request::{state::State, touch::touch},
    session::{expiry::SessionExpiry, token::SessionId},
};

/// The session at one point in time, from [`SessionContext::snapshot`].
///
/// ```
/// # tower_redis_session::testing::handle(|session| async move {
/// session.login("alice").await?;
/// session.save().await?;
/// let snapshot = session.snapshot().await?;
/// assert_eq!(snapshot.user_id.as_deref(), Some("alice"));
/// assert!(snapshot.expires_at > snapshot.created_at);
/// # Ok(()) });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionSnapshot {
    /// The public id.
    pub id: SessionId,
    /// The signed-in user.
    pub user_id: Option<String>,
    /// The user who signed in, if it is not `user_id`; see
    /// [`impersonator`](SessionContext::impersonator).
    pub impersonator_id: Option<String>,
    /// The active platform.
    pub platform_id: Option<String>,
    /// Time of creation, or of the last sign-in.
    pub created_at: Timestamp,
    /// Time of the last stored activity before this request.
    pub last_activity: Timestamp,
    /// Time of expiry without further activity.
    pub expires_at: Timestamp,
}

impl SessionSnapshot {
    pub(crate) fn of(state: &State) -> Option<Self> {
        let held = state.held.as_ref()?;
        let record = &*held.record;
        Some(Self {
            id: held.live_id(),
            user_id: state.changes.user(Some(record)),
            impersonator_id: state.changes.impersonator(Some(record)),
            platform_id: state.changes.platform(Some(record)),
            created_at: record.created,
            last_activity: record.last_activity,
            expires_at: record.end(),
        })
    }
}

impl SessionContext {
    /// All properties of the session at once, buffered changes of user and platform included.
    ///
    /// # Errors
    ///
    /// `Absent`, `Expired`, `Corrupt`, `Unsupported` or `Ambiguous` if there is no usable session.
    ///
    /// ```
    /// # use tower_redis_session::ErrorKind;
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert_eq!(session.snapshot().await.unwrap_err().kind(), ErrorKind::Absent);
    /// # Ok(()) });
    /// ```
    pub async fn snapshot(&self) -> Result<SessionSnapshot, Error> {
        let _ = self.record().await?;
        self.read(|state| SessionSnapshot::of(state).ok_or_else(Error::absent)).await?
    }

    /// Time of creation, or of the last sign-in; `None` without a stored session.
    ///
    /// # Errors
    ///
    /// Those of [every method](Self#errors).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert_eq!(session.created_at().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn created_at(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|state| Ok(state.base()?.map(|record| record.created))).await?
    }

    /// Time of the last stored activity before this request: never "now".
    ///
    /// # Errors
    ///
    /// Those of [every method](Self#errors).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert_eq!(session.last_activity().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn last_activity(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|state| Ok(state.base()?.map(|record| record.last_activity))).await?
    }

    /// Time of expiry without further activity: the earlier end of idle and absolute timeout.
    ///
    /// # Errors
    ///
    /// Those of [every method](Self#errors).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("theme", "dark").await?;
    /// session.save().await?;
    /// assert!(session.expires_at().await? > session.created_at().await?);
    /// # Ok(()) });
    /// ```
    pub async fn expires_at(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|state| Ok(state.base()?.map(|record| record.end()))).await?
    }

    /// Marks this request as passive: it does not extend the idle timeout. For polling by scripts.
    /// A change still counts as activity, and so does [`touch`](Self::touch).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.mark_passive();
    /// assert_eq!(session.user_id().await?.as_deref(), Some("alice"));
    /// # Ok(()) });
    /// ```
    pub fn mark_passive(&self) {
        self.session.state().unused = true;
    }

    pub(crate) fn remaining(&self, snapshot: &SessionSnapshot) -> std::time::Duration {
        snapshot.expires_at.saturating_since(self.session.backend.clock.now())
    }

    /// When the user authenticated: the time of the last [`login`](Self::login). Renewal and
    /// activity do not change it. `None` if no user is signed in, and for an
    /// [impersonated](Self::impersonate) user.
    ///
    /// # Errors
    ///
    /// Those of [`user_id`](Self::user_id).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert_eq!(session.authenticated_at().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn authenticated_at(&self) -> Result<Option<Timestamp>, Error> {
        let now = self.session.backend.clock.now();
        self.read(|state| Ok(state.changes.proved(state.base()?, now))).await?
    }

    /// Whether the user authenticated at most `within` ago. Check it before sensitive actions, such
    /// as a password change. If false, ask for the password again and call [`login`](Self::login)
    /// with the same user: the values are kept, id and time are new.
    ///
    /// # Errors
    ///
    /// Those of [`user_id`](Self::user_id).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # tower_redis_session::testing::handle(|session| async move {
    /// let within = Duration::from_secs(5 * 60);
    /// assert!(!session.is_fresh(within).await?);
    /// session.login("alice").await?;
    /// assert!(session.is_fresh(within).await?);
    /// # Ok(()) });
    /// ```
    pub async fn is_fresh(&self, within: std::time::Duration) -> Result<bool, Error> {
        let now = self.session.backend.clock.now();
        let since = self.authenticated_at().await?;
        Ok(since.is_some_and(|since| now.saturating_since(since) <= within))
    }

    /// Checks in the store that the session is still valid: not ended, revoked or expired. One
    /// round trip, even if the session was loaded before.
    ///
    /// # Errors
    ///
    /// `Absent`, `Expired`, `Corrupt`, `Unsupported` or `Ambiguous` if it is not.
    ///
    /// ```
    /// # use tower_redis_session::ErrorKind;
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert_eq!(session.validate().await.unwrap_err().kind(), ErrorKind::Absent);
    /// session.insert("theme", "dark").await?;
    /// session.save().await?;
    /// assert!(session.validate().await.is_ok());
    /// # Ok(()) });
    /// ```
    pub async fn validate(&self) -> Result<(), Error> {
        let reload = async {
            let _turn = self.session.accessed().operation_lock.lock().await;
            self.session.reload().await
        };
        self.session.within_budget(reload).await?;
        self.record().await.map(|_| ())
    }

    /// Stores the activity now; returns whether it was stored (at most once per touch interval).
    /// Reading does the same implicitly, in the background.
    ///
    /// # Errors
    ///
    /// `Absent`, `Expired` and others as in [`validate`](Self::validate), if there is no session.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("theme", "dark").await?;
    /// session.save().await?;
    /// assert!(!session.touch().await?);
    /// # Ok(()) });
    /// ```
    pub async fn touch(&self) -> Result<bool, Error> {
        let _ = self.record().await?;
        let Some((held, activity)) = self.session.due_touch() else { return Ok(false) };
        self.session.within_budget(touch(&self.session.backend, &held, activity)).await
    }

    /// Gives this session its own expiry, kept in the record across writes and renewals. The
    /// absolute timeout counts from creation or login, and defaults to the layer's. Buffered.
    ///
    /// # Errors
    ///
    /// `Absent` without a session; `Invalid` for a time out of its range, and for an idle timeout
    /// above the layer's absolute timeout (24 h by default) where no other is given.
    ///
    /// ```
    /// # use tower_redis_session::SessionExpiry;
    /// # use std::time::Duration;
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// let month = Duration::from_secs(30 * 86_400);
    /// session.set_expiry(SessionExpiry::new(month).absolute(month)).await?;
    /// # Ok(()) });
    /// ```
    pub async fn set_expiry(&self, expiry: SessionExpiry) -> Result<(), Error> {
        let layer = self.session.backend.rules.policy.expiry;
        let checked = expiry.or_absolute_of(layer).check();
        checked.map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))?;
        self.require_session().await?;
        self.change(|changes| changes.set_expiry(expiry)).await
    }
}
