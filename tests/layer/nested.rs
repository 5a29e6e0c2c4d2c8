//! What is nested in a router that strips prefixes knows the place that was asked for: guards, CSRF
//! exemptions, the session API.
//!
//! To see these fail: ask the request's own URI; forget axum's `OriginalUri`; keep no path in the
//! layer.

use std::convert::Infallible;

use axum::{Router, body::Body, routing};
use http::{HeaderMap, Method, Request, Response, Uri, header};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_redis_session::{
    MemoryStore, RedisSessionLayer, SessionContext,
    csrf::CsrfLayer,
    guard::{RequireLayer, requested_place},
    session_api::SessionApi,
};

fn sessions() -> RedisSessionLayer {
    RedisSessionLayer::builder(MemoryStore::new()).build().unwrap()
}

fn request(method: Method, uri: &str) -> http::request::Builder {
    Request::builder().method(method).uri(uri)
}

fn place(headers: &HeaderMap) -> String {
    headers[header::LOCATION].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_browser_comes_back_to_the_page_that_it_asked_for() {
    let profile =
        || Router::new().route("/profile", routing::get("profile")).layer(RequireLayer::user());
    let outside = Router::new().nest("/user", profile()).layer(sessions());
    let inside = Router::new().nest("/user", profile().layer(sessions()));
    let deep = Router::new().nest("/a", Router::new().nest("/user", profile()));
    let root = Router::new().route("/", routing::get("root")).layer(RequireLayer::user());
    let root = Router::new().nest("/user", root.layer(sessions()));
    for (name, router, path, next) in [
        (
            "the layer outside",
            outside.clone(),
            "/user/profile?tab=2",
            "%2Fuser%2Fprofile%3Ftab%3D2",
        ),
        ("the layer inside", inside, "/user/profile?tab=2", "%2Fuser%2Fprofile%3Ftab%3D2"),
        ("two routers", deep.layer(sessions()), "/a/user/profile", "%2Fa%2Fuser%2Fprofile"),
        ("the root of a router", root, "/user", "%2Fuser"),
        ("an absolute address", outside, "http://a.example/user/profile", "%2Fuser%2Fprofile"),
    ] {
        let page = request(Method::GET, path).header("accept", "text/html");
        let response = router.oneshot(page.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(place(response.headers()), format!("/login?next={next}"), "{name}");
    }
}

/// Any router: the layer has seen the path first. One in between that leads elsewhere is not a
/// router that strips.
#[tokio::test]
async fn the_layer_remembers_what_it_was_asked_for() {
    for (asked, left, expected) in [
        ("/user/profile?tab=2", "/profile?tab=2", "%2Fuser%2Fprofile%3Ftab%3D2"),
        ("/old", "/a/new/one", "%2Fold"),
    ] {
        let inner = ServiceBuilder::new().layer(RequireLayer::user()).service(service_fn(
            async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())),
        ));
        let strip = service_fn(move |mut request: Request<()>| {
            *request.uri_mut() = Uri::from_static(left);
            inner.clone().oneshot(request)
        });
        let page = request(Method::GET, asked).header("accept", "text/html");
        let response = sessions().layer(strip).oneshot(page.body(()).unwrap()).await.unwrap();
        assert_eq!(place(response.headers()), format!("/login?next={expected}"));
    }
}

#[tokio::test]
async fn an_exempt_path_is_the_one_that_was_asked_for_and_no_other() {
    let csrf = CsrfLayer::builder().exempt_path("/api/webhook").exempt(|parts| {
        requested_place(parts).is_some_and(|place| place.path().starts_with("/api/hooks/"))
    });
    let hooks = Router::new()
        .route("/webhook", routing::post("told"))
        .route("/api/webhook", routing::post("told"))
        .route("/hooks/{name}", routing::post("told"))
        .layer(csrf.build().unwrap());
    let app = Router::new().nest("/api", hooks.clone()).nest("/other", hooks).layer(sessions());
    for (path, status) in [
        ("/api/webhook", 200),
        ("/api/hooks/one", 200),
        ("/other/webhook", 403),
        // What is left of it is exempt elsewhere, and not here.
        ("/other/api/webhook", 403),
        ("/other/hooks/one", 403),
    ] {
        let post = request(Method::POST, path).body(Body::empty()).unwrap();
        assert_eq!(app.clone().oneshot(post).await.unwrap().status(), status, "{path}");
    }
}

#[tokio::test]
async fn the_session_api_works_wherever_it_is_nested() {
    let sign_in = async |request: Request<Body>| {
        let session = request.extensions().get::<SessionContext>().unwrap();
        session.login("alice").await.unwrap();
    };
    for at in ["/sessions", "/api/session", "/state"] {
        let app = Router::new()
            .route("/sign-in", routing::post(sign_in))
            .nest_service(at, SessionApi::new())
            .layer(sessions());
        let post = request(Method::POST, "/sign-in").body(Body::empty()).unwrap();
        let response = app.clone().oneshot(post).await.unwrap();
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let get = |path: String| {
            let get = request(Method::GET, &path).header("cookie", &cookie);
            app.clone().oneshot(get.body(Body::empty()).unwrap())
        };
        assert_eq!(get(format!("{at}/state")).await.unwrap().status(), 200, "{at}");
        let list = if at == "/sessions" { at.to_owned() } else { format!("{at}/sessions") };
        let listed = get(list.clone()).await.unwrap();
        assert_eq!(listed.status(), 200, "{at}");
        let body = axum::body::to_bytes(listed.into_body(), usize::MAX).await.unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let id = listed["sessions"][0]["id"].as_str().unwrap().to_owned();
        let end = request(Method::DELETE, &format!("{list}/{id}")).header("cookie", &cookie);
        let ended = app.clone().oneshot(end.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(ended.status(), 200, "{at}");
    }
}
