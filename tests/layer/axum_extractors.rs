//! Handlers of axum take the session, its user and its platform as arguments, and are not called
//! without.
//!
//! To see these fail: answer a `Rejection` by 200; take the user from somewhere else; ask for the
//! platform before the user.

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_redis_session::{
    Error, ErrorKind, MemoryStore, RedisSessionLayer, SessionContext, Transport,
    guard::{DeniedKind, OnPlatform, Rejection, SignedIn},
};

async fn login(session: SessionContext) -> Result<&'static str, Error> {
    session.login("alice").await?;
    Ok("welcome")
}

async fn choose(SignedIn { session, .. }: SignedIn) -> Result<&'static str, Error> {
    session.set_platform("11").await?;
    Ok("chosen")
}

async fn account(SignedIn { user, .. }: SignedIn) -> String {
    user
}

async fn captions(OnPlatform { user, platform, .. }: OnPlatform) -> String {
    format!("{user} on {platform}")
}

async fn greeting(visitor: Result<SignedIn, Rejection>) -> Result<String, Rejection> {
    match visitor {
        Ok(SignedIn { user, .. }) => Ok(user),
        Err(refused) if refused.denied().kind() == DeniedKind::Unauthenticated => {
            Ok("stranger".to_owned())
        }
        Err(refused) => Err(refused),
    }
}

async fn failing() -> Result<(), Error> {
    Err(Error::new(ErrorKind::Unavailable, "the store is away"))
}

fn routes() -> Router {
    Router::new()
        .route("/login", post(login))
        .route("/choose", post(choose))
        .route("/account", get(account))
        .route("/captions", get(captions))
        .route("/greeting", get(greeting))
        .route("/failing", get(failing))
}

fn site(transport: Option<Transport>) -> Router {
    let mut builder = RedisSessionLayer::builder(MemoryStore::new());
    if let Some(transport) = transport {
        builder = builder.transport(transport);
    }
    routes().layer(builder.build().unwrap())
}

async fn ask(site: &Router, method: &str, path: &str, cookie: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(path).header(header::COOKIE, cookie);
    site.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn cookie(response: &Response<Body>) -> String {
    let line = response.headers()[header::SET_COOKIE].to_str().unwrap();
    line.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn handlers_get_who_is_signed_in_and_where() {
    let site = site(None);
    let answer = ask(&site, "POST", "/login", "").await;
    let alice = cookie(&answer);
    assert_eq!(text(answer).await, "welcome");
    assert_eq!(text(ask(&site, "GET", "/account", &alice).await).await, "alice");
    assert_eq!(text(ask(&site, "GET", "/greeting", &alice).await).await, "alice");
    let refused = ask(&site, "GET", "/captions", &alice).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(text(refused).await, r#"{"error":"platform_required"}"#);
    assert_eq!(ask(&site, "POST", "/choose", &alice).await.status(), StatusCode::OK);
    assert_eq!(text(ask(&site, "GET", "/captions", &alice).await).await, "alice on 11");
}

#[tokio::test]
async fn a_handler_is_not_called_without_what_it_asks_for() {
    let site = site(None);
    for path in ["/account", "/captions"] {
        let refused = ask(&site, "GET", path, "").await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(refused.headers()[header::WWW_AUTHENTICATE], "Session", "{path}");
        assert_eq!(refused.headers()[header::CACHE_CONTROL], "no-store", "{path}");
        assert_eq!(text(refused).await, r#"{"error":"unauthenticated"}"#, "{path}");
    }
    assert_eq!(ask(&site, "POST", "/choose", "").await.status(), StatusCode::UNAUTHORIZED);
    // A handler that takes the rejection decides itself.
    assert_eq!(text(ask(&site, "GET", "/greeting", "").await).await, "stranger");
}

#[tokio::test]
async fn a_401_names_the_way_that_tokens_come_by() {
    let site = site(Some(Transport::bearer()));
    let refused = ask(&site, "GET", "/account", "").await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()[header::WWW_AUTHENTICATE], "Bearer");
}

#[tokio::test]
async fn without_the_layer_nobody_gets_in() {
    for path in ["/account", "/captions", "/greeting"] {
        let refused = ask(&routes(), "GET", path, "").await;
        assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
    assert_eq!(ask(&routes(), "POST", "/login", "").await.status(), 500);
}

#[tokio::test]
async fn an_error_answers_as_it_says() {
    let answer = ask(&site(None), "GET", "/failing", "").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[header::RETRY_AFTER], HeaderValue::from_static("1"));
}
