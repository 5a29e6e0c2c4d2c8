//! What a client makes up ends nothing and is counted nowhere, whatever the store: `destroyed`
//! counts sessions.
//!
//! To see these fail: tell of an end without asking whether the store had one.

use std::convert::Infallible;

use http::{Request, Response, header};
use tower::{Layer, ServiceExt};
use tower_redis_session::{MemoryStore, RedisSessionLayer, SessionContext, store::UserStore};

use crate::stores::Stores;

const NAME: &str = "__Host-session";

/// One request with these cookies; the cookie that it was answered with.
async fn ask(layer: &RedisSessionLayer, act: &'static str, cookies: &str) -> Option<String> {
    let service = layer.layer(tower::service_fn(move |request: Request<()>| async move {
        let session = request.extensions().get::<SessionContext>().unwrap();
        match act {
            "login" => session.login("alice").await.unwrap(),
            "look and logout" => {
                let _ = session.user_id().await.unwrap();
                session.logout().await.unwrap();
            }
            _ => session.logout().await.unwrap(),
        }
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let request = Request::builder().header(header::COOKIE, cookies).body(()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200, "{act}");
    let cookie = response.headers().get(header::SET_COOKIE)?.to_str().unwrap();
    Some(cookie.split(';').next().unwrap().to_owned())
}

async fn counts_only_sessions(store: impl UserStore, meanwhile: impl FnOnce()) {
    let budget = std::time::Duration::from_secs(20);
    let layer = RedisSessionLayer::builder(store).budget(budget).build().unwrap();
    layer_counts_only_sessions(layer, meanwhile).await;
}

async fn layer_counts_only_sessions(layer: RedisSessionLayer, meanwhile: impl FnOnce()) {
    let made_up = |letter: &str| format!("{NAME}={}A", letter.repeat(42));
    let crowd = format!("{}; {}; {}", made_up("A"), made_up("B"), made_up("C"));
    let destroyed = || layer.admin().report().count("destroyed").unwrap();
    for act in ["logout", "look and logout", "login"] {
        let _ = ask(&layer, act, &made_up("A")).await;
        let _ = ask(&layer, act, &crowd).await;
        assert_eq!(destroyed(), 0, "{act} with made-up cookies");
    }
    // One that is there, among them; then its cookie once more.
    let cookie = ask(&layer, "login", &crowd).await.unwrap();
    for counted in [1, 1] {
        let _ = ask(&layer, "logout", &format!("{crowd}; {cookie}")).await;
        assert_eq!(destroyed(), counted);
    }
    meanwhile();
    let _ = ask(&layer, "logout", &crowd).await;
    assert_eq!(destroyed(), 1);
}

#[tokio::test]
async fn made_up_cookies_count_for_nothing_in_memory() {
    counts_only_sessions(MemoryStore::new(), || {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_cookies_count_for_nothing_in_redis() {
    let redis = test_support::RedisServer::start().await;
    let config = test_support::patient(&redis.url());
    counts_only_sessions(tower_redis_session::RedisStore::new(config).unwrap(), || {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_cookies_count_for_nothing_on_a_cluster_and_behind_sentinels() {
    for stores in Stores::shared().await {
        println!("{}", stores.name);
        layer_counts_only_sessions(stores.instance(|builder| builder).await, || {}).await;
    }
}

async fn on_database(url: &str) {
    use tower_redis_session::{DatabaseConfig, DatabaseStore};
    let long = std::time::Duration::from_secs(10);
    let store = DatabaseStore::new(DatabaseConfig::new(url).timeout(long)).unwrap();
    store.migrate().await.unwrap();
    counts_only_sessions(store, || {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_cookies_count_for_nothing_in_a_database() {
    let folder = tempfile::tempdir().unwrap();
    on_database(&format!("sqlite:{}", folder.path().join("sessions.db").display())).await;
    let database = test_support::PostgresServer::shared().await.database().await;
    on_database(&database.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_cookies_count_for_nothing_with_redis_before_a_database_and_without() {
    let redis = test_support::RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let store = crate::contract::durable(&redis, &file).await;
    counts_only_sessions(store, || redis.kill()).await;
}
