//! With the session store away: what needs no session goes on, and nobody is signed out by it.

use tower_redis_session::{DatabaseConfig, DatabaseStore, RedisConfig, RedisStore};

use super::*;

/// A server whose Redis is not there, and a browser that was signed in before it went.
fn without_redis() -> Browser {
    // Bound and dropped, so the port is one where nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let store = RedisStore::new(RedisConfig::at("127.0.0.1", port)).unwrap();
    let sessions = RedisSessionLayer::builder(store).build().unwrap();
    let mut browser = Browser::with(Box::new(Describer), sessions);
    browser.cookie = Some(format!("__Host-session={}", "A".repeat(43)));
    browser
}

/// A server that keeps its sessions in that file.
async fn on_file(file: &str) -> Browser {
    let store = DatabaseStore::new(DatabaseConfig::new(file)).unwrap();
    let sessions = RedisSessionLayer::builder(store).build().unwrap();
    sessions.migrate().await.unwrap();
    Browser::with(Box::new(Describer), sessions)
}

#[tokio::test]
async fn who_is_signed_in_stays_so_when_the_server_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let mut before = on_file(&file).await;
    before.prepare().await;
    let mut after = on_file(&file).await;
    after.cookie = before.cookie.take();
    drop(before);
    assert_eq!(after.get("/caption_generation").await.status, StatusCode::OK);
    let seen = after.get("/readyz").await;
    assert_eq!(seen.status, StatusCode::OK);
    assert_eq!(seen.json().get("serving"), Some(&Value::from("database")));
}

#[tokio::test]
async fn whoever_has_a_cookie_is_asked_to_wait() {
    let mut browser = without_redis();
    for path in ["/", "/login", "/platforms", "/caption_generation"] {
        let seen = browser.get(path).await;
        assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(!seen.header("retry-after").is_empty(), "{path}");
        assert!(seen.text().contains("Nobody was signed out"), "{path}");
        assert!(!seen.headers.contains_key("set-cookie"), "{path}");
    }
    let seen = browser.upload("a.png", &png(&flat(8, 8, RED)), "application/json").await;
    assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(seen.json().get("success"), Some(&Value::Bool(false)));
}

#[tokio::test]
async fn what_needs_no_session_goes_on() {
    let mut browser = without_redis();
    for path in ["/healthz", "/style.css"] {
        assert_eq!(browser.get(path).await.status, StatusCode::OK, "{path}");
    }
    browser.cookie = None;
    assert_eq!(browser.get("/login").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_saved_is_none() {
    let mut browser = without_redis();
    browser.cookie = None;
    let seen = browser.sign_in("alice", "wonderland").await;
    assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!seen.header("retry-after").is_empty());
    assert!(seen.text().contains("could not be saved"), "{}", seen.text());
    assert!(!seen.headers.contains_key("set-cookie"));
    assert!(!seen.headers.contains_key("location"));
    assert!(seen.header("content-security-policy").contains("default-src 'none'"));
}
