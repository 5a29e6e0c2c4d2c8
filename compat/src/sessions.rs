//! The layer that puts `tower_sessions::Session` into a request. Compiled once for each version of
//! tower-sessions, whose types are in `theirs`.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use async_trait::async_trait;
use http::{Request, Response, StatusCode, header::RETRY_AFTER};
use time::OffsetDateTime;
use tower_layer::{Identity, Layer};
use tower_redis_session::{Error, SessionContext, Timestamp};
use tower_service::Service;

use super::theirs::{
    Expiry, Session, SessionStore,
    session::{self, Id, Record},
    session_store,
};
use crate::{
    bridge::{Bridge, Write},
    lifetime::Lifetime,
    user::UserPath,
};

/// Puts `tower_sessions::Session` into the extensions of each request, in place of the layer of
/// this name in tower-sessions. What the `Session` holds is the session of
/// [`SessionContext`](tower_redis_session::SessionContext), which handlers may use as well.
///
/// ```
/// use axum::{Router, routing::get};
/// use axum_login::tower_sessions::Session;
/// use tower_redis_session::{MemoryStore, RedisSessionLayer};
/// use tower_redis_session_compat::v0_14::SessionManagerLayer;
///
/// async fn visits(session: Session) -> String {
///     let visits = session.get::<u32>("visits").await.unwrap().unwrap_or(0) + 1;
///     session.insert("visits", visits).await.unwrap();
///     format!("visit {visits}")
/// }
///
/// let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
/// let app = Router::new().route("/", get(visits)).layer(SessionManagerLayer::new(sessions));
/// # let _: Router = app;
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionManagerLayer<L = Identity> {
    sessions: L,
    user: Option<UserPath>,
    expiry: Option<Expiry>,
}

impl<L> SessionManagerLayer<L> {
    /// A layer around `sessions`, which is a
    /// [`RedisSessionLayer`](tower_redis_session::RedisSessionLayer).
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use tower_redis_session_compat::v0_14::SessionManagerLayer;
    /// let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let layer = SessionManagerLayer::new(sessions);
    /// # drop(layer);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn new(sessions: L) -> Self {
        Self { sessions, user: None, expiry: None }
    }

    /// The lifetime of new sessions, whose cookie is persistent then, except with
    /// `Expiry::OnSessionEnd`. Defaults to the timeouts of the `RedisSessionLayer`: prefer to set
    /// them there. `Session::expiry` returns this one until `set_expiry` is called.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use axum_login::tower_sessions::Expiry;
    /// # use tower_redis_session_compat::v0_14::SessionManagerLayer;
    /// let week = Duration::from_secs(7 * 86_400).try_into()?;
    /// let layer = SessionManagerLayer::inside().with_expiry(Expiry::OnInactivity(week));
    /// # drop(layer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = Some(expiry);
        self
    }

    /// The user is the value of this name, or inside of it: a text, or an integer as decimal
    /// digits. When a handler changes this value, the session signs that user in: new id, new
    /// absolute timeout, a place in the user's list of sessions. When it removes the value, the
    /// session ends. Defaults to no users; axum-login's `AuthManagerLayerBuilder` sets it.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use tower_redis_session_compat::v0_14::SessionManagerLayer;
    /// # let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// // `session.insert("account", Account { id, .. })` signs `id` in.
    /// let layer = SessionManagerLayer::new(sessions).user_at(["account", "id"]);
    /// # drop(layer);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn user_at(mut self, path: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.user = UserPath::new(path);
        self
    }

    /// The same, unless it is set already.
    #[cfg(feature = "axum-login")]
    #[allow(dead_code, reason = "one of the versions has axum-login")]
    pub(crate) fn or_user_at(mut self, path: [&'static str; 2]) -> Self {
        self.user = self.user.or_else(|| UserPath::new(path));
        self
    }
}

impl SessionManagerLayer {
    /// A layer for a place inside of an existing `RedisSessionLayer`, around the routes that use
    /// `Session`.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use axum_login::tower_sessions::Session;
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer, SessionContext};
    /// # use tower_redis_session_compat::v0_14::SessionManagerLayer;
    /// # let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let app: Router = Router::new()
    ///     .route("/old", get(|_: Session| async {}))
    ///     .layer(SessionManagerLayer::inside())
    ///     .route("/new", get(|_: SessionContext| async {}))
    ///     .layer(sessions);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn inside() -> Self {
        Self::new(Identity::new())
    }
}

impl<S, L: Layer<SessionManager<S>>> Layer<S> for SessionManagerLayer<L> {
    type Service = L::Service;

    fn layer(&self, inner: S) -> Self::Service {
        let manager = SessionManager { inner, user: self.user.clone(), expiry: self.expiry };
        self.sessions.layer(manager)
    }
}

/// The service of [`SessionManagerLayer`], inside of that of the `RedisSessionLayer`.
#[derive(Clone, Debug)]
pub struct SessionManager<S> {
    inner: S,
    user: Option<UserPath>,
    expiry: Option<Expiry>,
}

type ResponseFuture<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionManager<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    ReqBody: Send + 'static,
    ResBody: Default + Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let context = match SessionContext::from_extensions(request.extensions()) {
            Ok(context) => context,
            Err(error) => {
                tracing::error!(error = %error, "session layer missing: RedisSessionLayer");
                return Box::pin(async { Ok(failure()) });
            }
        };
        let (bridge, expiry) = (Bridge::new(context, self.user.clone()), self.expiry);
        // The service that is ready, and not its clone.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let opened = Opened::new(bridge, expiry).await;
            let _ = request.extensions_mut().insert(opened.session.clone());
            let response = inner.call(request).await?;
            Ok(opened.close(response).await)
        })
    }
}

/// The `Session` of one request, until its response.
struct Opened {
    session: Session,
    store: Arc<Store>,
}

impl Opened {
    async fn new(bridge: Bridge, expiry: Option<Expiry>) -> Self {
        let id = bridge.opened_id(|| Id::default().0).await.map(Id);
        let store = Arc::new(Store {
            bridge,
            session: Mutex::new(None),
            first_expiry: expiry,
            expiry: Mutex::new(expiry),
            with_response: AtomicBool::new(false),
        });
        let session = Session::new(id, Arc::clone(&store), expiry);
        *lock(&store.session) = Some(session.clone());
        Self { session, store }
    }

    /// Hands the changes to the layer around this one, which stores them before the head is sent.
    async fn close<B: Default>(self, mut response: Response<B>) -> Response<B> {
        if self.session.is_modified() && !response.status().is_server_error() {
            let written = if self.session.is_empty().await {
                self.store.end_emptied().await
            } else {
                self.store.with_response.store(true, Ordering::Release);
                let written = self.session.save().await;
                self.store.with_response.store(false, Ordering::Release);
                written
            };
            if let Err(error) = written {
                // Fails closed: a change that is not stored is never reported as stored.
                tracing::error!(error = %error, "session changes rejected");
                response = failure();
            }
        }
        if response.status() == StatusCode::INTERNAL_SERVER_ERROR
            && let Some(error) = self.store.bridge.outage()
        {
            *response.status_mut() = error.status();
            let wait = error.retry_after().map_or(1, |wait| wait.as_secs().max(1));
            let _ = response.headers_mut().insert(RETRY_AFTER, wait.into());
        }
        response
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // The two hold each other.
        *lock(&self.store.session) = None;
    }
}

/// The store behind the `Session` of one request.
struct Store {
    bridge: Bridge,
    /// While the handler runs.
    session: Mutex<Option<Session>>,
    /// The lifetime of new sessions.
    first_expiry: Option<Expiry>,
    /// The lifetime that was applied last.
    expiry: Mutex<Option<Expiry>>,
    /// The handler is done: the layer stores what is buffered.
    with_response: AtomicBool,
}

impl Store {
    async fn write(&self, record: &mut Record, creates: bool) -> Result<(), Error> {
        let wanted = lock(&self.session).as_ref().map(Session::expiry);
        let wanted = wanted.filter(|wanted| *wanted != *lock(&self.expiry));
        let write = Write {
            creates,
            lifetime: wanted.map(lifetime),
            first_lifetime: self.first_expiry.map(Some).map(lifetime),
        };
        self.bridge.write(&record.data, write).await?;
        if let Some(wanted) = wanted {
            *lock(&self.expiry) = wanted;
        }
        if !self.with_response.load(Ordering::Acquire) {
            self.bridge.save().await?;
            record.id = self.bridge.id().await?.map_or(record.id, Id);
        }
        Ok(())
    }

    /// Whether `Session::cycle_id` is calling: it takes the id out of the `Session` first.
    fn cycles(&self) -> bool {
        lock(&self.session).as_ref().is_some_and(|session| session.id().is_none())
    }

    async fn end_emptied(&self) -> Result<(), session::Error> {
        Ok(self.bridge.end_emptied().await.map_err(|error| self.failed(&error))?)
    }

    fn failed(&self, error: &Error) -> session_store::Error {
        self.bridge.failed(error);
        session_store::Error::Backend(error.to_string())
    }
}

#[async_trait]
impl SessionStore for Store {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        self.write(record, true).await.map_err(|error| self.failed(&error))
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        self.write(&mut record.clone(), false).await.map_err(|error| self.failed(&error))
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let loaded = self.bridge.load().await.map_err(|error| self.failed(&error))?;
        let record = |(data, end)| Record { id: *id, data, expiry_date: date(end) };
        Ok(loaded.map(record))
    }

    async fn delete(&self, _: &Id) -> session_store::Result<()> {
        let deleted =
            if self.cycles() { self.bridge.renew().await } else { self.bridge.end().await };
        deleted.map_err(|error| self.failed(&error))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the `Session`, which prints its store.
        f.debug_struct("Store").field("bridge", &self.bridge).finish_non_exhaustive()
    }
}

fn lifetime(expiry: Option<Expiry>) -> Lifetime {
    match expiry {
        Some(Expiry::OnInactivity(idle)) => Lifetime::Idle(idle),
        Some(Expiry::AtDateTime(end)) => Lifetime::Until(end),
        Some(Expiry::OnSessionEnd) | None => Lifetime::Browser,
    }
}

fn date(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + std::time::Duration::from_millis(time.as_millis())
}

fn failure<B: Default>() -> Response<B> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Session` and store hold each other while the handler runs.
    #[test]
    fn neither_a_response_nor_a_request_that_is_dropped_leaves_a_session_behind() {
        tower_redis_session::testing::handle(|context| async move {
            for responds in [true, false] {
                let opened = Opened::new(Bridge::new(context.clone(), None), None).await;
                let (store, session) = (Arc::downgrade(&opened.store), opened.session.clone());
                if responds {
                    session.insert("n", 1).await.unwrap();
                    drop(opened.close(Response::new(())).await);
                } else {
                    drop(opened);
                }
                assert!(store.upgrade().is_some(), "a task of the handler may have it still");
                drop(session);
                assert!(store.upgrade().is_none(), "responds: {responds}");
            }
            Ok(())
        });
    }
}
