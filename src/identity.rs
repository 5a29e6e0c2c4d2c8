//! Who is signed in, with which platform, since when and for how long; and the ways out.

use crate::{
    commit::touch,
    context::SessionContext,
    error::{Error, ErrorKind},
    expiry::SessionExpiry,
    request::{CookieChange, Presence, State},
    timestamp::Timestamp,
    token::SessionId,
};

/// Longest user or platform, in bytes.
const NAME_MAX: usize = 1024;

/// A session at one moment, from [`SessionContext::snapshot`].
///
/// ```
/// # tower_redis_session::doc::handle(|session| async move {
/// session.login("alice", None).await?;
/// session.save().await?;
/// let snapshot = session.snapshot().await?;
/// assert_eq!(snapshot.user_id.as_deref(), Some("alice"));
/// assert!(snapshot.expires_at > snapshot.created_at);
/// # Ok(()) });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The public id.
    pub id: SessionId,
    /// The user that is signed in.
    pub user_id: Option<String>,
    /// The active platform.
    pub platform_id: Option<String>,
    /// When the session was created, or signed in to.
    pub created_at: Timestamp,
    /// The activity before this request, as far as it was written down.
    pub last_activity: Timestamp,
    /// When it ends if nothing more happens.
    pub expires_at: Timestamp,
}

impl SessionContext {
    /// All about the session at once, buffered changes of user and platform included.
    ///
    /// # Errors
    ///
    /// `Absent`, `Expired`, `Corrupt`, `Unsupported` or `Ambiguous` tell why there is none.
    ///
    /// ```
    /// # use tower_redis_session::ErrorKind;
    /// # tower_redis_session::doc::handle(|session| async move {
    /// assert_eq!(session.snapshot().await.unwrap_err().kind(), ErrorKind::Absent);
    /// # Ok(()) });
    /// ```
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        let record = self.record().await?;
        self.read(|state| {
            let id = state.held.as_ref().map(|held| held.id).ok_or_else(Error::absent)?;
            Ok(Snapshot {
                id,
                user_id: state.changes.user(Some(&record)),
                platform_id: state.changes.platform(Some(&record)),
                created_at: record.created,
                last_activity: record.last_activity,
                expires_at: record.end(),
            })
        })
        .await?
    }

    /// The user that is signed in, or none.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// assert_eq!(session.user_id().await?, None);
    /// session.login("alice", None).await?;
    /// assert_eq!(session.user_id().await?.as_deref(), Some("alice"));
    /// # Ok(()) });
    /// ```
    pub async fn user_id(&self) -> Result<Option<String>, Error> {
        self.read(|state| Ok(state.changes.user(state.base()?))).await?
    }

    /// The active platform, or none.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// session.login("alice", Some("pixelfed-1")).await?;
    /// assert_eq!(session.platform_id().await?.as_deref(), Some("pixelfed-1"));
    /// # Ok(()) });
    /// ```
    pub async fn platform_id(&self) -> Result<Option<String>, Error> {
        self.read(|state| Ok(state.changes.platform(state.base()?))).await?
    }

    /// When the session was created, or signed in to; `None` without a stored session.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// assert_eq!(session.created_at().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn created_at(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|state| Ok(state.base()?.map(|record| record.created))).await?
    }

    /// The activity before this request, as far as it was written down: never "now".
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// assert_eq!(session.last_activity().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn last_activity(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|state| Ok(state.base()?.map(|record| record.last_activity))).await?
    }

    /// When the session ends if nothing more happens: the earlier of both ends.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// session.insert("theme", "dark").await?;
    /// session.save().await?;
    /// assert!(session.expires_at().await? > session.created_at().await?);
    /// # Ok(()) });
    /// ```
    pub async fn expires_at(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|state| Ok(state.base()?.map(|record| record.end()))).await?
    }

    /// Signs `user` in, with an active platform or none. Buffered; when it is stored the session
    /// gets a new id, the old one is dead in the same step, and the absolute time starts afresh.
    ///
    /// The values of an anonymous session, or of the same user's, stay; those of another user go.
    /// If the session that was there ended meanwhile, a new one begins.
    ///
    /// # Errors
    ///
    /// `Invalid` for an empty user or platform, or one above 1,024 bytes; `TooLarge` as in
    /// [`insert`](Self::insert); `Closed` after the head.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// session.insert("cart", &["tea"]).await?;
    /// session.login("alice", None).await?;
    /// assert_eq!(session.keys().await?, ["cart"]);
    /// # Ok(()) });
    /// ```
    pub async fn login(&self, user: &str, platform: Option<&str>) -> Result<(), Error> {
        check_name("user", user)?;
        if let Some(platform) = platform {
            check_name("platform", platform)?;
        }
        let backend = &self.session.backend;
        let login = |state: &mut State| {
            state.may_set_cookie()?;
            state.change(backend, |changes| changes.login(user, platform))?;
            // Something that cannot be read, or several sessions at once, locks nobody out: the
            // login begins a session of its own.
            if state.held.is_none() {
                state.presence = Presence::Absent;
            }
            Ok(())
        };
        self.read(login).await?
    }

    /// Gives the session a new id when it is stored, and the old one dies in the same step: after
    /// a change of privilege. Values and absolute end stay. Nothing happens without a session.
    ///
    /// # Errors
    ///
    /// `Closed` after the head.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
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
            if state.held.is_some() {
                state.may_set_cookie()?;
                state.changes.renew();
            }
            Ok(())
        };
        self.read(renew).await?
    }

    /// Ends the session, at once and in the store; the cookie is cleared. A request in flight
    /// cannot bring it back. What is inserted afterwards begins a new session under a new id.
    ///
    /// Asks the store once, and not at all without a cookie. Works for records that cannot be
    /// read, and ends every session that the client's cookies open.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the session may not have ended. The layer then tries again before the
    /// response, and answers 503 if that fails too: a logout is never a success by mistake.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// session.login("alice", None).await?;
    /// session.logout().await?;
    /// assert_eq!(session.user_id().await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn logout(&self) -> Result<(), Error> {
        self.destroy().await
    }

    /// The same as [`logout`](Self::logout), for sessions without a user.
    ///
    /// # Errors
    ///
    /// As for [`logout`](Self::logout).
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// session.insert("cart", &["tea"]).await?;
    /// session.destroy().await?;
    /// assert!(session.keys().await?.is_empty());
    /// # Ok(()) });
    /// ```
    pub async fn destroy(&self) -> Result<(), Error> {
        self.session.destroy().await
    }

    /// Asks the store, now, whether the session is still good: not ended, revoked or expired.
    /// One round trip, also if the session was loaded before.
    ///
    /// # Errors
    ///
    /// `Absent`, `Expired`, `Corrupt`, `Unsupported` or `Ambiguous` tell why it is not.
    ///
    /// ```
    /// # use tower_redis_session::ErrorKind;
    /// # tower_redis_session::doc::handle(|session| async move {
    /// assert_eq!(session.validate().await.unwrap_err().kind(), ErrorKind::Absent);
    /// session.insert("theme", "dark").await?;
    /// session.save().await?;
    /// assert!(session.validate().await.is_ok());
    /// # Ok(()) });
    /// ```
    pub async fn validate(&self) -> Result<(), Error> {
        let _turn = self.session.turn.lock().await;
        self.session.reload().await?;
        self.record().await.map(|_| ())
    }

    /// Writes down, now, that the session is used; answers whether it was worth it (at most once a
    /// touch interval). Reading does the same by itself, off the response's path.
    ///
    /// # Errors
    ///
    /// `Absent`, `Expired` and so on, if there is no session.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// session.insert("theme", "dark").await?;
    /// session.save().await?;
    /// assert!(!session.touch().await?);
    /// # Ok(()) });
    /// ```
    pub async fn touch(&self) -> Result<bool, Error> {
        let _ = self.record().await?;
        let Some((held, activity)) = self.session.due_touch() else { return Ok(false) };
        touch(&self.session.backend, &held, activity).await
    }

    /// Makes `platform` the active one. Buffered; survives a slow request beside it.
    ///
    /// # Errors
    ///
    /// `Absent` without a session; `Invalid` for an empty name or one above 1,024 bytes.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// session.login("alice", None).await?;
    /// session.set_platform("mastodon-1").await?;
    /// assert_eq!(session.platform_id().await?.as_deref(), Some("mastodon-1"));
    /// # Ok(()) });
    /// ```
    pub async fn set_platform(&self, platform: &str) -> Result<(), Error> {
        check_name("platform", platform)?;
        self.require_session().await?;
        self.change(|changes| changes.set_platform(Some(platform))).await
    }

    /// Leaves the session without an active platform; answers whether there was one. Buffered.
    ///
    /// ```
    /// # tower_redis_session::doc::handle(|session| async move {
    /// session.login("alice", Some("mastodon-1")).await?;
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

    /// Gives this session its own expiry, kept in the record through writes and renewals. The
    /// absolute time counts from its creation or login. Buffered.
    ///
    /// # Errors
    ///
    /// `Absent` without a session; `Invalid` for a time out of its range.
    ///
    /// ```
    /// # use tower_redis_session::SessionExpiry;
    /// # use std::time::Duration;
    /// # tower_redis_session::doc::handle(|session| async move {
    /// session.login("alice", None).await?;
    /// let month = Duration::from_secs(30 * 86_400);
    /// session.set_expiry(SessionExpiry::new(month).absolute(month)).await?;
    /// # Ok(()) });
    /// ```
    pub async fn set_expiry(&self, expiry: SessionExpiry) -> Result<(), Error> {
        expiry.check().map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))?;
        self.require_session().await?;
        self.change(|changes| changes.set_expiry(expiry)).await
    }

    /// There is a session, or changes that will begin one.
    async fn require_session(&self) -> Result<(), Error> {
        let begun = |state: &mut State| state.held.is_none() && !state.changes.is_empty();
        if self.read(begun).await? { Ok(()) } else { self.record().await.map(|_| ()) }
    }
}

impl crate::request::RequestSession {
    /// Cancellation safety: dropped here or failed, the ids stand in `ending`, and the commit before
    /// the head tries again.
    async fn destroy(&self) -> Result<(), Error> {
        if !self.begin_to_end()? {
            return Ok(());
        }
        self.commit().await.map(|_| ())
    }

    /// Forgets the session here and notes what has to go from the store; whether there is any.
    fn begin_to_end(&self) -> Result<bool, Error> {
        let mut ids = self.presented();
        let mut state = self.state();
        if state.stage == crate::request::Stage::Closed {
            return Err(Error::closed());
        }
        let ended_before = matches!(state.cookie, CookieChange::Remove);
        if let Some(held) = state.held.take() {
            ids = vec![held.id];
        } else if ended_before {
            ids.clear();
        }
        state.presence = Presence::Absent;
        state.changes = Default::default();
        state.ending.extend(ids);
        // Whatever the cookies said, this request knows now that it has no session.
        let _ = self.loaded.set(Ok(()));
        Ok(!state.ending.is_empty())
    }
}

fn check_name(what: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > NAME_MAX {
        let text = format!("a {what} has 1 to {NAME_MAX} bytes");
        return Err(Error::new(ErrorKind::Invalid, text));
    }
    Ok(())
}
