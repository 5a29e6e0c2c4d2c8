//! The session API: what pages and their scripts are told, and how other tabs hear of it.
//!
//! To see these fail: answer from the copy that was loaded; let a stream count as activity, or go on when
//! the session is dead; say "signed out" when the store is away.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::Value;
use support::{
    Browser, COOKIE, Client, Inside, RedisServer, Reply, Running, bounded, handle, patient, serve,
};
use tower::{Layer, ServiceExt};
use tower_redis_session::{
    CsrfLayer, RedisConfig, RedisSessionLayer, RedisStore, SessionContext, state_api::SessionApi,
};

/// The API under `/api/session`, and the handler of all tests beside it.
async fn site(config: RedisConfig, budget: Duration, api: SessionApi) -> Running {
    let store = RedisStore::new(config).unwrap();
    let layer = RedisSessionLayer::builder(store).budget(budget).build().unwrap();
    let inside = Arc::new(Inside::default());
    let rooms = tower::service_fn(move |request: Request<Incoming>| {
        let (inside, api) = (Arc::clone(&inside), api.clone());
        async move {
            if request.uri().path().starts_with("/api/session") {
                let answer = api.oneshot(request).await.unwrap();
                return Ok::<_, Infallible>(answer.map(BodyExt::boxed_unsync));
            }
            let answer: Response<_> = handle(request, inside).await.unwrap();
            Ok(answer)
        }
    });
    serve(layer.layer(rooms)).await
}

async fn open(redis: &RedisServer) -> Running {
    let api = SessionApi::new().interval(Duration::from_millis(100));
    site(patient(&redis.url()), Duration::from_secs(15), api).await
}

fn json(reply: &Reply) -> Value {
    assert_eq!(reply.all("content-type"), ["application/json"], "{reply:?}");
    assert_eq!(reply.all("cache-control"), ["no-store"], "{reply:?}");
    serde_json::from_str(&reply.text()).unwrap()
}

async fn ask(browser: &mut Browser, path: &str) -> Value {
    json(&browser.get(&format!("/api/session/{path}")).await.expect(200))
}

async fn tell(browser: &mut Browser, path: &str) -> Reply {
    browser.post(&format!("/api/session/{path}"), "").await
}

#[tokio::test]
async fn the_state_tells_who_is_in_and_until_when_and_no_secret() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    let state = ask(&mut browser, "state").await;
    assert_eq!(state, serde_json::json!({ "signed_in": false, "reason": "absent" }));
    browser.get("/login:alice:mastodon").await.expect(200);
    let reply = browser.get("/api/session/state").await.expect(200);
    assert!(!reply.text().contains(browser.cookie(COOKIE).unwrap()));
    let state = json(&reply);
    assert_eq!((&state["signed_in"], &state["user_id"]), (&true.into(), &"alice".into()));
    assert_eq!(state["platform_id"], "mastodon");
    assert_eq!(state["id"], browser.get("/id").await.text());
    let left = state["expires_in"].as_u64().unwrap();
    assert!((3_500..=3_700).contains(&left), "{left}");
    for time in ["created_at", "last_activity", "expires_at", "authenticated_at"] {
        assert!(state[time].as_str().unwrap().ends_with('Z'), "{time}: {state}");
    }
}

#[tokio::test]
async fn validation_asks_the_store_and_tells_why_a_session_is_none() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    let reply = tell(&mut browser, "validate").await.expect(401);
    assert_eq!(json(&reply)["error"], "unauthenticated");
    browser.get("/login:alice").await.expect(200);
    let said = json(&tell(&mut browser, "validate").await.expect(200));
    assert_eq!((&said["valid"], &said["session"]["user_id"]), (&true.into(), &"alice".into()));
    browser.get("/expiry:1:1").await.expect(200);
    support::eventually("the end of the session", async || {
        let reply = tell(&mut browser, "validate").await;
        reply.status == 401 && json(&reply)["error"] == "session_expired"
    })
    .await;
}

#[tokio::test]
async fn a_heartbeat_keeps_a_session_that_is_there_and_makes_none() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    let reply = tell(&mut browser, "heartbeat").await.expect(401);
    assert!(reply.set_cookies().is_empty(), "{reply:?}");
    // A tenth of the idle time is the touch interval here: a minute, then a second.
    browser.get("/login:alice,expiry:600:1200").await.expect(200);
    let before = json(&tell(&mut browser, "heartbeat").await.expect(200));
    assert_eq!(before["extended"], false, "within the interval");
    browser.get("/expiry:10:600").await.expect(200);
    let extended = support::bounded("an extension", async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let said = json(&tell(&mut browser, "heartbeat").await.expect(200));
            if said["extended"] == true {
                return said;
            }
        }
    })
    .await;
    assert!(extended["expires_in"].as_u64().unwrap() <= 11, "{extended}");
}

#[tokio::test]
async fn devices_are_listed_and_ended() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let (mut laptop, mut phone, mut desk) = (
        Browser::new(site.addr).await,
        Browser::new(site.addr).await,
        Browser::new(site.addr).await,
    );
    for (browser, label) in [(&mut laptop, "Laptop"), (&mut phone, "Phone"), (&mut desk, "Desk")] {
        browser.get(&format!("/login:alice,label:{label}")).await.expect(200);
    }
    let said = ask(&mut laptop, "sessions").await;
    let listed = said["sessions"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    let of = |label: &str| listed.iter().find(|session| session["label"] == label).unwrap();
    assert_eq!((&of("Laptop")["current"], &of("Phone")["current"]), (&true.into(), &false.into()));
    let id = of("Phone")["id"].as_str().unwrap().to_owned();
    let path = format!("/api/session/sessions/{id}");
    laptop.send(Method::DELETE, &path, &[], "").await.expect(200);
    assert_eq!(ask(&mut phone, "state").await["signed_in"], false);
    let again = laptop.send(Method::DELETE, &path, &[], "").await.expect(404);
    assert_eq!(json(&again)["error"], "no_such_session");
    let others = json(&tell(&mut laptop, "sessions/revoke-others").await.expect(200));
    assert_eq!(others["revoked"], 1);
    assert_eq!(ask(&mut desk, "state").await["signed_in"], false);
    let reply = tell(&mut laptop, "logout").await.expect(200);
    assert!(reply.set_cookies()[0].contains("Max-Age=0"), "{reply:?}");
    laptop.get("/api/session/sessions").await.expect(401);
}

#[tokio::test]
async fn what_another_site_sends_and_what_is_not_there_is_refused() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice").await.expect(200);
    for path in ["validate", "heartbeat", "logout", "logout-everywhere", "sessions/revoke-others"] {
        let path = format!("/api/session/{path}");
        let cross: [(&str, &[u8]); 1] = [("sec-fetch-site", b"cross-site")];
        let reply = browser.send(Method::POST, &path, &cross, "").await.expect(403);
        assert_eq!(json(&reply)["error"], "cross_site", "{path}");
        let reply = browser.get(&path).await.expect(405);
        assert_eq!(reply.all("allow"), ["POST"], "{path}");
    }
    browser.get("/api/session/unknown").await.expect(404);
    assert_eq!(ask(&mut browser, "state").await["user_id"], "alice");
}

#[tokio::test]
async fn a_store_that_is_away_is_never_taken_for_signed_out() {
    let redis = RedisServer::start().await;
    let short = Duration::from_millis(200);
    let config = patient(&redis.url()).command_timeout(short).connect_timeout(short);
    let site = site(config, 2 * short, SessionApi::new()).await;
    let mut browser = Browser::new(site.addr).await;
    support::eventually("a sign-in", async || browser.get("/login:alice").await.status == 200)
        .await;
    redis.hang();
    for (method, path) in [
        (Method::GET, "state"),
        (Method::POST, "validate"),
        (Method::POST, "heartbeat"),
        (Method::GET, "sessions"),
        (Method::POST, "logout"),
    ] {
        let path = format!("/api/session/{path}");
        let reply = browser.send(method, &path, &[], "").await.expect(503);
        // A logout that the store did not confirm is answered by the layer itself.
        if !path.ends_with("logout") {
            assert_eq!(json(&reply)["error"], "unavailable", "{path}");
        }
        assert_eq!(reply.all("retry-after"), ["1"], "{path}");
        assert!(reply.set_cookies().is_empty(), "{path}: {reply:?}");
    }
    let mut stream = Stream::open(&site, &browser).await;
    assert_eq!(stream.next().await.0, "unavailable");
    assert!(stream.is_over().await);
    redis.resume();
}

/// A tab that listens.
struct Stream {
    body: hyper::body::Incoming,
    _client: Client,
}

impl Stream {
    async fn open(site: &Running, browser: &Browser) -> Self {
        let mut client = Client::connect(site.addr).await;
        let request = Request::get("/api/session/events").header("host", site.addr.to_string());
        let request = request.header("cookie", browser.cookie_header());
        let response = client.head(request.body(Full::default()).unwrap()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { body: response.into_body(), _client: client }
    }

    async fn frame(&mut self) -> Option<String> {
        let frame = bounded("an event", self.body.frame()).await?;
        Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    }

    /// The next event that says something.
    async fn next(&mut self) -> (String, Value) {
        loop {
            let text = self.frame().await.expect("a stream that goes on");
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
            if let (Some(event), Some(data)) = (field("event: "), field("data: ")) {
                return (event.to_owned(), serde_json::from_str(data).unwrap());
            }
            assert_eq!(text, ":\n\n");
        }
    }

    async fn is_over(&mut self) -> bool {
        self.frame().await.is_none()
    }
}

#[tokio::test]
async fn other_tabs_hear_what_happens_to_the_session() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice:mastodon").await.expect(200);
    let (mut one, mut two) =
        (Stream::open(&site, &browser).await, Stream::open(&site, &browser).await);
    for stream in [&mut one, &mut two] {
        let (event, state) = stream.next().await;
        assert_eq!((&*event, &state["platform_id"]), ("state", &"mastodon".into()));
    }
    browser.get("/set_platform:pixelfed").await.expect(200);
    for stream in [&mut one, &mut two] {
        let (event, state) = stream.next().await;
        assert_eq!((&*event, &state["platform_id"]), ("state", &"pixelfed".into()));
    }
    // Ended from another device.
    let mut phone = Browser::new(site.addr).await;
    phone.get("/login:alice").await.expect(200);
    assert_eq!(json(&tell(&mut phone, "sessions/revoke-others").await)["revoked"], 1);
    for stream in [&mut one, &mut two] {
        let (event, said) = stream.next().await;
        assert_eq!((&*event, &said["reason"]), ("ended", &"absent".into()));
        assert!(stream.is_over().await);
    }
}

#[tokio::test]
async fn to_listen_is_no_activity() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice,expiry:3:600").await.expect(200);
    let mut stream = Stream::open(&site, &browser).await;
    assert_eq!(stream.next().await.0, "state");
    let (event, said) = stream.next().await;
    assert_eq!((&*event, &said["reason"]), ("ended", &"expired".into()));
}

#[tokio::test]
async fn to_look_is_no_activity_either() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    // Long enough for a slow machine to see it alive first.
    browser.get("/login:alice,expiry:4:600").await.expect(200);
    assert_eq!(ask(&mut browser, "state").await["signed_in"], true);
    bounded("the end of the session", async {
        while ask(&mut browser, "state").await["signed_in"] == true {
            let _ = tell(&mut browser, "validate").await;
            let _ = browser.get("/api/session/sessions").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(ask(&mut browser, "state").await["reason"], "expired");
}

#[tokio::test]
async fn streams_are_bounded_in_number() {
    let redis = RedisServer::start().await;
    let api = SessionApi::new().interval(Duration::from_millis(100)).max_streams(1);
    let site = site(patient(&redis.url()), Duration::from_secs(15), api).await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice").await.expect(200);
    let mut stream = Stream::open(&site, &browser).await;
    assert_eq!(stream.next().await.0, "state");
    let mut another = Stream::open(&site, &browser).await;
    let (event, said) = another.next().await;
    assert_eq!((&*event, &said["reason"]), ("unavailable", &"too_many_streams".into()));
    assert!(another.is_over().await);
    // A place is free again when the client has left.
    drop(stream);
    support::eventually("a place", async || {
        Stream::open(&site, &browser).await.next().await.0 == "state"
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_with_its_life() {
    let redis = RedisServer::start().await;
    let (interval, life) = (Duration::from_millis(100), Duration::from_millis(300));
    let api = SessionApi::new().interval(interval).stream_life(life);
    let site = site(patient(&redis.url()), Duration::from_secs(15), api).await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice").await.expect(200);
    let mut stream = Stream::open(&site, &browser).await;
    assert_eq!(stream.next().await.0, "state");
    bounded("the end of its life", async { while stream.frame().await.is_some() {} }).await;
}

#[tokio::test]
async fn axum_nests_it() {
    let store = tower_redis_session::MemoryStore::new();
    let layer = RedisSessionLayer::builder(store).build().unwrap();
    let router = axum::Router::new().nest_service("/api/session", SessionApi::new()).layer(layer);
    let request = Request::get("/api/session/state").body(axum::body::Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{\"reason\":\"absent\""), "{body:?}");
}

#[tokio::test]
async fn a_heartbeat_passes_a_csrf_layer_with_its_token_and_not_without() {
    let redis = RedisServer::start().await;
    let store = RedisStore::new(patient(&redis.url())).unwrap();
    let layer = RedisSessionLayer::builder(store).build().unwrap();
    let csrf = CsrfLayer::new();
    let page = tower::service_fn(async |request: Request<Full<bytes::Bytes>>| {
        let session = request.extensions().get::<SessionContext>().unwrap().clone();
        session.login("alice", None).await.unwrap();
        let token = session.csrf_token().await.unwrap();
        Ok::<_, Infallible>(Response::new(token.as_str().to_owned()))
    });
    let request = Request::get("/").body(Full::default()).unwrap();
    let answer = layer.layer(page).oneshot(request).await.unwrap();
    let line = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = line.split(';').next().unwrap().to_owned();
    let token = answer.into_body().collect().await.unwrap().to_bytes();
    let api = layer.layer(csrf.layer(SessionApi::new()));
    let beat = |token: &[u8]| {
        let request = Request::post("/api/session/heartbeat").header("cookie", &cookie);
        let request = request.header("host", "localhost").header("x-csrf-token", token);
        request.body(Full::<bytes::Bytes>::default()).unwrap()
    };
    let answer = api.clone().oneshot(beat(&token)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{\"expires_at\""), "{body:?}");
    assert_eq!(api.oneshot(beat(b"")).await.unwrap().status(), 403);
}
