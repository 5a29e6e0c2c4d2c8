//! The harness for handlers: a client that keeps cookies as a browser does.
//!
//! To see these fail: in `testing/cookie_jar.rs` leave out a check of `is_for`, of `keeps_prefix`
//! or of `is_alive`; let `Browser::keep` read the first `Set-Cookie` alone; let `csrf` send nothing.

use std::time::Duration;

use axum::{Router, routing::get};
use http::{Method, Request, Response};
use test_support::faulty_store::{Fault, FaultyStore, Op};
use tower::{Layer, ServiceBuilder, service_fn};
use tower_redis_session::{
    CookieConfig, Error, ErrorKind, RedisSessionLayer, SessionContext, Transport,
    csrf::CsrfLayer,
    testing::{TestBody, TestClient, TestSessions},
};

/// Sets what the query says, one cookie for each `;;`, and answers with the `Cookie` that came.
async fn echo(request: Request<TestBody>) -> Result<Response<String>, Error> {
    let cookie = request.headers().get("cookie").map_or("", |cookie| cookie.to_str().unwrap());
    let mut response = Response::new(cookie.to_owned());
    let set = String::from_utf8(request.body().as_bytes().to_vec()).unwrap();
    for line in set.split(";;").filter(|line| !line.is_empty()) {
        let _ = response.headers_mut().append("set-cookie", line.parse().unwrap());
    }
    Ok(response)
}

/// What a browser sends to `at` after a response from `https://example.org/shop/list` said `set`,
/// and `later`.
const COOKIES: &[(&str, &str, u64, &str, &str)] = &[
    ("the default path is the folder", "a=1", 0, "/shop/other", "a=1"),
    ("the default path is not another folder", "a=1", 0, "/", ""),
    ("a path covers what is below", "a=1; Path=/shop", 0, "/shop/x/y", "a=1"),
    ("a path covers itself", "a=1; Path=/shop", 0, "/shop?q=1", "a=1"),
    ("a path covers no longer name", "a=1; Path=/shop", 0, "/shopping", ""),
    ("the longer path is first", "a=1; Path=/;;b=2; Path=/shop", 0, "/shop", "b=2; a=1"),
    ("the later replaces", "a=1; Path=/;;a=2; Path=/", 0, "/", "a=2"),
    ("another path replaces nothing", "a=1; Path=/;;a=2; Path=/x", 0, "/", "a=1"),
    ("no age drops", "a=1; Path=/;;a=; Path=/; Max-Age=0", 0, "/", ""),
    ("a negative age drops", "a=1; Path=/;;a=; Path=/; Max-Age=-1", 0, "/", ""),
    ("an age lasts", "a=1; Path=/; Max-Age=60", 59, "/", "a=1"),
    ("an age ends", "a=1; Path=/; Max-Age=60", 60, "/", ""),
    ("a past date drops", "a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 0, "/", ""),
    ("a date lasts", "a=1; Path=/; Expires=Mon, 01 Jan 2024 00:01:00 GMT", 59, "/", "a=1"),
    ("a date ends", "a=1; Path=/; Expires=Mon, 01 Jan 2024 00:01:00 GMT", 60, "/", ""),
    ("a leap day", "a=1; Path=/; Expires=Thu, 29 Feb 2024 00:00:00 GMT", 5_097_599, "/", "a=1"),
    ("a leap day ends", "a=1; Path=/; Expires=Thu, 29-Feb-2024 00:00:00 GMT", 5_097_600, "/", ""),
    (
        "age before date",
        "a=1; Path=/; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        8,
        "/",
        "a=1",
    ),
    ("the own domain", "a=1; Path=/; Domain=example.org", 0, "/", "a=1"),
    ("another domain", "a=1; Path=/; Domain=example.com", 0, "/", ""),
    ("a name that ends alike", "a=1; Path=/; Domain=ple.org", 0, "/", ""),
    ("over TLS", "a=1; Path=/; Secure", 0, "/", "a=1"),
    ("__Host-", "__Host-a=1; Path=/; Secure", 0, "/", "__Host-a=1"),
    ("__Host- without Secure", "__Host-a=1; Path=/", 0, "/", ""),
    ("__Host- without a path", "__Host-a=1; Secure", 0, "/shop/x", ""),
    ("__Host- elsewhere", "__Host-a=1; Path=/shop; Secure", 0, "/shop", ""),
    ("__Host- with a domain", "__Host-a=1; Path=/; Secure; Domain=example.org", 0, "/", ""),
    ("__Secure- without Secure", "__Secure-a=1; Path=/", 0, "/", ""),
    ("no cookie", "a", 0, "/shop/x", ""),
];

#[tokio::test]
async fn the_client_keeps_replaces_and_drops_cookies_as_a_browser_does() {
    for (what, set, later, at, sent) in COOKIES {
        let sessions = TestSessions::new();
        let client = sessions.client(service_fn(echo));
        assert_eq!(client.post("/shop/list").body(*set).await.status(), 200);
        sessions.clock().advance(Duration::from_secs(*later));
        assert_eq!(client.get(at).await.text(), *sent, "{what}");
    }
}

#[tokio::test]
async fn cookies_go_to_their_host_and_secure_ones_over_tls_alone() {
    let client = TestSessions::new().client(service_fn(echo));
    let set = "own=1; Path=/;;all=2; Path=/; Domain=example.org;;__Host-no-path=1; Secure";
    assert_eq!(client.post("/").body(set).await.text(), "");
    assert_eq!(client.get("/").header("host", "shop.example.org:8443").await.text(), "all=2");
    assert_eq!(client.get("/").header("host", "notexample.org").await.text(), "");
    assert_eq!(client.get("https://example.org/").await.text(), "own=1; all=2");
    client.restart();
    assert_eq!(client.get("/").await.text(), "", "no cookie of these has an age");

    let client = TestSessions::new().client(service_fn(echo)).plain_http();
    client.post("/").body("a=1; Path=/; Secure;;b=2; Path=/").await;
    assert_eq!(client.get("/").await.text(), "b=2");
}

#[tokio::test]
async fn another_sites_page_sends_the_cookies_that_same_site_allows() {
    let client = TestSessions::new().client(service_fn(echo));
    let set = "s=1; SameSite=Strict;;l=1; SameSite=Lax;;d=1;;n=1; SameSite=None; Secure;;\
               x=1; SameSite=None";
    client.post("/").body(set).await;
    let all = client.get("/").await;
    assert_eq!(all.text(), "s=1; l=1; d=1; n=1", "without Secure it is not kept");
    let link = client.get("/").header("sec-fetch-site", "cross-site").await;
    assert_eq!(link.text(), "l=1; d=1; n=1");
    let form = client.post("/").header("sec-fetch-site", "cross-site").await;
    assert_eq!(form.text(), "n=1");
    let sibling = client.post("/").header("sec-fetch-site", "same-site").await;
    assert_eq!(sibling.text(), all.text());
}

async fn user(session: SessionContext) -> Result<String, Error> {
    Ok(session.user_id().await?.unwrap_or("-".to_owned()))
}

async fn sign_out(session: SessionContext) -> Result<String, Error> {
    session.logout().await.map(|()| "bye".to_owned())
}

fn router(sessions: RedisSessionLayer) -> Router {
    Router::new()
        .route("/", get(user).post(user).delete(sign_out))
        .layer(CsrfLayer::new())
        .layer(sessions)
}

#[tokio::test]
async fn a_router_of_axum_is_driven_with_login_csrf_and_logout() {
    let sessions = TestSessions::new();
    let app = router(sessions.layer());
    let (alice, bob) = (sessions.client(app.clone()), sessions.client(app));
    assert_eq!(alice.get("/").await.text(), "-");
    assert_eq!(alice.login("alice").await.get("/").await.text(), "alice");
    assert_eq!(bob.get("/").await.text(), "-", "a client is a browser of its own");

    assert_eq!(alice.post("/").await.status(), 403);
    assert_eq!(alice.post("/").csrf().await.text(), "alice");
    assert_eq!(bob.post("/").csrf().await.text(), "-", "visitors have a token too");
    let token = bob.csrf_token().await;
    assert_eq!(bob.post("/").form(&[("csrf_token", &token)]).await.text(), "-");
    let stranger = bob.csrf_token().await;
    assert_eq!(alice.post("/").form(&[("csrf_token", &stranger)]).await.status(), 403);
    let forged = alice.post("/").header("sec-fetch-site", "cross-site").csrf();
    assert_eq!(forged.await.status(), 403);
    let forged = alice.post("/").header("origin", "https://attacker.example").csrf();
    assert_eq!(forged.await.status(), 403, "Origin alone, as old browsers send it");

    assert_eq!(alice.request(Method::DELETE, "/").csrf().await.text(), "bye");
    assert_eq!(alice.cookie("__Host-session"), None);
    assert!(sessions.store().is_empty());
}

#[tokio::test]
async fn a_session_expires_by_the_clock() {
    let minute = Duration::from_secs(60);
    let sessions = TestSessions::with(|builder| builder.idle_timeout(10 * minute)).unwrap();
    let client = sessions.client(router(sessions.layer()));
    client.login("alice").await;
    for (later, user) in [(9, "alice"), (9, "alice"), (12, "-")] {
        sessions.clock().advance(later * minute);
        assert_eq!(client.get("/").await.text(), user, "{later} minutes later");
    }
}

#[tokio::test]
async fn a_plain_service_with_a_body_of_its_own_is_driven_too() {
    let visits = service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<SessionContext>().unwrap();
        let visits = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
        Ok::<_, Error>(Response::new(visits.to_string()))
    });
    let sessions = TestSessions::new();
    let app = ServiceBuilder::new().layer(sessions.layer()).service(visits);
    let client = TestClient::with_body(&sessions.layer(), app, drop);
    assert_eq!(client.get("/").await.text(), "1");
    let (one, other) = tokio::join!(client.get("/"), client.get("/"));
    assert_eq!(one.json::<u32>() + other.json::<u32>(), 5, "requests overlap");
    client.session(|session| async move { session.insert("visits", &40).await }).await.unwrap();
    assert_eq!(client.get("/").await.text(), "41");
    client.clear_cookies();
    assert_eq!(client.get("/").await.text(), "1");
}

#[tokio::test]
async fn a_token_in_a_header_is_kept_as_a_cookie_is() {
    for transport in [Transport::bearer(), Transport::header("x-session".parse().unwrap())] {
        let sessions = TestSessions::with(|builder| builder.transport(transport)).unwrap();
        let client = sessions.client(router(sessions.layer()));
        assert_eq!(client.login("alice").await.get("/").await.text(), "alice");
        assert_eq!(client.request(Method::DELETE, "/").await.text(), "bye");
        assert_eq!(client.get("/").await.text(), "-");
    }
}

#[tokio::test]
async fn what_a_prepared_session_cannot_store_is_an_error() {
    let cookie = CookieConfig::new("__Host-shop");
    let sessions =
        TestSessions::with(|builder| builder.cookie(cookie).max_record_size(256)).unwrap();
    let client = sessions.client(());
    let long = "x".repeat(1_000);
    let stored = client.session(|session| async move { session.insert("long", &long).await }).await;
    assert!(stored.is_err(), "{stored:?}");
    assert_eq!(client.cookie("__Host-shop"), None);
    let failed: Result<(), _> = client
        .session(|session| async move {
            session.insert("a", &1).await?;
            Err(Error::unavailable("as it was told"))
        })
        .await;
    assert!(failed.is_err());
    assert!(sessions.store().is_empty(), "what a failed closure has buffered is dropped");

    let store = FaultyStore::new();
    let layer = RedisSessionLayer::builder(store.clone()).build().unwrap();
    let client = TestClient::new(&layer, ());
    store.fault(Op::Create, Fault::Fails);
    let stored = client.session(|session| async move { session.insert("a", &1).await }).await;
    assert_eq!(stored.unwrap_err().kind(), ErrorKind::Unavailable, "the commit failed");
}

/// `call` leaves the body to the test: it may never end.
#[tokio::test]
async fn an_unread_response_keeps_its_cookies() {
    let sessions = TestSessions::new();
    let app = sessions.layer().layer(service_fn(async |request: Request<TestBody>| {
        request.extensions().get::<SessionContext>().unwrap().login("alice").await?;
        Ok::<_, Error>(Response::new(TestBody::from("unread")))
    }));
    let client = sessions.client(app);
    let response = client.call(Request::new(TestBody::default())).await.unwrap();
    drop(response);
    assert!(client.cookie("__Host-session").is_some());
}
