//! Sessions as tower-sessions, axum-login, axum_session and actix-session write them, one JSON record
//! a line.
//!
//!     import-samples <port of a Redis>

use std::collections::BTreeSet;

use actix_session::{Session as ActixSession, SessionMiddleware, storage::RedisSessionStore};
use axum::{Router, body::Body, routing::get};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, UserId};
use axum_session::{SessionConfig, SessionLayer, SessionStore};
use axum_session_redispool::SessionRedisPool;
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower_sessions::{Session, SessionManagerLayer};
use tower_sessions_redis_store::{RedisStore, fred::prelude::*};

/// 00..3f.
fn key() -> [u8; 64] {
    std::array::from_fn(|at| at as u8)
}

fn cart() -> Value {
    json!({ "items": ["tea", "grün"], "total": 4.5, "note": null })
}

/// The Redis, whose new keys are the samples.
struct Samples {
    redis: redis::aio::MultiplexedConnection,
    known: BTreeSet<String>,
}

impl Samples {
    async fn new(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let mut redis = client.get_multiplexed_async_connection().await.unwrap();
        let known = redis.keys("*").await.unwrap();
        Self { redis, known }
    }

    /// Prints the session that has been written, and the cookie of its response.
    async fn show(&mut self, name: &str, library: &str, set_cookie: &str) {
        let keys: BTreeSet<String> = self.redis.keys("*").await.unwrap();
        let new: Vec<_> = keys.difference(&self.known).cloned().collect();
        let [key] = new.as_slice() else { panic!("{name}: {} new keys", new.len()) };
        let value: Vec<u8> = self.redis.get(key).await.unwrap();
        let value: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        let ttl: i64 = self.redis.ttl(key).await.unwrap();
        let cookie = set_cookie.split(';').next().unwrap();
        let record = json!({
            "name": name, "library": library, "cookie": cookie, "key": key, "value": value, "ttl": ttl,
        });
        println!("{record}");
        self.known = keys;
    }

    /// The first request to an application on axum.
    async fn ask(&mut self, name: &str, library: &str, app: Router) {
        let request = axum::http::Request::get("/").header("user-agent", "ua");
        let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert!(response.status().is_success(), "{name}: {}", response.status());
        let cookies = response.headers().get_all("set-cookie").iter();
        let cookies: Vec<_> = cookies.map(|cookie| cookie.to_str().unwrap().to_owned()).collect();
        let named = |cookie: &&String| cookie.starts_with("id=") || cookie.starts_with("session=");
        self.show(name, library, cookies.iter().find(named).unwrap()).await;
    }
}

async fn write(session: Session) {
    session.insert("user_id", 42).await.unwrap();
    session.insert("visits", 3).await.unwrap();
    session.insert("cart", cart()).await.unwrap();
}

async fn tower_sessions(samples: &mut Samples, url: &str) {
    let library = "tower-sessions 0.14, tower-sessions-redis-store 0.16";
    let pool = Pool::new(Config::from_url(url).unwrap(), None, None, None, 1).unwrap();
    let _ = pool.connect();
    pool.wait_for_connect().await.unwrap();
    let app = || Router::new().route("/", get(write));
    let layer = || SessionManagerLayer::new(RedisStore::new(pool.clone()));
    let key = tower_sessions::cookie::Key::from(&key());
    samples.ask("tower-sessions written now", library, app().layer(layer())).await;
    let signed = app().layer(layer().with_signed(key.clone()));
    samples.ask("tower-sessions written now, signed", library, signed).await;
    let private = app().layer(layer().with_private(key));
    samples.ask("tower-sessions written now, private", library, private).await;

    let app = Router::new().route("/", get(sign_in));
    let app = app.layer(AuthManagerLayerBuilder::new(Users, layer()).build());
    samples.ask("axum-login", "axum-login 0.18", app).await;
}

#[derive(Clone, Debug)]
struct User;

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        42
    }

    fn session_auth_hash(&self) -> &[u8] {
        b"pw-hash-of-42"
    }
}

#[derive(Clone)]
struct Users;

impl AuthnBackend for Users {
    type User = User;
    type Credentials = ();
    type Error = std::convert::Infallible;

    async fn authenticate(&self, (): ()) -> Result<Option<User>, Self::Error> {
        Ok(Some(User))
    }

    async fn get_user(&self, _: &UserId<Self>) -> Result<Option<User>, Self::Error> {
        Ok(Some(User))
    }
}

async fn sign_in(mut session: AuthSession<Users>) {
    session.login(&User).await.unwrap();
    session.session.insert("theme", "dark").await.unwrap();
}

async fn write_axum(session: axum_session::Session<SessionRedisPool>) {
    session.set("user_id", 42);
    session.set("visits", 3);
    session.set("name", "alice");
    session.set("cart", cart());
}

async fn axum_session(samples: &mut Samples, url: &str) {
    let key = axum_session::Key::from(&key());
    let plain = SessionConfig::default();
    for (name, config) in [
        ("axum_session default written now", plain.clone()),
        ("axum_session signed written now", plain.clone().with_key(key.clone())),
        ("axum_session encrypted written now", plain.with_key(key.clone()).with_database_key(key)),
    ] {
        let pool = redis_pool::RedisPool::from(redis::Client::open(url).unwrap());
        let store = SessionStore::<SessionRedisPool>::new(Some(pool.into()), config).await.unwrap();
        let app = Router::new().route("/", get(write_axum)).layer(SessionLayer::new(store));
        let library = "axum_session 0.22, axum_session_redispool 0.13";
        samples.ask(name, library, app).await;
    }
}

async fn write_actix(session: ActixSession) -> &'static str {
    session.insert("user_id", 42).unwrap();
    session.insert("visits", 3).unwrap();
    session.insert("name", "alice").unwrap();
    session.insert("cart", cart()).unwrap();
    ""
}

async fn actix_session(samples: &mut Samples, url: &str) {
    use actix_session::config::CookieContentSecurity::{Private, Signed};
    for (name, security, prefix) in [
        ("actix-session written now", Private, ""),
        ("actix-session signed, written now", Signed, ""),
        ("actix-session keygen, written now", Private, "session:"),
    ] {
        let store = RedisSessionStore::builder(url).cache_keygen(move |id| format!("{prefix}{id}"));
        let store = store.build().await.unwrap();
        let key = actix_web::cookie::Key::from(&key());
        let layer = SessionMiddleware::builder(store, key).cookie_content_security(security);
        let app = actix_web::App::new()
            .wrap(layer.build())
            .route("/", actix_web::web::get().to(write_actix));
        let app = actix_web::test::init_service(app).await;
        let request = actix_web::test::TestRequest::get().uri("/").to_request();
        let response = actix_web::test::call_service(&app, request).await;
        let cookie = response.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
        samples.show(name, "actix-session 0.11", &cookie).await;
    }
}

#[actix_web::main]
async fn main() {
    let url = format!("redis://127.0.0.1:{}", std::env::args().nth(1).expect("a port"));
    let mut samples = Samples::new(&url).await;
    tower_sessions(&mut samples, &url).await;
    axum_session(&mut samples, &url).await;
    actix_session(&mut samples, &url).await;
}
