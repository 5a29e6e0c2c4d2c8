//! For axum-login 0.18: `AuthSession`, `login_required!` and `permission_required!`.

use axum_login::{AuthManager, AuthnBackend};
use tower_layer::{Identity, Layer};

use crate::v0_14::{SessionManager, SessionManagerLayer};

/// Configures the layer that puts `axum_login::AuthSession` into the extensions of each request, in
/// place of the builder of this name in axum-login.
///
/// A sign-in by `AuthSession::login` is one of
/// [`SessionContext::login`](tower_redis_session::SessionContext::login): the user is the value
/// `user_id` of the data key, a text or an integer as decimal digits.
///
/// ```
/// use axum::{Router, routing::get};
/// use axum_login::login_required;
/// use tower_redis_session::{MemoryStore, RedisSessionLayer};
/// use tower_redis_session_compat::{
///     axum_login::AuthManagerLayerBuilder, v0_14::SessionManagerLayer,
/// };
///
/// # #[derive(Clone, Debug)]
/// # struct User;
/// # impl axum_login::AuthUser for User {
/// #     type Id = u32;
/// #     fn id(&self) -> u32 { 42 }
/// #     fn session_auth_hash(&self) -> &[u8] { b"hash" }
/// # }
/// # #[derive(Clone)]
/// # struct Backend;
/// # impl axum_login::AuthnBackend for Backend {
/// #     type User = User;
/// #     type Credentials = ();
/// #     type Error = std::convert::Infallible;
/// #     async fn authenticate(&self, _: ()) -> Result<Option<User>, Self::Error> {
/// #         Ok(Some(User))
/// #     }
/// #     async fn get_user(&self, _: &u32) -> Result<Option<User>, Self::Error> { Ok(Some(User)) }
/// # }
/// let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
/// let session_layer = SessionManagerLayer::new(sessions);
/// let auth_layer = AuthManagerLayerBuilder::new(Backend, session_layer).build();
/// let app: Router = Router::new()
///     .route("/", get(|| async { "protected" }))
///     .route_layer(login_required!(Backend, login_url = "/login"))
///     .layer(auth_layer);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AuthManagerLayerBuilder<Backend, L = Identity> {
    backend: Backend,
    sessions: SessionManagerLayer<L>,
    data_key: &'static str,
}

impl<Backend: AuthnBackend, L> AuthManagerLayerBuilder<Backend, L> {
    /// Starts the configuration, over the layer that provides `Session`.
    ///
    /// ```
    /// # use axum_login::AuthnBackend;
    /// # use tower_redis_session_compat::axum_login::AuthManagerLayerBuilder;
    /// # use tower_redis_session_compat::v0_14::SessionManagerLayer;
    /// fn builder<B: AuthnBackend>(backend: B) -> AuthManagerLayerBuilder<B> {
    ///     AuthManagerLayerBuilder::new(backend, SessionManagerLayer::inside())
    /// }
    /// ```
    pub fn new(backend: Backend, sessions: SessionManagerLayer<L>) -> Self {
        Self { backend, sessions, data_key: "axum-login.data" }
    }

    /// The name of the value in which axum-login keeps user and hash. Defaults to
    /// `axum-login.data`.
    ///
    /// ```
    /// # use axum_login::AuthnBackend;
    /// # use tower_redis_session_compat::axum_login::AuthManagerLayerBuilder;
    /// fn named<B: AuthnBackend>(builder: AuthManagerLayerBuilder<B>) -> AuthManagerLayerBuilder<B> {
    ///     builder.with_data_key("shop.auth")
    /// }
    /// ```
    pub fn with_data_key(mut self, data_key: &'static str) -> Self {
        self.data_key = data_key;
        self
    }

    /// The layer.
    ///
    /// ```
    /// # use axum_login::AuthnBackend;
    /// # use tower_redis_session_compat::axum_login::{AuthManagerLayer, AuthManagerLayerBuilder};
    /// fn layer<B: AuthnBackend>(builder: AuthManagerLayerBuilder<B>) -> AuthManagerLayer<B> {
    ///     builder.build()
    /// }
    /// ```
    pub fn build(self) -> AuthManagerLayer<Backend, L> {
        let Self { backend, sessions, data_key } = self;
        let sessions = sessions.or_user_at([data_key, "user_id"]);
        AuthManagerLayer { backend, sessions, data_key }
    }
}

/// Puts `axum_login::AuthSession` and `tower_sessions::Session` into the extensions of each
/// request.
#[derive(Clone, Debug)]
pub struct AuthManagerLayer<Backend, L = Identity> {
    backend: Backend,
    sessions: SessionManagerLayer<L>,
    data_key: &'static str,
}

impl<S, Backend, L> Layer<S> for AuthManagerLayer<Backend, L>
where
    Backend: AuthnBackend,
    L: Layer<SessionManager<AuthManager<S, Backend>>>,
{
    type Service = L::Service;

    fn layer(&self, inner: S) -> Self::Service {
        self.sessions.layer(AuthManager::new(inner, self.backend.clone(), self.data_key))
    }
}
