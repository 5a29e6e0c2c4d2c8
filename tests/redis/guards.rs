//! Guards: who may not go on is told why, in a way that the client understands.
//!
//! To see these fail: let a failed check pass; send browsers to the login when the store is away;
//! put an unsafe place into `next`; call the inner service before the answer is there.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, Response, request::Parts};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use test_support::{Browser, Inside, RedisServer, Reply, Running, handle, patient, serve};
use tower::{Layer, Service, ServiceExt};
use tower_redis_session::{
    RedisConfig, RedisSessionLayer, RedisStore, SessionContext,
    guard::{Condition, Denied, DenyWith, RequireLayer},
    response::ErrorResponse,
};

type Answer = Response<http_body_util::Full<bytes::Bytes>>;

/// A site with a room behind each guard, and the handler of all tests beside them.
async fn site(config: RedisConfig, budget: Duration) -> (Running, RedisSessionLayer) {
    let store = RedisStore::new(config).unwrap();
    let layer = RedisSessionLayer::builder(store).budget(budget).build().unwrap();
    let inside = Arc::new(Inside::default());
    let rooms = tower::service_fn(move |request: Request<Incoming>| {
        let inside = Arc::clone(&inside);
        async move {
            let path = request.uri().path().to_owned();
            let Some(room) = path.strip_prefix("/room/") else {
                let answer = handle(request, inside).await.unwrap();
                let (head, body) = answer.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                return Ok::<Answer, Infallible>(Response::from_parts(head, body.into()));
            };
            Ok(enter(room, request).await)
        }
    });
    (serve(layer.layer(rooms)).await, layer)
}

async fn enter_by<C, A>(guard: RequireLayer<C, A>, request: Request<Incoming>) -> Answer
where
    C: Condition,
    A: ErrorResponse<Denied, Body: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>>,
{
    let inner = tower::service_fn(async |_: Request<Incoming>| {
        Ok::<Answer, Infallible>(Response::new("inside".into()))
    });
    let (head, body) = guard.layer(inner).oneshot(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes().into())
}

async fn enter(room: &str, request: Request<Incoming>) -> Answer {
    let chooser = || DenyWith::negotiate("/login").platform_chooser("/platforms");
    let role = async |user: String| Ok((user == "alice").then(|| "admin".to_owned()));
    match room {
        "session" => enter_by(RequireLayer::session(), request).await,
        "user" => enter_by(RequireLayer::user(), request).await,
        "platform" => enter_by(RequireLayer::platform().on_denied(chooser()), request).await,
        "fresh" => enter_by(RequireLayer::fresh(Duration::from_millis(0)), request).await,
        "lately" => enter_by(RequireLayer::fresh(Duration::from_secs(600)), request).await,
        "role" => {
            let lookup = move |user| async move { role(user).await };
            enter_by(RequireLayer::role("admin", lookup), request).await
        }
        "json" => enter_by(RequireLayer::user().on_denied(DenyWith::json()), request).await,
        "redirect" => {
            let deny = DenyWith::redirect("/in?lang=en");
            enter_by(RequireLayer::user().on_denied(deny), request).await
        }
        "own" => {
            let deny = |denied: &Denied, parts: &Parts| {
                let mut response = Answer::new(format!("{} {}", denied.code(), parts.uri).into());
                *response.status_mut() = denied.status();
                response
            };
            enter_by(RequireLayer::user().on_denied(deny), request).await
        }
        "that" => {
            let holds =
                async |session: SessionContext| Ok(session.get::<String>("terms").await?.is_some());
            let holds = move |session| async move { holds(session).await };
            enter_by(RequireLayer::require_fn(holds), request).await
        }
        other => panic!("no such room: {other}"),
    }
}

async fn open(redis: &RedisServer) -> (Running, RedisSessionLayer) {
    site(patient(&redis.url()), Duration::from_secs(15)).await
}

const STALE: &str = "reauthentication_required";

const PAGE: (&str, &[u8]) = ("accept", b"text/html,application/xhtml+xml;q=0.9");

async fn page(browser: &mut Browser, path: &str) -> Reply {
    browser.send(Method::GET, path, &[PAGE], "").await
}

fn location(reply: &Reply) -> &str {
    reply.headers.get("location").map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn who_has_what_is_needed_goes_on_and_others_are_told_what_they_lack() {
    let redis = RedisServer::start().await;
    let (site, _) = open(&redis).await;
    let new = async || Browser::new(site.addr).await;
    let (mut nobody, mut anonymous, mut alice, mut bob) =
        (new().await, new().await, new().await, new().await);
    anonymous.get("/insert:cart:tea").await.expect(200);
    alice.get("/login:alice:mastodon,insert:terms:yes").await.expect(200);
    bob.get("/login:bob").await.expect(200);
    tokio::time::sleep(Duration::from_millis(5)).await;
    for (room, told) in [
        ("session", ["unauthenticated", "inside", "inside", "inside"]),
        ("user", ["unauthenticated", "unauthenticated", "inside", "inside"]),
        ("platform", ["unauthenticated", "unauthenticated", "inside", "platform_required"]),
        ("lately", ["unauthenticated", "unauthenticated", "inside", "inside"]),
        ("fresh", ["unauthenticated", "unauthenticated", STALE, STALE]),
        ("role", ["unauthenticated", "unauthenticated", "inside", "forbidden"]),
        ("that", ["unauthenticated", "unauthenticated", "inside", "forbidden"]),
    ] {
        let who = [&mut nobody, &mut anonymous, &mut alice, &mut bob];
        for (browser, told) in who.into_iter().zip(told) {
            let reply = browser.get(&format!("/room/{room}")).await;
            let status = match told {
                "inside" => 200,
                "forbidden" | "platform_required" => 403,
                _ => 401,
            };
            assert_eq!(reply.status, status, "{room}: {reply:?}");
            if status != 200 {
                let said: serde_json::Value = serde_json::from_str(&reply.text()).unwrap();
                assert_eq!(said["error"], told, "{room}");
                assert_eq!(reply.all("content-type"), ["application/json"]);
                assert_eq!(reply.all("cache-control"), ["no-store"]);
                assert_eq!(reply.all("www-authenticate").len(), usize::from(status == 401));
            }
        }
    }
}

#[tokio::test]
async fn browsers_are_sent_to_where_they_can_go_on_and_back_to_this_site_only() {
    let redis = RedisServer::start().await;
    let (site, _) = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    for (name, path, expected) in [
        ("a page", "/room/user", "/login?next=%2Froom%2Fuser"),
        ("with a query", "/room/user?a=b&c=%2F", "/login?next=%2Froom%2Fuser%3Fa%3Db%26c%3D%252F"),
        ("a login page with a query", "/room/redirect", "/in?lang=en&next=%2Froom%2Fredirect"),
    ] {
        let reply = page(&mut browser, path).await.expect(303);
        assert_eq!(location(&reply), expected, "{name}");
        assert_eq!(reply.all("cache-control"), ["no-store"], "{name}");
    }
    // What changes something is not done again by going back to it.
    let reply = browser.send(Method::POST, "/room/user", &[PAGE], "a=b").await.expect(303);
    assert_eq!(location(&reply), "/login");
    // A call by a script is none of a page.
    let script: [(&str, &[u8]); 2] = [PAGE, ("x-requested-with", b"XMLHttpRequest")];
    browser.send(Method::GET, "/room/user", &script, "").await.expect(401);
    page(&mut browser, "/room/json").await.expect(401);
    let reply = browser.get("/room/redirect").await.expect(303);
    assert_eq!(location(&reply), "/in?lang=en&next=%2Froom%2Fredirect");
    browser.get("/login:bob").await.expect(200);
    let reply = page(&mut browser, "/room/platform").await.expect(303);
    assert_eq!(location(&reply), "/platforms?next=%2Froom%2Fplatform");
    // No sign-in mends a role that is missing.
    let reply = page(&mut browser, "/room/role").await.expect(403);
    assert_eq!(location(&reply), "");
    let reply = Browser::new(site.addr).await.get("/room/own?x=1").await.expect(401);
    assert_eq!(reply.text(), "unauthenticated /room/own?x=1");
}

#[tokio::test]
async fn an_expired_session_is_told_apart_from_none() {
    let redis = RedisServer::start().await;
    let (site, _) = open(&redis).await;
    let mut browser = Browser::new(site.addr).await;
    browser.get("/login:alice,expiry:1:1").await.expect(200);
    test_support::eventually("the end of the session", async || {
        let reply = browser.get("/room/user").await;
        reply.status == 401 && reply.text().contains("\"session_expired\"")
    })
    .await;
    let reply = page(&mut browser, "/room/user").await.expect(303);
    assert!(location(&reply).starts_with("/login"), "{reply:?}");
}

#[tokio::test]
async fn nobody_is_sent_to_sign_in_because_the_store_is_away() {
    let redis = RedisServer::start().await;
    let short = Duration::from_millis(200);
    let config = patient(&redis.url()).command_timeout(short).connect_timeout(short);
    let (site, _) = site(config, Duration::from_millis(400)).await;
    let mut browser = Browser::new(site.addr).await;
    test_support::eventually("a sign-in", async || browser.get("/login:alice").await.status == 200)
        .await;
    redis.hang();
    for room in ["session", "user", "platform", "fresh", "role", "that", "json", "redirect"] {
        let path = format!("/room/{room}");
        for reply in [browser.get(&path).await, page(&mut browser, &path).await] {
            assert_eq!((reply.status.as_u16(), location(&reply)), (503, ""), "{room}: {reply:?}");
            assert_eq!(reply.all("retry-after"), ["1"], "{room}");
            assert!(reply.set_cookies().is_empty(), "{room}: {reply:?}");
            assert!(reply.text().contains("\"unavailable\""), "{room}: {reply:?}");
        }
    }
    redis.resume();
    test_support::eventually("the store is back", async || {
        browser.get("/room/user").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_guard_costs_one_read_and_without_a_cookie_none() {
    let redis = RedisServer::start().await;
    let (site, _) = open(&redis).await;
    let (mut alice, mut nobody) = (Browser::new(site.addr).await, Browser::new(site.addr).await);
    alice.get("/login:alice:p,insert:terms:yes").await.expect(200);
    let mut monitor = redis.monitor().await;
    for room in ["session", "user", "platform", "lately", "role", "that"] {
        alice.get(&format!("/room/{room}")).await.expect(200);
        assert_eq!(monitor.take_names().await, ["GET"], "{room}");
        nobody.get(&format!("/room/{room}")).await.expect(401);
        assert_eq!(monitor.take_names().await, [""; 0], "{room}");
    }
}

/// A service that may be called only where it was polled ready before.
#[derive(Debug)]
struct Polled(bool);

impl Clone for Polled {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl Service<Request<()>> for Polled {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0 = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(self.0, "called without being polled ready");
        std::future::ready(Ok(Response::new("inside".to_owned())))
    }
}

#[tokio::test]
async fn the_service_that_was_polled_ready_is_the_one_that_is_called() {
    let layer =
        RedisSessionLayer::builder(tower_redis_session::MemoryStore::new()).build().unwrap();
    let holds = |session: SessionContext| async move { session.validate().await.map(|_| true) };
    let entered = tower::service_fn(move |request: Request<()>| async move {
        let session = request.extensions().get::<SessionContext>().unwrap().clone();
        session.login("alice").await.unwrap();
        session.save().await.unwrap();
        RequireLayer::require_fn(holds).layer(Polled(false)).oneshot(request).await
    });
    let response = layer.layer(entered).oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn without_the_session_layer_nobody_goes_on() {
    let guarded = RequireLayer::user().layer(Polled(false));
    let response = guarded.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), 500);
}
