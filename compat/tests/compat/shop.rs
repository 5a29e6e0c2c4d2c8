//! A shop as a program on axum-login has it: the code of its handlers and of its backend names
//! axum-login and tower-sessions alone. One function, [`Shop::app`], names ours.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Form, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use axum_login::{
    AuthUser, AuthnBackend, AuthzBackend, login_required, permission_required,
    tower_sessions::Session,
};
use serde::Deserialize;
use tower_redis_session::RedisSessionLayer;
use tower_redis_session_compat::{axum_login::AuthManagerLayerBuilder, v0_14::SessionManagerLayer};

#[derive(Clone, Debug)]
pub struct User {
    id: i64,
    name: String,
    password: String,
    permissions: HashSet<&'static str>,
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.password.as_bytes()
    }
}

/// Passwords are as they are, and the provider's code is the user's name.
#[derive(Clone, Debug)]
pub enum Credentials {
    Password { name: String, password: String },
    Provider { code: String, sent: String, returned: String },
}

#[derive(Clone, Debug, Default)]
pub struct Backend(Arc<Mutex<HashMap<i64, User>>>);

impl Backend {
    /// `ferris`, 42, who may read; `admin`, 1, who may read and write.
    pub fn new() -> Self {
        let user = |id, name: &str, permissions: &[&'static str]| {
            let permissions = permissions.iter().copied().collect();
            (id, User { id, name: name.to_owned(), password: "hunter42".to_owned(), permissions })
        };
        let users = [user(42, "ferris", &["read"]), user(1, "admin", &["read", "write"])];
        Self(Arc::new(Mutex::new(users.into())))
    }

    pub fn set_password(&self, id: i64, password: &str) {
        self.0.lock().unwrap().get_mut(&id).unwrap().password = password.to_owned();
    }

    fn find(&self, is_it: impl Fn(&User) -> bool) -> Option<User> {
        self.0.lock().unwrap().values().find(|user| is_it(user)).cloned()
    }
}

impl AuthnBackend for Backend {
    type User = User;
    type Credentials = Credentials;
    type Error = Infallible;

    async fn authenticate(&self, credentials: Credentials) -> Result<Option<User>, Infallible> {
        Ok(match credentials {
            Credentials::Password { name, password } => {
                self.find(|user| user.name == name && user.password == password)
            }
            Credentials::Provider { code, sent, returned } if sent == returned => {
                self.find(|user| user.name == code)
            }
            Credentials::Provider { .. } => None,
        })
    }

    async fn get_user(&self, id: &i64) -> Result<Option<User>, Infallible> {
        Ok(self.find(|user| user.id == *id))
    }
}

impl AuthzBackend for Backend {
    type Permission = &'static str;

    async fn get_group_permissions(
        &self,
        user: &User,
    ) -> Result<HashSet<&'static str>, Infallible> {
        Ok(user.permissions.clone())
    }
}

pub type AuthSession = axum_login::AuthSession<Backend>;

#[derive(Deserialize)]
struct LoginForm {
    name: String,
    password: String,
    next: Option<String>,
}

async fn login(mut auth: AuthSession, Form(form): Form<LoginForm>) -> Response {
    let LoginForm { name, password, next } = form;
    let user = match auth.authenticate(Credentials::Password { name, password }).await {
        Ok(Some(user)) => user,
        Ok(None) => return Redirect::to("/login").into_response(),
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    if auth.login(&user).await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    Redirect::to(next.as_deref().unwrap_or("/")).into_response()
}

async fn logout(mut auth: AuthSession) -> Response {
    match auth.logout().await {
        Ok(_) => Redirect::to("/login").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn home(auth: AuthSession) -> Response {
    match auth.user {
        Some(user) => format!("hello {}", user.name).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The start of a sign-in at a provider: its state stays in the visitor's session.
async fn authorize(session: Session, Form(form): Form<HashMap<String, String>>) -> Response {
    session.insert("oauth.state", "Lh8-3kq").await.unwrap();
    session.insert("auth.next", form.get("next")).await.unwrap();
    Redirect::to("https://provider.example/authorize?state=Lh8-3kq").into_response()
}

#[derive(Deserialize)]
struct Callback {
    code: String,
    state: String,
}

async fn callback(
    mut auth: AuthSession,
    session: Session,
    Query(Callback { code, state: returned }): Query<Callback>,
) -> Response {
    let Ok(Some(sent)) = session.get("oauth.state").await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let user = match auth.authenticate(Credentials::Provider { code, sent, returned }).await {
        Ok(Some(user)) => user,
        Ok(None) => return StatusCode::UNAUTHORIZED.into_response(),
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    if auth.login(&user).await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    match session.remove::<String>("auth.next").await {
        Ok(Some(next)) => Redirect::to(&next).into_response(),
        _ => Redirect::to("/").into_response(),
    }
}

/// The user's own change of the password: this session goes on, by a second sign-in.
async fn password(
    State(backend): State<Backend>,
    mut auth: AuthSession,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let id = auth.user.as_ref().unwrap().id;
    backend.set_password(id, &form["password"]);
    let user = backend.get_user(&id).await.unwrap().unwrap();
    auth.login(&user).await.unwrap();
    "changed".into_response()
}

/// The visitor's basket.
async fn add(session: Session) -> String {
    let items = session.get::<u32>("basket").await.unwrap().unwrap_or(0) + 1;
    session.insert("basket", items).await.unwrap();
    items.to_string()
}

async fn basket(session: Session) -> String {
    format!("{:?}", session.get::<u32>("basket").await.unwrap())
}

pub fn routes(backend: Backend) -> Router {
    Router::new()
        .route("/restricted", get(|| async { "restricted" }))
        .route_layer(permission_required!(Backend, login_url = "/login", "write"))
        .route("/", get(home))
        .route_layer(permission_required!(Backend, login_url = "/login", "read"))
        .route("/protected", get(|| async { "protected" }))
        .route("/password", post(password))
        .route_layer(login_required!(Backend, login_url = "/login"))
        .route("/login", post(login).get(|| async { "sign in" }))
        .route("/logout", get(logout))
        .route("/authorize", post(authorize))
        .route("/callback", get(callback))
        .route("/basket", get(basket).post(add))
        .with_state(backend)
}

/// The lines of the program that change.
pub fn app(backend: Backend, sessions: RedisSessionLayer) -> Router {
    let session_layer = SessionManagerLayer::new(sessions);
    let auth_layer = AuthManagerLayerBuilder::new(backend.clone(), session_layer).build();
    routes(backend).layer(auth_layer)
}
