//! A session beyond its response: for WebSockets, streams and spawned tasks.

use std::{fmt, future::Future, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    context::SessionContext,
    error::Error,
    request::{RequestSession, shared::Backend, watch::Watch, watched::SessionEnd},
    session::{
        key::AsKey,
        token::{SessionId, Token},
    },
};

/// The session of a connection that outlives its request, from [`SessionContext::live`]: a
/// WebSocket, an upgraded connection, a stream, a spawned task.
///
/// Each call reads from the store again, in one round trip for a read and two for a write; changes
/// are stored when the call returns. Reads are not activity; writes and [`touch`](Self::touch) are.
/// No response is left to carry a cookie: whatever needs a new id, such as a login or a renewal,
/// fails with `Closed`.
///
/// [`ended`](Self::ended) returns when the session has ended: at once if a layer on the same store
/// ended it in this process, within
/// [`watch_interval`](crate::RedisSessionLayerBuilder::watch_interval) if another instance did, or
/// another layer's limit of sessions per user. One task per process polls the store for all live
/// sessions, 128 at a time.
///
/// Clones share one session and one watch.
///
/// ```
/// use tower_redis_session::{Error, context::{EndReason, LiveSession}};
///
/// async fn connection(session: LiveSession) -> Result<EndReason, Error> {
///     let greeted: u32 = session.update("greeted", |n| n.unwrap_or(0) + 1).await?;
///     println!("hello {:?}, for the {greeted}th time", session.user_id());
///     // In a loop: `select!` between this and the next message.
///     Ok(session.ended().await.reason)
/// }
/// # use std::time::Duration;
/// # tower_redis_session::testing::handle(|session| async move {
/// session.login("alice").await?;
/// let connection = tokio::spawn(connection(session.live().await?));
/// # while session.get::<u32>("greeted").await?.is_none() { session.validate().await?; }
/// session.logout().await?;
/// assert_eq!(connection.await.expect("no panic")?, EndReason::Ended);
/// # Ok(())
/// # });
/// ```
#[derive(Clone)]
pub struct LiveSession(Arc<Live>);

struct Live {
    backend: Arc<Backend>,
    token: Token,
    id: SessionId,
    user_id: Option<String>,
    watch: Watch,
}

impl SessionContext {
    /// The session for a connection that outlives this request. Stores buffered changes first.
    ///
    /// # Errors
    ///
    /// `Absent`, `Expired`, `Corrupt`, `Unsupported` or `Ambiguous` if there is no usable session;
    /// `Moved` if it has another id by now; those of [`save`](Self::save).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert!(session.live().await.is_err());
    /// session.login("alice").await?;
    /// assert_eq!(session.live().await?.user_id(), Some("alice"));
    /// # Ok(())
    /// # });
    /// ```
    pub async fn live(&self) -> Result<LiveSession, Error> {
        if self.session.is_dirty() {
            self.save().await?;
        }
        let _ = self.record().await?;
        let held = self.read(|state| state.held.clone()).await?.ok_or_else(Error::absent)?;
        if held.heir.is_some() {
            return Err(Error::moved());
        }
        let backend = Arc::clone(&self.session.backend);
        let user_id = self.user_id().await?;
        let watch = backend.watch(held.id, held.record.user(), held.record.end());
        Ok(LiveSession(Arc::new(Live { backend, token: held.token, id: held.id, user_id, watch })))
    }
}

impl LiveSession {
    /// The session's public id.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// let live = session.live().await?;
    /// assert_eq!(Some(live.id()), session.id().await?);
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// The signed-in user. It never changes: a sign-in gives the session another id.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// assert_eq!(session.live().await?.user_id(), Some("alice"));
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.0.user_id.as_deref()
    }

    /// Returns the reason once the session has ended: logged out, revoked or expired, in this
    /// process or on another instance. A store that does not respond ends no session before its
    /// known expiry; call [`validate`](Self::validate) where certainty is needed.
    ///
    /// Cancellation safe: a dropped wait loses nothing, so it can be used in a `select!` loop.
    /// Needs a tokio runtime.
    ///
    /// ```
    /// # use tower_redis_session::context::EndReason;
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// let live = session.live().await?;
    /// session.logout().await?;
    /// let end = live.ended().await;
    /// assert_eq!(end.reason, EndReason::Ended);
    /// assert_eq!(end.user_id.as_deref(), Some("alice"));
    /// # Ok(())
    /// # });
    /// ```
    pub async fn ended(&self) -> SessionEnd {
        let reason = self.0.watch.ended().await;
        SessionEnd { reason, id: self.0.id, user_id: self.0.user_id.clone() }
    }

    /// Runs `work` with a handle of its own, as a request would, and stores the buffered changes.
    /// If `work` fails, they are dropped. The handle is closed afterwards.
    ///
    /// # Errors
    ///
    /// Those of `work`; otherwise those of [`SessionContext::save`], if there is something to
    /// store.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// let live = session.live().await?;
    /// live.request(|session| async move {
    ///     session.insert("theme", "dark").await?;
    ///     session.remove("draft").await.map(drop)
    /// })
    /// .await?;
    /// assert_eq!(live.get::<String>("theme").await?.as_deref(), Some("dark"));
    /// # Ok(())
    /// # });
    /// ```
    pub async fn request<T, F, Fut>(&self, work: F) -> Result<T, Error>
    where
        F: FnOnce(SessionContext) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let Live { backend, token, .. } = &*self.0;
        let turn = RequestSession::of_connection(Arc::clone(backend), token.clone());
        let turn = Turn(SessionContext::new(turn));
        let result = work(turn.0.clone()).await?;
        if turn.0.session.is_dirty() {
            turn.0.save().await?;
        }
        Ok(result)
    }

    /// [`SessionContext::get`], read from the store.
    ///
    /// # Errors
    ///
    /// Those of [`SessionContext::get`]; `Absent` or another error if there is no session.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("theme", "dark").await?;
    /// let live = session.live().await?;
    /// assert_eq!(live.get::<String>("theme").await?.as_deref(), Some("dark"));
    /// # Ok(())
    /// # });
    /// ```
    pub async fn get<T: DeserializeOwned>(&self, key: impl AsKey<T>) -> Result<Option<T>, Error> {
        self.request(async |session: SessionContext| {
            let _ = session.record().await?;
            session.get(key).await
        })
        .await
    }

    /// [`SessionContext::update`].
    ///
    /// # Errors
    ///
    /// Those of [`SessionContext::update`].
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// let live = session.live().await?;
    /// assert_eq!(live.update("messages", |n| n.unwrap_or(0) + 1).await?, 1);
    /// # Ok(())
    /// # });
    /// ```
    pub async fn update<T, F>(&self, key: impl AsKey<T>, change: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        self.request(async |session: SessionContext| session.update(key, change).await).await
    }

    /// Checks in the store that the session still exists. Not activity.
    ///
    /// # Errors
    ///
    /// Those of [`SessionContext::validate`]; `Moved` if it has another id by now.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// let live = session.live().await?;
    /// live.validate().await?;
    /// session.logout().await?;
    /// assert!(live.validate().await.is_err());
    /// # Ok(())
    /// # });
    /// ```
    pub async fn validate(&self) -> Result<(), Error> {
        self.request(async |session: SessionContext| {
            let _ = session.record().await?;
            // The grace period of an old id is for requests in flight only.
            let moved = session.read(|state| state.has_moved()).await?;
            if moved { Err(Error::moved()) } else { Ok(()) }
        })
        .await
    }

    /// Counts as activity: extends the idle timeout, as a request does. Call it for what the user
    /// does over the connection, not for what the connection does by itself.
    ///
    /// # Errors
    ///
    /// Those of [`SessionContext::touch`].
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.live().await?.touch().await?;
    /// # Ok(())
    /// # });
    /// ```
    pub async fn touch(&self) -> Result<(), Error> {
        self.request(async |session: SessionContext| session.touch().await.map(drop)).await
    }
}

impl fmt::Debug for LiveSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSession").field("id", &self.0.id).finish_non_exhaustive()
    }
}

/// One call on a connection. Closes the handle at its end, so that no clone changes anything later.
struct Turn(SessionContext);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.session.close();
    }
}
