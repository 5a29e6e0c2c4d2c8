//! The layer that puts `tower_sessions::Session` into a request. Compiled once for each version of
//! tower-sessions, whose types are in `theirs`.

use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_layer::{Identity, Layer};
use tower_redis_session::SessionContext;
use tower_service::Service;

use super::{
    opened::{Opened, failure},
    theirs::Expiry,
};
use crate::{bridge::Bridge, user::UserPath};

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
    /// digits. When a handler changes the user there, or changes the value after `cycle_id`, the
    /// session signs that user in: new id, new absolute timeout, a place in the user's list of
    /// sessions. Any other change of the value is stored as one, and revives no session that was
    /// revoked in the meantime. When a handler removes the value, the session ends. Defaults to no
    /// users; axum-login's `AuthManagerLayerBuilder` sets it.
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
        let [name, _] = path;
        let user = self.user.or_else(|| UserPath::new(path));
        self.user = user.map(|user| user.signing_in_at(name));
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
