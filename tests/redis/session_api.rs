//! The session API: what pages and their scripts are told, and how other tabs hear of it.
//!
//! To see these fail: answer from the copy that was loaded; let a stream count as activity, or go
//! on when the session is dead; say "signed out" when the store is away.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::Value;
use test_support::{
    Browser, COOKIE, Client, Inside, RedisServer, Reply, Running, bounded, handle, patient, serve,
};
use tower::{Layer, ServiceExt};
use tower_redis_session::{
    MemoryStore, RedisConfig, RedisSessionLayer, RedisSessionLayerBuilder, RedisStore,
    SessionContext, Transport,
    clock::ManualClock,
    csrf::CsrfLayer,
    guard::RequireLayer,
    response::EitherBody,
    session_api::{SessionApi, SessionApiBody},
};

const INTERVAL: Duration = Duration::from_millis(100);
const MINUTE: Duration = Duration::from_secs(60);
/// Of the session API, and of the account pages that stand around it.
const PLACES: [&str; 2] = ["/api/session", "/account/sessions"];

/// The API, and the handler of all tests beside it.
async fn over(layer: RedisSessionLayer, api: SessionApi) -> Running {
    let inside = Arc::new(Inside::default());
    let rooms = tower::service_fn(move |request: Request<Incoming>| {
        let (inside, api) = (Arc::clone(&inside), api.clone());
        async move {
            if PLACES.iter().any(|place| request.uri().path().starts_with(place)) {
                let answer = api.oneshot(request).await.unwrap();
                return Ok::<_, Infallible>(answer.map(BodyExt::boxed_unsync));
            }
            let answer: Response<_> = handle(request, inside).await.unwrap();
            Ok(answer)
        }
    });
    serve(layer.layer(rooms)).await
}

fn on(config: RedisConfig, budget: Duration) -> RedisSessionLayerBuilder {
    RedisSessionLayer::builder(RedisStore::new(config).unwrap()).budget(budget)
}

fn well(redis: &RedisServer) -> RedisSessionLayerBuilder {
    on(patient(&redis.url()), Duration::from_secs(15))
}

async fn open(redis: &RedisServer) -> Running {
    over(well(redis).build().unwrap(), SessionApi::new().interval(INTERVAL)).await
}

/// On a clock that only the test moves.
async fn timed() -> (Running, ManualClock) {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clock());
    let layer = RedisSessionLayer::builder(store).build().unwrap();
    (over(layer, SessionApi::new().interval(INTERVAL)).await, clock)
}

fn json(reply: &Reply) -> Value {
    assert_eq!(reply.all("content-type"), ["application/json"], "{reply:?}");
    assert_eq!(reply.all("cache-control"), ["no-store"], "{reply:?}");
    serde_json::from_str(&reply.text()).unwrap()
}

async fn ask(browser: &mut Browser, path: &str) -> Value {
    json(&browser.get(&format!("/api/session/{path}")).await.expect(200))
}

async fn send(browser: &mut Browser, method: Method, path: &str) -> Reply {
    browser.send(method, &format!("/api/session/{path}"), &[], "").await
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
    let (site, clock) = timed().await;
    let mut browser = Browser::new(site.addr).await;
    let reply = tell(&mut browser, "validate").await.expect(401);
    assert_eq!(json(&reply)["error"], "unauthenticated");
    browser.get("/login:alice").await.expect(200);
    let said = json(&tell(&mut browser, "validate").await.expect(200));
    assert_eq!((&said["valid"], &said["session"]["user_id"]), (&true.into(), &"alice".into()));
    clock.advance(62 * MINUTE);
    let reply = tell(&mut browser, "validate").await.expect(401);
    assert_eq!(json(&reply)["error"], "session_expired");
    assert_eq!(ask(&mut browser, "state").await["reason"], "expired");
}

#[tokio::test]
async fn a_heartbeat_makes_no_session() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    let reply = tell(&mut browser, "heartbeat").await.expect(401);
    assert!(reply.set_cookies().is_empty(), "{reply:?}");
    assert_eq!(redis.keys().await, []);
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
async fn a_page_is_told_of_an_impersonation_and_ends_it() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    let names = |state: &Value| (state["user_id"].clone(), state["impersonator_id"].clone());
    browser.get("/login:root,label:Desk").await.expect(200);
    assert_eq!(names(&ask(&mut browser, "state").await), ("root".into(), Value::Null));
    let mut phone = Browser::new(site.addr).await;
    phone.get("/login:root").await.expect(200);
    browser.get("/impersonate:bob").await.expect(200);
    let state = ask(&mut browser, "state").await;
    assert_eq!(names(&state), ("bob".into(), "root".into()));
    assert_eq!((&state["signed_in"], &state["authenticated_at"]), (&true.into(), &Value::Null));
    let said = json(&tell(&mut browser, "validate").await.expect(200));
    assert_eq!(names(&said["session"]), ("bob".into(), "root".into()));
    let mut stream = Stream::open(&site, &browser).await;
    assert_eq!(names(&stream.expect("state").await), ("bob".into(), "root".into()));
    let listed = ask(&mut phone, "sessions").await;
    let listed = listed["sessions"].as_array().unwrap();
    let of = |current: bool| listed.iter().find(|one| one["current"] == current).unwrap();
    assert_eq!((listed.len(), &of(true)["acting_as"]), (2, &Value::Null));
    assert_eq!((&of(false)["acting_as"], &of(false)["label"]), (&"bob".into(), &"Desk".into()));

    let said = json(&tell(&mut browser, "end-impersonation").await.expect(200));
    assert_eq!(
        (&said["ended"], names(&said["session"])),
        (&true.into(), ("root".into(), Value::Null))
    );
    assert_ne!(said["session"]["id"], state["id"]);
    assert_eq!(ask(&mut browser, "state").await["id"], said["session"]["id"]);
    // What the session was before is for requests in flight, not for a stream.
    assert_eq!(stream.expect("ended").await["reason"], "moved");
    assert!(stream.is_over().await);
    let said = json(&tell(&mut browser, "end-impersonation").await.expect(200));
    assert_eq!(said["ended"], false);
    let _ = tell(&mut Browser::new(site.addr).await, "end-impersonation").await.expect(401);
}

#[tokio::test]
async fn what_another_site_sends_and_what_is_not_there_is_refused() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice").await.expect(200);
    for path in [
        "validate",
        "heartbeat",
        "logout",
        "logout-everywhere",
        "sessions/revoke-others",
        "end-impersonation",
    ] {
        let path = format!("/api/session/{path}");
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "of a browser to come"),
            ("origin", "https://evil.test"),
            ("origin", "null"),
        ] {
            let foreign: [(&str, &[u8]); 1] = [(name, value.as_bytes())];
            let reply = browser.send(Method::POST, &path, &foreign, "").await.expect(403);
            assert_eq!(json(&reply)["error"], "cross_site", "{path}, {name}: {value}");
        }
        let reply = browser.get(&path).await.expect(405);
        assert_eq!(reply.all("allow"), ["POST"], "{path}");
    }
    browser.get("/api/session/unknown").await.expect(404);
    assert_eq!(ask(&mut browser, "state").await["user_id"], "alice");
}

#[tokio::test]
async fn what_a_page_of_this_very_site_sends_is_answered_and_looking_is_for_everybody() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice").await.expect(200);
    let own = format!("http://{}", site.addr);
    let (path, looks) = ("/api/session/heartbeat", "/api/session/state");
    for (name, value) in
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", own.as_str())]
    {
        let headers: [(&str, &[u8]); 1] = [(name, value.as_bytes())];
        browser.send(Method::POST, path, &headers, "").await.expect(200);
    }
    for foreign in ["cross-site", "same-site"] {
        let headers: [(&str, &[u8]); 1] = [("sec-fetch-site", foreign.as_bytes())];
        browser.send(Method::GET, looks, &headers, "").await.expect(200);
    }
}

/// No browser sends such a token by itself, so a sibling host's page that has it may use it.
#[tokio::test]
async fn with_a_token_in_a_header_sibling_hosts_are_answered_and_other_sites_are_not() {
    let layer = RedisSessionLayer::builder(MemoryStore::new()).transport(Transport::bearer());
    let api = layer.build().unwrap().layer(SessionApi::new());
    for (name, value, status) in [
        ("sec-fetch-site", "same-origin", 401),
        ("sec-fetch-site", "same-site", 401),
        ("sec-fetch-site", "cross-site", 403),
        ("origin", "https://app.example", 401),
    ] {
        let request = Request::post("/api/session/heartbeat").header(name, value);
        let answer = api.clone().oneshot(request.body(()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_never_taken_for_signed_out() {
    let redis = RedisServer::start().await;
    let short = Duration::from_millis(200);
    let config = patient(&redis.url()).command_timeout(short).connect_timeout(short);
    let site = over(on(config, 2 * short).build().unwrap(), SessionApi::new()).await;
    let mut browser = Browser::new(site.addr).await;
    test_support::eventually("a sign-in", async || browser.get("/login:alice").await.status == 200)
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

/// A tab that listens: an `EventSource`, by hand.
struct Stream {
    body: Incoming,
    _client: Client,
}

impl Stream {
    async fn open(site: &Running, browser: &Browser) -> Self {
        let mut client = Client::connect(site.addr).await;
        let request = Request::get("/api/session/events").header("host", site.addr.to_string());
        let request = request.header("cookie", browser.cookie_header());
        let response = client.head(request.body(Full::default()).unwrap()).await;
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-accel-buffering"], "no");
        Self { body: response.into_body(), _client: client }
    }

    async fn frame(&mut self) -> Option<String> {
        let frame = bounded("a frame", self.body.frame()).await?;
        Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    }

    /// The next event that says something.
    async fn next(&mut self) -> (String, Value) {
        bounded("an event", async {
            loop {
                let text = self.frame().await.expect("a stream that goes on");
                let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(event), Some(data)) = (field("event: "), field("data: ")) {
                    return (event.to_owned(), serde_json::from_str(data).unwrap());
                }
                assert_eq!(text, ":\n\n");
            }
        })
        .await
    }

    async fn expect(&mut self, name: &str) -> Value {
        let (found, data) = self.next().await;
        assert_eq!(found, name, "{data}");
        data
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
async fn streams_are_bounded_in_number() {
    let redis = RedisServer::start().await;
    let api = SessionApi::new().interval(Duration::from_millis(100)).max_streams(1);
    let site = over(well(&redis).build().unwrap(), api).await;
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
    test_support::eventually("a place", async || {
        Stream::open(&site, &browser).await.next().await.0 == "state"
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_with_its_life() {
    let redis = RedisServer::start().await;
    let (interval, life) = (Duration::from_millis(100), Duration::from_millis(300));
    let api = SessionApi::new().interval(interval).stream_life(life);
    let site = over(well(&redis).build().unwrap(), api).await;
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
        session.login("alice").await.unwrap();
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
    // The settings of the CSRF layer count: it has judged, and verified the token.
    let sibling = |token: &[u8]| {
        let mut request = beat(token);
        let site = http::HeaderValue::from_static("same-site");
        let _ = request.headers_mut().insert("sec-fetch-site", site);
        request
    };
    for (name, csrf, status) in [
        ("strict", CsrfLayer::builder(), 403),
        ("sibling hosts are welcome", CsrfLayer::builder().allow_same_site(), 200),
        (
            "the path is exempt, so nothing was verified",
            CsrfLayer::builder().exempt_path("/api/session/heartbeat"),
            403,
        ),
    ] {
        let api = layer.layer(csrf.build().unwrap().layer(SessionApi::new()));
        let answer = api.oneshot(sibling(&token)).await.unwrap();
        assert_eq!(answer.status(), status, "{name}");
    }
}

#[tokio::test]
async fn only_a_heartbeat_is_activity() {
    let (site, clock) = timed().await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice").await.expect(200);
    let begun = json(&send(&mut browser, Method::GET, "state").await);
    clock.advance(50 * MINUTE);
    for (method, what) in
        [(Method::GET, "state"), (Method::POST, "validate"), (Method::GET, "sessions")]
    {
        send(&mut browser, method, what).await.expect(200);
    }
    let looked = json(&send(&mut browser, Method::GET, "state").await);
    assert_eq!(looked["expires_at"], begun["expires_at"]);
    let beat = json(&send(&mut browser, Method::POST, "heartbeat").await.expect(200));
    assert_eq!((&beat["extended"], &beat["expires_in"]), (&true.into(), &(61 * 60).into()));
    let after = json(&send(&mut browser, Method::GET, "state").await);
    assert_eq!(after["expires_at"], beat["expires_at"]);
    // Looks alone keep nobody signed in.
    for _ in 0..2 {
        clock.advance(31 * MINUTE);
        let _ = send(&mut browser, Method::GET, "state").await;
    }
    let over = json(&send(&mut browser, Method::GET, "state").await);
    assert_eq!(over["reason"], "expired");
}

#[tokio::test]
async fn a_look_costs_one_read_and_a_heartbeat_one_write_more() {
    let redis = RedisServer::start().await;
    let layer = well(&redis).touch_interval(Duration::ZERO).build().unwrap();
    let site = over(layer.clone(), SessionApi::new()).await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice").await.expect(200);
    // From here on the server knows the script.
    send(&mut browser, Method::POST, "heartbeat").await.expect(200);
    let mut monitor = redis.monitor().await;
    for (method, what, cost) in [
        (Method::GET, "state", &["GET"][..]),
        (Method::POST, "validate", &["GET"]),
        (Method::POST, "heartbeat", &["GET", "EVALSHA"]),
    ] {
        monitor.take().await;
        send(&mut browser, method, what).await.expect(200);
        // Waits for what nobody else waits for.
        layer.shutdown().await;
        assert_eq!(monitor.take_names().await, cost, "{what}");
    }
}

#[tokio::test]
async fn to_listen_is_no_activity_and_an_end_by_time_is_told_as_such() {
    let (site, clock) = timed().await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice").await.expect(200);
    let mut stream = Stream::open(&site, &browser).await;
    stream.expect("state").await;
    clock.advance(31 * MINUTE);
    // One that was asked for after that.
    for _ in 0..2 {
        assert_eq!(stream.frame().await.unwrap(), ":\n\n");
    }
    clock.advance(31 * MINUTE);
    assert_eq!(stream.expect("ended").await["reason"], "expired");
    assert!(stream.is_over().await);
}

#[tokio::test]
async fn a_sealed_session_is_watched_too() {
    let redis = RedisServer::start().await;
    let sealed =
        well(&redis).seal_records(tower_redis_session::encryption::UnsealedRecords::Reject);
    let site = over(sealed.build().unwrap(), SessionApi::new().interval(INTERVAL)).await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice:mastodon").await.expect(200);
    let mut stream = Stream::open(&site, &browser).await;
    assert_eq!(stream.expect("state").await["platform_id"], "mastodon");
    browser.get("/set_platform:pixelfed").await.expect(200);
    assert_eq!(stream.expect("state").await["platform_id"], "pixelfed");
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams_first() {
    let redis = RedisServer::start().await;
    let long = Duration::from_secs(600);
    let api = SessionApi::new().interval(long).stream_life(long);
    let site = over(well(&redis).build().unwrap(), api.clone()).await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice").await.expect(200);
    let mut stream = Stream::open(&site, &browser).await;
    stream.expect("state").await;
    api.end_streams();
    assert!(stream.is_over().await);
    let mut late = Stream::open(&site, &browser).await;
    assert_eq!(late.expect("unavailable").await["reason"], "stopping");
    assert!(late.is_over().await);
    drop((late, stream, browser));
    site.shutdown().await;
}

#[tokio::test]
async fn the_path_it_is_mounted_at_may_end_in_any_word() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice").await.expect(200);
    for place in PLACES {
        browser.get(&format!("{place}/state")).await.expect(200);
        browser.post(&format!("{place}/validate"), "").await.expect(200);
        browser.get(&format!("{place}/sessions")).await.expect(200);
        browser.post(&format!("{place}/sessions/revoke-others"), "").await.expect(200);
        let head = browser.send(Method::HEAD, &format!("{place}/state"), &[], "").await;
        assert_eq!(head.expect(200).text(), "");
    }
}

#[tokio::test]
async fn several_sessions_at_once_are_none() {
    let redis = RedisServer::start().await;
    let site = open(&redis).await;
    let (mut one, mut other) = (Browser::new(site.addr).await, Browser::new(site.addr).await);
    for browser in [&mut one, &mut other] {
        browser.get("/login:alice").await.expect(200);
    }
    let both = format!("{}; {}", one.cookie_header(), other.cookie_header());
    let mut client = Client::connect(site.addr).await;
    let state = client.get_with("/api/session/state", &both).await.expect(200);
    assert_eq!(json(&state), serde_json::json!({ "signed_in": false, "reason": "ambiguous" }));
    let cookie: [(&str, &[u8]); 1] = [("cookie", both.as_bytes())];
    client.send(Method::POST, "/api/session/validate", &cookie, "").await.expect(401);
    let events = client.get_with("/api/session/events", &both).await.expect(200);
    let told = "event: ended\ndata: {\"reason\":\"ambiguous\"}\n\n";
    assert!(events.text().ends_with(told), "{}", events.text());
}

#[tokio::test]
async fn a_token_in_a_header_is_asked_for_by_the_name_of_its_scheme() {
    let redis = RedisServer::start().await;
    let layer = well(&redis).transport(Transport::bearer()).build().unwrap();
    let site = over(layer, SessionApi::new()).await;
    let mut browser = Browser::new(site.addr).await;
    let reply = send(&mut browser, Method::POST, "validate").await.expect(401);
    assert_eq!(reply.all("www-authenticate"), ["Bearer"]);
}

#[tokio::test]
async fn a_guard_can_stand_around_it() {
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let guarded = layer.layer(RequireLayer::user().layer(SessionApi::new()));
    let request = Request::get("/api/session/sessions").body(()).unwrap();
    let response: Response<tower_redis_session::layer::SessionBody<EitherBody<SessionApiBody>>> =
        guarded.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 401);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, r#"{"error":"unauthenticated","login":"/login"}"#);
}
