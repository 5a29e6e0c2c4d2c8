//! Sessions that came back after their end, and changes that were lost without a word.

use std::sync::Arc;

use http::{Request, Response};
use tower::{Layer, ServiceExt};
use tower_redis_session::{MemoryStore, RedisSessionLayer, SessionContext};

use test_support::{
    NOBODY, REMOVED, RedisServer, Site, bounded, eventually, records, signed_in, token, who,
};

/// rack-session CVE-2025-46336 (Rack GHSA-vpfw-47h7-xj4g): the pool wrote the copy that a slow
/// request had loaded back, and so restored a session that had been logged out meanwhile.
#[tokio::test]
async fn cve_2025_46336_a_slow_request_cannot_revive_a_session_that_was_logged_out() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    let old = token(&browser);
    let mut tab = browser.tab().await;
    let path = "/user,gate:slow,insert:cart:milk,say:done";
    let slow = tokio::spawn(async move { tab.get(path).await });
    site.gates.arrived("slow").await;
    browser.get("/logout").await.expect(200);
    site.gates.open("slow");
    bounded("the slow request", slow).await.unwrap().expect(200);
    assert_eq!(records(&redis).await, []);
    assert_eq!(who(&site, &old).await, NOBODY);
}

/// connect-redis #328, express-session #632, jetty #228, code-dot-org #61815: the life of a session
/// was extended by writing it anew with a plain `SET`, which also created what was no longer there.
#[tokio::test]
async fn connect_redis_328_extending_a_life_creates_no_key() {
    let redis = RedisServer::start().await;
    // Each activity is written down.
    let at_once = std::time::Duration::ZERO;
    let site = Site::configured(&redis, |builder| builder.touch_interval(at_once)).await;
    for path in ["/get:cart,gate:slow", "/gate:slow,~touch", "/user,gate:slow,~touch"] {
        let mut browser = signed_in(&site).await;
        let old = token(&browser);
        let mut tab = browser.tab().await;
        let reading = tokio::spawn(async move { tab.get(path).await });
        site.gates.arrived("slow").await;
        browser.get("/logout").await.expect(200);
        site.gates.open("slow");
        bounded("the reader", reading).await.unwrap().expect(200);
        site.layer.shutdown().await;
        assert_eq!(records(&redis).await, [], "{path}");
        assert_eq!(who(&site, &old).await, NOBODY, "{path}");
    }
}

/// actix-session's Redis store, by reading: an update that missed its key was saved under a new
/// one, so that a request in flight during the logout was answered with a fresh, live session.
#[tokio::test]
async fn actix_session_a_request_in_flight_gets_no_fresh_session_with_the_old_data() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    for write in ["insert:cart:milk", "remove:cart", "renew", "set_platform:p", "expiry:60:600"] {
        let mut browser = signed_in(&site).await;
        let mut tab = browser.tab().await;
        let path = format!("/user,gate:slow,{write}");
        let slow = tokio::spawn(async move {
            let reply = tab.get(&path).await;
            (tab, reply)
        });
        site.gates.arrived("slow").await;
        browser.get("/logout").await.expect(200);
        site.gates.open("slow");
        let (mut tab, reply) = bounded("the slow request", slow).await.unwrap();
        assert!(reply.set_cookies().is_empty(), "{write}: {reply:?}");
        assert_eq!(tab.get("/user,get:cart").await.expect(200).text(), NOBODY, "{write}");
        assert_eq!(records(&redis).await, [], "{write}");
    }
}

/// tower-sessions-redis-store, by reading: the answer of `SET XX` was not looked at, so that a
/// write that missed was told as done and the dead cookie was sent again.
#[tokio::test]
async fn tower_sessions_redis_store_a_write_that_missed_is_not_told_as_done() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let browser = signed_in(&site).await;
    let mut tab = browser.tab().await;
    let path = "/user,gate:slow,insert:cart:milk,~save";
    let slow = tokio::spawn(async move { tab.get(path).await });
    site.gates.arrived("slow").await;
    let mut connection = redis.connection().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    site.gates.open("slow");
    let reply = bounded("the slow request", slow).await.unwrap().expect(200);
    assert_eq!(reply.text(), "alice,!Absent");
    assert!(reply.set_cookies().is_empty(), "{reply:?}");
    assert_eq!(records(&redis).await, []);
}

/// tower-sessions 0.15.0 #254: the flag "was changed" was read and written in an order that let
/// another thread's change go unsaved.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tower_sessions_254_a_change_by_another_thread_is_stored() {
    const THREADS: usize = 8;
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let shared = Arc::new(layer.clone());
    for round in 0..200 {
        let write = tower::service_fn(|request: Request<()>| async move {
            let session = request.extensions().get::<SessionContext>().unwrap().clone();
            let writers: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let session = session.clone();
                    tokio::spawn(async move { session.insert(&format!("{thread}"), &round).await })
                })
                .collect();
            for writer in writers {
                writer.await.unwrap().unwrap();
            }
            Ok::<_, std::convert::Infallible>(Response::new(String::new()))
        });
        let response = shared.layer(write).oneshot(Request::new(())).await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
        let cookie = cookie.split(';').next().unwrap();
        let read = tower::service_fn(|request: Request<()>| async move {
            let session = request.extensions().get::<SessionContext>().unwrap();
            let keys = session.keys().await.unwrap().len();
            Ok::<_, std::convert::Infallible>(Response::new(keys.to_string()))
        });
        let request = Request::builder().header("cookie", cookie).body(()).unwrap();
        let response = layer.layer(read).oneshot(request).await.unwrap();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
        assert_eq!(body.to_bytes(), THREADS.to_string(), "round {round}");
    }
}

/// Spring Security CVE-2023-20862: at logout an empty context was "saved", which did nothing where
/// contexts were serialized, so that the user stayed signed in.
#[tokio::test]
async fn cve_2023_20862_to_empty_a_session_is_a_change() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    for path in ["/logout", "/destroy", "/clear,logout", "/user,clear,destroy"] {
        let mut browser = signed_in(&site).await;
        let old = token(&browser);
        browser.get(path).await.expect(200);
        assert_eq!(who(&site, &old).await, NOBODY, "{path}");
        assert_eq!(records(&redis).await, [], "{path}");
    }
    for path in ["/clear", "/remove:cart", "/get:cart,remove:cart"] {
        let mut browser = site.browser().await;
        browser.get("/insert:cart:tea").await.expect(200);
        let old = token(&browser);
        assert_eq!(browser.get(path).await.expect(200).set_cookies(), [REMOVED], "{path}");
        assert_eq!(who(&site, &old).await, NOBODY, "{path}");
        assert_eq!(records(&redis).await, [], "{path}");
    }
}

/// Jetty CVE-2021-34428: an exception in what was called at the end of a session kept the session
/// from ending.
#[tokio::test]
async fn cve_2021_34428_a_panic_after_the_logout_does_not_undo_it() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    for path in ["/logout,panic", "/user,destroy,panic", "/logout_everywhere,panic"] {
        let mut browser = signed_in(&site).await;
        let old = token(&browser);
        assert!(browser.try_get(path).await.is_err(), "{path}");
        eventually("the end of the session", async || who(&site, &old).await == NOBODY).await;
        assert_eq!(records(&redis).await, [], "{path}");
    }
}
