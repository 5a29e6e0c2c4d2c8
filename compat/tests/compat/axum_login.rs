//! The flows of axum-login's examples (sqlite, permissions, oauth2), the forms of its macros, and
//! what a sign-in by `AuthSession` has from the layer.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    routing::get,
};
use axum_login::{login_required, permission_required, predicate_required};
use test_support::RedisServer;
use tower_redis_session::{
    DatabaseConfig, DurableStore, RedisConfig, RedisSessionLayer, SessionContext,
    import::{Format, Imported, Importer},
    testing::{TestClient, TestResponse, TestSessions},
};
use tower_redis_session_compat::{axum_login::AuthManagerLayerBuilder, v0_14::SessionManagerLayer};

use crate::{
    browser,
    shop::{AuthSession, Backend, app},
};

type Client = TestClient<Router, Body>;

const COOKIE: &str = "__Host-session";

fn shop() -> (TestSessions, Backend, Client) {
    let (sessions, backend) = (TestSessions::new(), Backend::new());
    let client = browser(&sessions.layer(), app(backend.clone(), sessions.layer()));
    (sessions, backend, client)
}

async fn login(client: &Client, name: &str, password: &str) -> TestResponse {
    client.post("/login").form(&[("name", name), ("password", password)]).await
}

fn location(response: &TestResponse) -> Option<&str> {
    response.header("location")
}

#[tokio::test]
async fn a_user_signs_in_with_a_password_and_out_again() {
    let (_, _, client) = shop();
    let response = client.get("/").await;
    assert_eq!((response.status().as_u16(), location(&response)), (307, Some("/login?next=%2F")));
    let response = login(&client, "ferris", "bogus").await;
    assert_eq!((location(&response), client.cookie(COOKIE)), (Some("/login"), None));
    let response = login(&client, "ferris", "hunter42").await;
    assert_eq!(location(&response), Some("/"));
    assert_eq!(client.get("/").await.text(), "hello ferris");
    let cookie = client.cookie(COOKIE).unwrap();
    client.get("/logout").await;
    assert_eq!(client.cookie(COOKIE), None);
    client.set_cookie(&format!("{COOKIE}={cookie}; Path=/; Secure"));
    assert_eq!(client.get("/").await.status(), 307, "the old cookie opens nothing");
}

#[tokio::test]
async fn permissions_of_another_user_open_the_restricted_page() {
    let (_, _, client) = shop();
    login(&client, "ferris", "hunter42").await;
    let response = client.get("/restricted").await;
    assert_eq!(location(&response), Some("/login?next=%2Frestricted"));
    let ferris = client.cookie(COOKIE);
    login(&client, "admin", "hunter42").await;
    assert_eq!(client.get("/restricted").await.text(), "restricted");
    assert_ne!(client.cookie(COOKIE), ferris, "another user has another session");
    client.get("/logout").await;
    assert_eq!(client.cookie(COOKIE), None);
}

#[tokio::test]
async fn a_user_signs_in_at_a_provider() {
    let (_, _, client) = shop();
    let response = client.get("/callback?code=ferris&state=Lh8-3kq").await;
    assert_eq!(response.status(), 400, "no sign-in was started");
    client.post("/authorize").form(&[("next", "/protected")]).await;
    let visitor = client.cookie(COOKIE).unwrap();
    let response = client.get("/callback?code=ferris&state=forged").await;
    assert_eq!(response.status(), 401);
    let response = client.get("/callback?code=ferris&state=Lh8-3kq").await;
    assert_eq!(location(&response), Some("/protected"));
    assert_eq!(client.get("/protected").await.text(), "protected");
    assert_ne!(client.cookie(COOKIE), Some(visitor), "session fixation");
    let keys = client.session(|session| async move { session.keys().await }).await.unwrap();
    assert_eq!(keys, ["axum-login.data", "oauth.state"]);
}

#[tokio::test]
async fn a_changed_password_ends_all_sessions_but_the_one_that_changed_it() {
    let sessions = TestSessions::new();
    let app = app(Backend::new(), sessions.layer());
    let (laptop, phone) =
        (browser(&sessions.layer(), app.clone()), browser(&sessions.layer(), app));
    login(&laptop, "ferris", "hunter42").await;
    login(&phone, "ferris", "hunter42").await;
    let before = laptop.cookie(COOKIE);
    assert_eq!(laptop.post("/password").form(&[("password", "new")]).await.text(), "changed");
    assert_ne!(laptop.cookie(COOKIE), before, "a second sign-in has a new id");
    assert_eq!(laptop.get("/protected").await.text(), "protected");
    let response = phone.get("/protected").await;
    assert_eq!(location(&response), Some("/login?next=%2Fprotected"));
    assert_eq!(phone.cookie(COOKIE), None);
    assert_eq!(sessions.layer().admin().sessions_of("42").await.unwrap().len(), 1);
}

/// `revoke_others` of `SessionContext` keeps the session that changes the password.
#[tokio::test]
async fn a_second_sign_in_of_the_same_user_revives_no_session_that_was_revoked() {
    let sessions = TestSessions::new();
    let admin = sessions.layer().admin();
    let revoke = from_fn(move |_: AuthSession, request: Request, next: Next| {
        let admin = admin.clone();
        async move {
            if request.uri().path() == "/password" {
                assert_eq!(admin.revoke_all("42").await.unwrap(), 1);
            }
            next.run(request).await
        }
    });
    let backend = Backend::new();
    let layer = SessionManagerLayer::new(sessions.layer());
    let auth = AuthManagerLayerBuilder::new(backend.clone(), layer).build();
    let client = browser(&sessions.layer(), crate::shop::routes(backend).layer(revoke).layer(auth));
    login(&client, "ferris", "hunter42").await;
    client.post("/password").form(&[("password", "new")]).await;
    assert_eq!(location(&client.get("/protected").await), Some("/login?next=%2Fprotected"));
    assert!(sessions.store().is_empty());
}

/// Every form of the macros, by a visitor and by `ferris`, who may read.
#[tokio::test]
async fn each_form_of_the_macros_decides_as_on_tower_sessions() {
    async fn reads(auth: AuthSession) -> bool {
        auth.user.is_some()
    }
    let (sessions, backend) = (TestSessions::new(), Backend::new());
    let page = |path: &str| Router::<()>::new().route(path, get(|| async { "page" }));
    let own = page("/a")
        .route_layer(login_required!(Backend))
        .merge(page("/b").route_layer(login_required!(Backend, login_url = "/login")))
        .merge(page("/c").route_layer(login_required!(
            Backend,
            login_url = "/in?a=1",
            redirect_field = "to"
        )))
        .merge(page("/d").route_layer(permission_required!(Backend, "read")))
        .merge(page("/e").route_layer(permission_required!(Backend, "read", "write")))
        .merge(page("/f").route_layer(permission_required!(Backend, login_url = "/in", "write")))
        .merge(page("/g").route_layer(permission_required!(
            Backend,
            login_url = "/in",
            redirect_field = "to",
            "write"
        )))
        .merge(page("/h").route_layer(predicate_required!(reads, StatusCode::IM_A_TEAPOT)))
        .nest("/in", page("/i").route_layer(login_required!(Backend, login_url = "/login")))
        .merge(crate::shop::routes(backend.clone()));
    let layer = SessionManagerLayer::new(sessions.layer());
    let client =
        browser(&sessions.layer(), own.layer(AuthManagerLayerBuilder::new(backend, layer).build()));
    for (name, path, visitor, ferris) in [
        ("login", "/a", (401, None), 200),
        ("login, redirect", "/b?x=1&y=2", (307, Some("/login?next=%2Fb%3Fx%3D1%26y%3D2")), 200),
        ("login, redirect field", "/c", (307, Some("/in?to=%2Fc&a=1")), 200),
        ("permission", "/d", (403, None), 200),
        ("two permissions", "/e", (403, None), 403),
        ("permission, redirect", "/f", (307, Some("/in?next=%2Ff")), 307),
        ("permission, redirect field", "/g", (307, Some("/in?to=%2Fg")), 307),
        ("predicate", "/h", (418, None), 200),
        ("nested", "/in/i", (307, Some("/login?next=%2Fin%2Fi")), 200),
    ] {
        client.clear_cookies();
        let response = client.get(path).await;
        assert_eq!((response.status().as_u16(), location(&response)), visitor, "{name}, visitor");
        login(&client, "ferris", "hunter42").await;
        assert_eq!(client.get(path).await.status(), ferris, "{name}, ferris");
    }
}

#[tokio::test]
async fn a_sign_in_by_axum_login_is_one_of_the_layer() {
    let (sessions, _, client) = shop();
    client.post("/basket").await;
    login(&client, "ferris", "hunter42").await;
    let user = client.session(|session| async move { session.user_id().await }).await.unwrap();
    assert_eq!(user.as_deref(), Some("42"));
    assert_eq!(client.get("/basket").await.text(), "Some(1)", "a visitor's values stay");
    let fresh =
        client.session(|session| async move { session.authenticated_at().await }).await.unwrap();
    assert!(fresh.is_some());

    let admin = sessions.layer().admin();
    assert_eq!(admin.sessions_of("42").await.unwrap().len(), 1);
    assert_eq!(admin.revoke_all("42").await.unwrap(), 1);
    assert_eq!(location(&client.get("/").await), Some("/login?next=%2F"));
}

#[tokio::test]
async fn the_data_key_is_that_of_the_builder() {
    let (sessions, backend) = (TestSessions::new(), Backend::new());
    let layer = SessionManagerLayer::new(sessions.layer());
    let auth = AuthManagerLayerBuilder::new(backend.clone(), layer).with_data_key("shop.auth");
    let client = browser(&sessions.layer(), crate::shop::routes(backend).layer(auth.build()));
    login(&client, "ferris", "hunter42").await;
    let keys = client.session(|session| async move { session.keys().await }).await.unwrap();
    assert_eq!(keys, ["shop.auth"]);
    assert_eq!(sessions.layer().admin().sessions_of("42").await.unwrap().len(), 1);
}

/// For ids that are neither a text nor an integer.
#[tokio::test]
async fn a_path_to_the_user_of_its_own_is_kept() {
    let (sessions, backend) = (TestSessions::new(), Backend::new());
    let layer = SessionManagerLayer::new(sessions.layer()).user_at(["axum-login.data", "absent"]);
    let auth = AuthManagerLayerBuilder::new(backend.clone(), layer).build();
    let client = browser(&sessions.layer(), crate::shop::routes(backend).layer(auth));
    login(&client, "ferris", "hunter42").await;
    assert_eq!(client.get("/").await.text(), "hello ferris");
    let user = client.session(|session| async move { session.user_id().await }).await.unwrap();
    assert_eq!(user, None);
}

#[tokio::test]
async fn another_user_gets_none_of_the_values_of_the_one_before() {
    let (sessions, _, client) = shop();
    login(&client, "ferris", "hunter42").await;
    client.post("/basket").await;
    login(&client, "admin", "hunter42").await;
    assert_eq!(client.get("/basket").await.text(), "None");
    assert_eq!(client.get("/").await.text(), "hello admin");
    assert!(sessions.layer().admin().sessions_of("42").await.unwrap().is_empty());
}

#[tokio::test]
async fn the_oldest_session_ends_at_the_limit_of_a_user() {
    let sessions = TestSessions::with(|builder| builder.sessions_per_user(2)).unwrap();
    let app = app(Backend::new(), sessions.layer());
    let clients: Vec<_> = (0..3).map(|_| browser(&sessions.layer(), app.clone())).collect();
    for client in &clients {
        login(client, "ferris", "hunter42").await;
        sessions.clock().advance(std::time::Duration::from_secs(1));
    }
    let mut statuses = Vec::new();
    for client in &clients {
        statuses.push(client.get("/protected").await.status().as_u16());
    }
    assert_eq!(statuses, [307, 200, 200]);
}

/// A handler that has moved, beside those that have not.
#[tokio::test]
async fn a_program_moves_handler_by_handler() {
    let (sessions, backend) = (TestSessions::new(), Backend::new());
    let moved = Router::new()
        .route(
            "/moved/basket",
            get(|session: SessionContext| async move {
                session.update("basket", |n: Option<u32>| n.unwrap_or(0) + 1).await.unwrap();
                session.user_id().await.unwrap().unwrap_or_default()
            }),
        )
        .route(
            "/moved/logout",
            get(|session: SessionContext| async move { session.logout().await.unwrap() }),
        );
    let auth = AuthManagerLayerBuilder::new(backend.clone(), SessionManagerLayer::inside());
    let app = crate::shop::routes(backend).layer(auth.build()).merge(moved).layer(sessions.layer());
    let client = browser(&sessions.layer(), app);
    login(&client, "ferris", "hunter42").await;
    client.post("/basket").await;
    assert_eq!(client.get("/moved/basket").await.text(), "42");
    assert_eq!(client.get("/basket").await.text(), "Some(2)");
    client.get("/moved/logout").await;
    assert_eq!(client.get("/").await.status(), 307);
}

/// The bytes that axum-login 0.18 has stored, of user 42 with this hash.
fn old_session() -> Imported {
    let id = "5FwJOjt8zJrpL8nKk9-JCg";
    let stored: [&[u8]; 6] = [
        b"\x93\xc4\x10\x0a\x89\xdf\x93\xca\xc9\x2f\xe9\x9a\xcc\x7c\x3b\x3a\x09\x5c\xe4",
        b"\x82\xa6basket\x07\xafaxum-login.data\x82",
        b"\xa9auth_hash\x98",
        b"hunter42",
        b"\xa7user_id\x2a",
        b"\x99\xcd\x07\xea\xcd\x01\x5b\x11\x2e\x16\xce\x30\x9c\xd7\x0a\x00\x00\x00",
    ];
    let importer = Importer::builder(Format::TowerSessions);
    let importer = importer.user_at(["axum-login.data", "user_id"]).build().unwrap();
    importer.decode(id, &stored.concat(), None).unwrap()
}

/// By a layer of the application between the two, as the documentation of `import` has it: the
/// user is there in the same request, and at the next one.
#[tokio::test]
async fn an_old_session_of_axum_login_is_signed_in_at_once() {
    let (sessions, backend) = (TestSessions::new(), Backend::new());
    let take_over = from_fn(|session: SessionContext, request: Request, next: Next| async move {
        if session.presented_id().is_none() {
            old_session().apply(&session).await.unwrap();
        }
        next.run(request).await
    });
    let auth = AuthManagerLayerBuilder::new(backend.clone(), SessionManagerLayer::inside());
    let app = crate::shop::routes(backend).layer(auth.build()).layer(take_over);
    let client = browser(&sessions.layer(), app.layer(sessions.layer()));
    assert_eq!(client.get("/").await.text(), "hello ferris");
    assert_eq!(client.post("/basket").await.text(), "8");
    assert_eq!(sessions.layer().admin().sessions_of("42").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_user_stays_signed_in_when_redis_is_killed() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let store = DurableStore::builder(
        RedisConfig::new(format!("redis://127.0.0.1:{}", redis.port())),
        DatabaseConfig::new(database),
    );
    let sessions = RedisSessionLayer::builder(store.build().unwrap()).build().unwrap();
    sessions.migrate().await.unwrap();
    let client = browser(&sessions, app(Backend::new(), sessions.clone()));
    login(&client, "ferris", "hunter42").await;
    client.post("/basket").await;
    redis.kill();
    assert_eq!(client.get("/").await.text(), "hello ferris");
    assert_eq!(client.post("/basket").await.text(), "2");
    redis.restart().await;
    assert_eq!(client.post("/basket").await.text(), "3");
    client.get("/logout").await;
    assert_eq!(client.get("/").await.status(), 307);
    sessions.shutdown().await;
}
