//! Where a guard sends a browser, also with cookies that nobody can tell apart, and by which name a
//! client is asked for its token.
//!
//! To see these fail: put a place into `next` that a login page has to refuse; take several live
//! sessions for a fault of the server's.

use std::convert::Infallible;

use http::{Request, Response, header};
use tower::{Layer, ServiceExt, service_fn};
use tower_redis_session::{
    MemoryStore, RedisSessionLayer, SessionContext, Transport,
    clock::ManualClock,
    guard::{RequireLayer, safe_next},
    session_api::SessionApi,
};

fn layer() -> RedisSessionLayer {
    RedisSessionLayer::builder(MemoryStore::new()).build().unwrap()
}

fn page(path: &str) -> Request<()> {
    let request = Request::get(path).header("accept", "text/html");
    request.body(()).unwrap()
}

fn location<B>(response: &Response<B>) -> &str {
    response.headers()[header::LOCATION].to_str().unwrap()
}

#[tokio::test]
async fn no_place_is_handed_on_that_a_login_page_has_to_refuse() {
    for (path, expected) in [
        ("/a", "/login?next=%2Fa"),
        ("//evil.example/a", "/login"),
        ("/%2Fevil.example", "/login"),
        ("/../b", "/login"),
    ] {
        let request = page(path);
        let guarded = layer().layer(RequireLayer::user().layer(Inside));
        let response = guarded.oneshot(request).await.unwrap();
        assert_eq!(location(&response), expected, "{path}");
        let next = expected.split_once("next=").map(|(_, next)| next.replace("%2F", "/"));
        assert!(next.is_none_or(|next| safe_next(&next).is_some()), "{path}");
    }
}

#[tokio::test]
async fn a_browser_with_several_live_sessions_is_sent_to_sign_in() {
    let layer = layer();
    let mut cookies = Vec::new();
    for _ in 0..2 {
        let sign_in = service_fn(async |request: Request<()>| {
            let session = request.extensions().get::<SessionContext>().unwrap();
            session.login("alice").await.unwrap();
            Ok::<_, Infallible>(Response::new(String::new()))
        });
        let response = layer.layer(sign_in).oneshot(Request::new(())).await.unwrap();
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        cookies.push(cookie.split(';').next().unwrap().to_owned());
    }
    let request = Request::get("/").header("accept", "text/html");
    let request = request.header("cookie", cookies.join("; ")).body(()).unwrap();
    let response = layer.layer(RequireLayer::user().layer(Inside)).oneshot(request).await.unwrap();
    assert_eq!((response.status().as_u16(), location(&response)), (303, "/login?next=%2F"));
    let request = Request::get("/").header("cookie", &cookies[0]).body(()).unwrap();
    let response = layer.layer(RequireLayer::user().layer(Inside)).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
}

/// A guard loads the session before the stream begins, which must not count.
#[tokio::test]
async fn to_listen_behind_a_guard_is_no_activity() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clock());
    let layer = RedisSessionLayer::builder(store).build().unwrap();
    let sign_in = service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<SessionContext>().unwrap();
        session.login("alice").await.unwrap();
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let response = layer.layer(sign_in).oneshot(Request::new(())).await.unwrap();
    let cookie =
        response.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    let ask = async |path: &str| {
        let guarded = layer.layer(RequireLayer::user().layer(SessionApi::new()));
        let request = Request::get(path).header("cookie", cookie).body(()).unwrap();
        guarded.oneshot(request).await.unwrap().status().as_u16()
    };
    let half = std::time::Duration::from_secs(31 * 60);
    clock.advance(half);
    assert_eq!(ask("/events").await, 200);
    clock.advance(half);
    assert_eq!(ask("/state").await, 401, "an hour has gone by without activity");
}

#[derive(Clone)]
struct Inside;

impl tower::Service<Request<()>> for Inside {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        std::future::ready(Ok(Response::new("inside".to_owned())))
    }
}

#[tokio::test]
async fn a_token_in_a_header_is_asked_for_by_the_name_of_its_scheme() {
    let bearer = RedisSessionLayer::builder(MemoryStore::new()).transport(Transport::bearer());
    for (layer, scheme) in [(layer(), "Session"), (bearer.build().unwrap(), "Bearer")] {
        let guarded = layer.layer(RequireLayer::user().layer(Inside));
        let response = guarded.oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], scheme);
    }
}
