//! Administration: health and events of a layer, and the sessions of any user.

use std::{fmt, sync::Arc};

use crate::{
    error::Error,
    layer::RedisSessionLayer,
    request::shared::Backend,
    session::{
        info::SessionInfo,
        page::{SessionCursor, SessionPage},
        token::SessionId,
    },
    telemetry::{
        cause::{By, Cause},
        events::EventStream,
        health::Health,
        report::Report,
    },
};

/// Handle for operators and administrators: health, metrics and events of a layer, and the sessions
/// of any user. From [`RedisSessionLayer::admin`]; for the state of a status page or of an
/// administrator's handlers, which belong behind a [guard](crate::guard).
///
/// Cheap to clone. It has no type parameter, whatever the layer has.
///
/// ```
/// use tower_redis_session::{MemoryStore, RedisSessionLayer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
/// let admin = sessions.admin();
/// assert!(admin.health().is_ready());
/// println!("{} sessions of alice ended", admin.revoke_all("alice").await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionAdmin {
    pub(super) backend: Arc<Backend>,
    actor: Option<Arc<str>>,
}

impl<A> RedisSessionLayer<A> {
    /// The handle for operators and administrators.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer, layer::SessionAdmin};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let admin: SessionAdmin = layer.admin();
    /// assert!(admin.health().is_ready());
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn admin(&self) -> SessionAdmin {
        SessionAdmin { backend: Arc::clone(&self.backend), actor: None }
    }
}

impl SessionAdmin {
    /// The same handle, acting for the administrator `actor`: the events and log lines of what it
    /// [ends](Self::revoke) name them. No administrator is named by default.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert_eq!(layer.admin().on_behalf_of("root").revoke_all("alice").await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn on_behalf_of(self, actor: &str) -> Self {
        Self { actor: Some(actor.into()), ..self }
    }

    pub(super) fn by(&self) -> By {
        let actor = self.actor.as_deref().map(str::to_owned);
        By { cause: Cause::Administrator, actor }
    }

    /// Health of the store as last seen by requests: which store serves reads, the last cause of
    /// failure, whether copies are trusted. Performs no I/O. For a status page, and for a readiness
    /// probe of a store that probes in the background (`DurableStore`); for any other store a
    /// probe calls [`check`](crate::RedisSessionLayer::check), or an instance without requests
    /// stays ready.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert!(layer.admin().health().is_ready());
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn health(&self) -> Health {
        self.backend.store.health()
    }

    /// The same with event counts since this process started, of all layers on this store: of two
    /// such layers collect one. Performs no I/O.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// println!("{}", layer.admin().report().to_json());
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn report(&self) -> Report {
        Report::new(self.health(), &self.backend.events)
    }

    /// Stream of all events from now on, in this process: of this layer, and of the other layers on
    /// its store. The same events are logged through `tracing`. A slow or panicking listener does
    /// not block requests. Ends once the layer, its services and this handle have been dropped.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let mut events = layer.admin().events();
    /// let listener = tokio::spawn(async move {
    ///     while let Some(event) = events.next().await {
    ///         println!("{event:?}");
    ///     }
    /// });
    /// drop(layer);
    /// listener.await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.backend.events.listen_until(self.backend.gone.token())
    }

    /// All live sessions of a user, the latest sign-in first: for an administrator's page. Costs as
    /// much as [`SessionContext::sessions`](crate::SessionContext::sessions).
    ///
    /// # Errors
    ///
    /// `Unavailable`; `Misconfigured` over [`WithoutUsers`](crate::store::WithoutUsers).
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert!(layer.admin().sessions_of("alice").await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn sessions_of(&self, user: &str) -> Result<Vec<SessionInfo>, Error> {
        let listed = self.backend.sessions_of(user, None);
        self.backend.within(self.backend.rules.budget, listed).await
    }

    /// A page of them: see [`SessionContext::sessions_page`](crate::SessionContext::sessions_page).
    ///
    /// # Errors
    ///
    /// Those of [`sessions_of`](Self::sessions_of); `Invalid` for a `limit` out of its range.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert!(layer.admin().sessions_page_of("alice", None, 50).await?.sessions.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn sessions_page_of(
        &self,
        user: &str,
        after: Option<&SessionCursor>,
        limit: usize,
    ) -> Result<SessionPage, Error> {
        let page = self.backend.sessions_page(user, None, after, limit);
        self.backend.within(self.backend.rules.budget, page).await
    }

    /// Ends one session of a user, in the store and so for every instance. False if the user has no
    /// such session, or it had ended already.
    ///
    /// # Errors
    ///
    /// `Unavailable`: it may have ended or not.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer, SessionId};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let id: SessionId = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse()?;
    /// assert!(!layer.admin().revoke("alice", &id).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn revoke(&self, user: &str, id: &SessionId) -> Result<bool, Error> {
        let budget = self.backend.rules.budget.saturating_add(self.backend.acknowledgement);
        self.backend.within(budget, self.backend.revoke_surely(user, id, self.by())).await
    }

    /// Ends every session of a user, in the store and so for every instance: after a password
    /// change, or when an account is closed. Returns how many there were. A concurrent sign-in that
    /// [began](crate::SessionContext::begin_login) before fails.
    ///
    /// # Errors
    ///
    /// `Unavailable`: some or all may not have ended. `Misconfigured` over
    /// [`WithoutUsers`](crate::store::WithoutUsers).
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert_eq!(layer.admin().revoke_all("alice").await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn revoke_all(&self, user: &str) -> Result<u64, Error> {
        let budget = self.backend.rules.budget.saturating_add(self.backend.acknowledgement);
        self.backend.within(budget, self.backend.revoke_all_surely(user, None, self.by())).await
    }

    /// Clears the active platform in every session of a user and returns how many had one. Users
    /// stay signed in; a concurrent activity update may be lost. A concurrent request that chooses
    /// a platform still does. Takes a budget for the list and at most one for each session.
    ///
    /// # Errors
    ///
    /// `Unavailable`: some or all may not have changed, for example while the renewal of one is
    /// unfinished. `Misconfigured` over [`WithoutUsers`](crate::store::WithoutUsers), and
    /// with sealed records, which only their clients can open.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert_eq!(layer.admin().clear_platform_of("alice").await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn clear_platform_of(&self, user: &str) -> Result<u64, Error> {
        self.backend.clear_platform_of(user).await
    }
}

impl fmt::Debug for SessionAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionAdmin").finish_non_exhaustive()
    }
}
