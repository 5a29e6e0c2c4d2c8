//! The end points of administrators: who reaches them, what they end, and what they report of it.
//!
//! To see these fail: let `AdminApi` call its endpoints without the guard; leave `verify_head` out
//! of them, or pass a request without a token; name nobody, or the impersonated user, in events;
//! mark no request as passive, or each.

use std::time::Duration;

use axum::Router;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use test_support::faulty_store::{Fault, FaultyStore, Op, Visitor};
use tower::{Layer as _, ServiceExt as _};
use tower_redis_session::{
    Error, RedisSessionLayer, SessionContext,
    admin_api::AdminApi,
    csrf::CsrfLayer,
    guard::{DenyWith, Permissions, RequireLayer},
    telemetry::Event,
    testing::{TestBody, TestClient, TestResponse, TestSessions},
};

type Client = TestClient<Router, TestBody>;

/// Root may do all, eve's rights are unknown, and the others have none.
async fn role_of(user: String) -> Result<Option<String>, Error> {
    match &*user {
        "root" => Ok(Some("admin".to_owned())),
        "eve" => Err(Error::unavailable("the roles are away")),
        _ => Ok(None),
    }
}

fn app(layer: &RedisSessionLayer) -> Router {
    let guard = RequireLayer::role("admin", role_of).on_denied(DenyWith::json());
    let api = AdminApi::new(layer.admin(), guard);
    Router::new().nest_service("/admin", api).layer(layer.clone())
}

async fn user(client: &Client) -> Option<String> {
    client.session(|session| async move { session.user_id().await }).await.unwrap()
}

async fn id(client: &Client) -> String {
    let id = client.session(|session| async move { session.id().await }).await.unwrap();
    id.unwrap().to_string()
}

async fn delete(client: &Client, path: &str) -> TestResponse {
    client.request(Method::DELETE, path).csrf().await
}

fn said(response: &TestResponse, status: u16) -> Value {
    assert_eq!(response.status(), status, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    response.json()
}

#[tokio::test]
async fn only_administrators_reach_any_end_point() {
    let sessions = TestSessions::new();
    let app = app(&sessions.layer());
    let new = || sessions.client(app.clone());
    let [nobody, alice, eve, acting, victim] = [new(), new(), new(), new(), new()];
    alice.login("alice").await;
    eve.login("eve").await;
    victim.login("victim").await;
    acting.login("root").await;
    let act = |session: SessionContext| async move { session.impersonate("alice").await };
    acting.session(act).await.unwrap();
    let one = format!("/admin/sessions/{}?user=victim", id(&victim).await);
    let other = one.replace('?', "/revoke?");
    for (who, client, status, code) in [
        ("nobody", &nobody, 401, "unauthenticated"),
        ("a user", &alice, 403, "forbidden"),
        ("whose rights are unknown", &eve, 503, "unavailable"),
        ("an administrator who acts as a user", &acting, 403, "forbidden"),
    ] {
        for (method, path) in [
            (Method::GET, "/admin/status"),
            (Method::GET, "/admin/sessions?user=victim"),
            (Method::DELETE, &*one),
            (Method::POST, &*other),
            (Method::DELETE, "/admin/sessions?user=victim"),
            (Method::POST, "/admin/sessions/revoke-all?user=victim"),
            (Method::GET, "/admin/nothing"),
        ] {
            let response = client.request(method.clone(), path).csrf().await;
            assert_eq!(said(&response, status)["error"], code, "{who}: {method} {path}");
        }
    }
    assert_eq!(user(&victim).await.as_deref(), Some("victim"));

    // Each kind of guard, and without the session layer none lets a request through.
    let permissions = Permissions::new(|_: String| async { Ok(vec!["sessions".to_owned()]) });
    let layer = sessions.layer();
    let by_permission =
        AdminApi::new(layer.admin(), RequireLayer::permission("sessions", &permissions));
    let outside = by_permission.clone().oneshot(Request::get("/status").body(()).unwrap()).await;
    assert_eq!(outside.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
    let inside = sessions.client(Router::new().fallback_service(by_permission).layer(layer));
    inside.login("alice").await;
    assert_eq!(inside.get("/status").await.status(), 200);
}

#[tokio::test]
async fn an_administrator_lists_and_ends_sessions_and_events_name_them() {
    let sessions = TestSessions::new();
    let (app, mut events) = (app(&sessions.layer()), sessions.layer().admin().events());
    let new = || sessions.client(app.clone());
    let [root, phone, laptop, tablet, other] = [new(), new(), new(), new(), new()];
    for device in [&phone, &laptop, &tablet] {
        device.login("a/b c&d").await;
        sessions.clock().advance(Duration::from_secs(1));
    }
    other.login("bob").await;
    root.login("root").await;

    let page = said(&root.get("/admin/sessions?user=a%2Fb+c%26d&limit=2").await, 200);
    let after = page["next"].as_str().unwrap();
    let last = root.get(&format!("/admin/sessions?user=a%2Fb%20c%26d&after={after}")).await;
    let last = said(&last, 200);
    let ids = |page: &Value| -> Vec<String> {
        let rows = page["sessions"].as_array().unwrap().iter();
        rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let expected = [id(&tablet).await, id(&laptop).await, id(&phone).await];
    assert_eq!([ids(&page), ids(&last)].concat(), expected);
    assert_eq!((&last["next"], &last["sessions"][0]["current"]), (&Value::Null, &false.into()));
    let own = said(&root.get("/admin/sessions?user=root").await, 200);
    assert_eq!(own["sessions"][0]["current"], true);
    assert!(!own.to_string().contains(&root.cookie("__Host-session").unwrap()));

    let first = format!("/admin/sessions/{}", expected[2]);
    let user_of = |at: &str, user: &str| format!("{at}?user={user}");
    let wrong = delete(&root, &user_of(&first, "bob")).await;
    assert_eq!(said(&wrong, 404), json!({ "error": "no_such_session" }));
    let one = delete(&root, &user_of(&first, "a%2Fb+c%26d")).await;
    assert_eq!(said(&one, 200), json!({ "revoked": true }));
    assert_eq!((user(&phone).await, user(&laptop).await.is_some()), (None, true));
    let again = root.post(&user_of(&format!("{first}/revoke"), "a%2Fb+c%26d")).csrf().await;
    assert_eq!(said(&again, 404)["error"], "no_such_session");

    // Another administrator, in whose session root acts.
    let deputy = new();
    deputy.login("deputy").await;
    let act = |session: SessionContext| async move { session.impersonate("root").await };
    deputy.session(act).await.unwrap();
    let all = deputy.post("/admin/sessions/revoke-all?user=a%2Fb+c%26d").csrf().await;
    assert_eq!(said(&all, 200), json!({ "revoked": 2 }));
    assert_eq!((user(&laptop).await, user(&tablet).await), (None, None));
    assert_eq!(said(&delete(&root, "/admin/sessions?user=carol").await, 200)["revoked"], 0);
    assert_eq!(user(&other).await.as_deref(), Some("bob"));

    let mut ended = Vec::new();
    while ended.len() < 3 {
        let event = events.next().await.unwrap();
        if matches!(event, Event::Revoked { .. } | Event::RevokedAll { .. }) {
            let event = serde_json::to_value(event).unwrap();
            assert_eq!(event["cause"], "administrator");
            ended.push((event["user"].clone(), event["actor"].clone()));
        }
    }
    let expected = [("a/b c&d", "root"), ("a/b c&d", "deputy"), ("carol", "root")];
    assert_eq!(ended, expected.map(|(user, actor)| (json!(user), json!(actor))));
}

#[tokio::test]
async fn what_another_sites_page_sends_ends_nothing() {
    let sessions = TestSessions::new();
    let app = app(&sessions.layer());
    let (root, victim) = (sessions.client(app.clone()), sessions.client(app));
    root.login("root").await;
    victim.login("victim").await;
    let path = "/admin/sessions?user=victim";
    let bare = || root.request(Method::DELETE, path);
    let (own, other) = (root.csrf_token().await, victim.csrf_token().await);
    for (name, request) in [
        ("without a token", bare()),
        ("with another's", bare().header("x-csrf-token", &other)),
        ("of a sibling host", bare().csrf().header("sec-fetch-site", "same-site")),
        ("of another origin", bare().csrf().header("origin", "https://evil.test")),
        ("with two", bare().header("x-csrf-token", &own).header("x-csrf-token", "a")),
    ] {
        assert_eq!(said(&request.await, 403)["error"], "csrf_failed", "{name}");
        assert_eq!(user(&victim).await.as_deref(), Some("victim"), "{name}");
    }
    assert_eq!(root.get("/admin/sessions/revoke-all?user=victim").await.status(), 405);
    assert_eq!(user(&victim).await.as_deref(), Some("victim"));

    // A layer outside decides by its own settings.
    let header = http::HeaderName::from_static("x-own-token");
    let csrf = CsrfLayer::builder().header(header).build().unwrap();
    let layer = sessions.layer();
    let guard = RequireLayer::role("admin", role_of);
    let api = layer.layer(csrf.layer(AdminApi::new(layer.admin(), guard)));
    let site = sessions.client(api);
    site.login("root").await;
    let token = site.csrf_token().await;
    let request = site.request(Method::DELETE, path).header("x-own-token", &token);
    assert_eq!(said(&request.await, 200)["revoked"], 1);
    assert_eq!(user(&victim).await, None);
}

#[tokio::test]
async fn a_page_that_polls_keeps_no_administrator_signed_in() {
    for (path, keeps) in [
        ("/admin/status", false),
        ("/admin/sessions?user=victim", false),
        ("/admin/sessions/revoke-all?user=victim", true),
    ] {
        let sessions = TestSessions::with(|builder| {
            let (hour, day) = (Duration::from_secs(3_600), Duration::from_secs(86_400));
            builder.idle_timeout(hour).csrf_lifetime(day)
        })
        .unwrap();
        let root = sessions.client(app(&sessions.layer()));
        root.login("root").await;
        // Once: a request for it is activity.
        let token = root.csrf_token().await;
        for _ in 0..3 {
            sessions.clock().advance(Duration::from_secs(25 * 60));
            let request =
                if keeps { root.post(path).header("x-csrf-token", &token) } else { root.get(path) };
            let answered = request.await.status();
            assert!(answered == 200 || !keeps, "{path}: {answered}");
        }
        assert_eq!(user(&root).await.is_some(), keeps, "{path}");
    }
}

#[tokio::test]
async fn malformed_requests_and_outages_have_a_status_of_their_own() {
    let sessions = TestSessions::new();
    let root = sessions.client(app(&sessions.layer()));
    root.login("root").await;
    let report = said(&root.get("/admin/status").await, 200);
    assert_eq!((&report["ready"], &report["serving"]), (&true.into(), &"memory".into()));
    assert!(report["counts"]["revoked"].is_number());
    let head = root.request(Method::HEAD, "/admin/sessions?user=root").await;
    assert_eq!((head.status().as_u16(), head.bytes().len()), (200, 0));
    for (path, status, code) in [
        ("/admin/sessions", 400, "invalid_user"),
        ("/admin/sessions?user=", 400, "invalid_user"),
        ("/admin/sessions?user=a&user=b", 400, "invalid_user"),
        ("/admin/sessions?user=a&limit=0", 400, "invalid_page"),
        ("/admin/sessions?user=a&limit=1001", 400, "invalid_page"),
        ("/admin/sessions?user=a&after=b", 400, "invalid_page"),
        ("/admin/other", 404, "not_found"),
    ] {
        assert_eq!(said(&root.get(path).await, status)["error"], code, "{path}");
    }
    assert_eq!(said(&delete(&root, "/admin/sessions").await, 400)["error"], "invalid_user");
    // The id is missing: not all sessions end.
    let all = delete(&root, "/admin/sessions/?user=root").await;
    assert_eq!(said(&all, 404)["error"], "not_found");
    let wrong = root.post("/admin/status").csrf().await;
    assert_eq!(
        (said(&wrong, 405), wrong.header("allow")),
        (json!({"error": "method_not_allowed"}), Some("GET, HEAD"))
    );

    let store = FaultyStore::new();
    let layer = RedisSessionLayer::builder(store.clone()).build().unwrap();
    let mut visitor = Visitor::new(&layer);
    let login = async |s: SessionContext| s.login("root").await.map(|()| String::new());
    assert_eq!(visitor.ask(login).await.status(), 200);
    let token = async |s: SessionContext| Ok(s.csrf_token().await?.to_string());
    let token = visitor.ask(token).await.text().to_owned();
    let guard = RequireLayer::role("admin", role_of).on_denied(DenyWith::json());
    let site = layer.layer(AdminApi::new(layer.admin(), guard));
    let target =
        visitor.ask(async |s: SessionContext| Ok(s.id().await?.unwrap().to_string())).await;
    let mut request = visitor.request();
    *request.method_mut() = Method::DELETE;
    *request.uri_mut() = format!("/sessions/{}?user=root", target.text()).parse().unwrap();
    let _ = request.headers_mut().insert("x-csrf-token", token.parse().unwrap());
    store.fault(Op::DeleteIf, Fault::Fails);
    let response: Response<_> = site.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
}
