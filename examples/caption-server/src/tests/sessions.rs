//! With the session store away: what needs no session goes on, and nobody is signed out by it.

use tower_redis_session::{DatabaseConfig, DatabaseStore, RedisStore};

use super::*;

/// A server whose Redis is not there, and a browser that was signed in before it went.
async fn without_redis() -> (Site, Browser) {
    // Bound and dropped, so the port is one where nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let store = RedisStore::new(RedisConfig::from_host("127.0.0.1", port)).unwrap();
    let sessions = RedisSessionLayer::builder(store).build().unwrap();
    let site = Site::with(Setup { sessions, ..Setup::default() }).await;
    let mut browser = site.browser();
    let _ = browser.jar.insert("__Host-session".to_owned(), "A".repeat(43));
    (site, browser)
}

/// A server that keeps its sessions in that file.
async fn on_file(file: &str) -> Site {
    let store = DatabaseStore::new(DatabaseConfig::new(file)).unwrap();
    let sessions = RedisSessionLayer::builder(store).build().unwrap();
    sessions.migrate().await.unwrap();
    Site::with(Setup { sessions, ..Setup::default() }).await
}

#[tokio::test]
async fn who_is_signed_in_stays_so_when_the_server_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let before = on_file(&file).await;
    let browser = before.alice().await;
    before.stop().await;
    let site = on_file(&file).await;
    let mut after = Browser { jar: browser.jar, ..site.browser() };
    assert_eq!(after.get("/caption_generation").await.status, StatusCode::OK);
    let seen = after.get("/readyz").await;
    assert_eq!(seen.status, StatusCode::OK);
    assert_eq!(seen.json()["serving"], "database");
}

#[tokio::test]
async fn whoever_has_a_cookie_is_asked_to_wait() {
    let (_site, mut browser) = without_redis().await;
    for path in ["/", "/login", "/platforms", "/caption_generation", "/admin", "/devices"] {
        let seen = browser.get(path).await;
        assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(!seen.header("retry-after").is_empty(), "{path}");
        assert!(seen.text().contains("No user was signed out"), "{path}");
        assert!(!seen.headers.contains_key("set-cookie"), "{path}");
    }
    let seen = browser.upload_raw(Parts::default(), "application/json").await;
    assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(seen.json()["error"], "unavailable");
    // The CSRF layer cannot verify a token without the session: any well-formed one.
    let token = Site::start().await.alice().await.token().await;
    let request = Request::post("/logout").header("sec-fetch-site", "same-origin");
    let seen = browser.send(request.header("x-csrf-token", token), Bytes::new()).await;
    assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!seen.header("retry-after").is_empty());
    let seen = browser.get("/api/session/state").await;
    assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn what_needs_no_session_goes_on() {
    let (_site, mut browser) = without_redis().await;
    for path in ["/healthz", "/style.css", "/app.js"] {
        assert_eq!(browser.get(path).await.status, StatusCode::OK, "{path}");
    }
    browser.jar.clear();
    assert_eq!(browser.get("/login").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_saved_is_none() {
    let (_site, mut browser) = without_redis().await;
    browser.jar.clear();
    let seen = browser.sign_in("alice", "wonderland").await;
    assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!seen.header("retry-after").is_empty());
    assert!(!seen.header("set-cookie").contains("__Host-session="));
    assert!(!seen.headers.contains_key("location"));
    assert!(seen.header("content-security-policy").contains("default-src 'none'"));
}

#[tokio::test]
async fn a_stop_waits_for_no_stream() {
    let site = Site::start().await;
    let mut browser = site.alice().await;
    let task = browser.start(Parts::default().file("a.png", &png(&flat(8, 8, RED)))).await;
    let mut streams = Vec::new();
    for path in ["/api/session/events".to_owned(), format!("/api/caption_tasks/{task}/events")] {
        let mut stream = browser.open(Request::get(&path), Bytes::new()).await;
        assert!(stream.body_mut().frame().await.is_some(), "{path}");
        streams.push(stream);
    }
    tokio::time::timeout(Duration::from_secs(5), site.stop()).await.expect("it stops at once");
}
