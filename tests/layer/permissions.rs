//! Guards by what a user may do.
//!
//! To see these fail: let `any` be `all`; do not keep what the source said; keep it whoever is
//! signed in; let an empty list through.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use test_support::faulty_store::{FaultyStore, Visitor, session_of};
use tower::{Layer as _, ServiceBuilder, ServiceExt as _};
use tower_redis_session::{
    Error, RedisSessionLayer, SessionContext,
    guard::{Permissions, RequireLayer},
};

type Asked = Arc<Mutex<Vec<String>>>;

/// Alice may read and write, bob may nothing, and nobody knows of eve. Tells who was asked for.
macro_rules! permissions {
    ($asked:expr) => {{
        let asked: Asked = Arc::clone(&$asked);
        Permissions::new(move |user: String| {
            asked.lock().unwrap().push(user.clone());
            async move {
                match &*user {
                    "alice" => Ok(vec!["read".to_owned(), "write".to_owned()]),
                    "eve" => Err(Error::unavailable("the permissions are away")),
                    _ => Ok(vec![]),
                }
            }
        })
    }};
}

async fn signed_in(layer: &RedisSessionLayer, user: &'static str) -> Visitor {
    let mut visitor = Visitor::new(layer);
    let login = async move |s: SessionContext| s.login(user).await.map(|()| String::new());
    assert_eq!(visitor.ask(login).await.status(), 200);
    visitor
}

async fn inside(_: Request<()>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(String::new()))
}

#[tokio::test]
async fn permissions_are_asked_for_any_or_all() {
    let layer = RedisSessionLayer::builder(FaultyStore::new()).build().unwrap();
    let asked = Asked::default();
    let source = permissions!(asked);
    let none: [&str; 0] = [];
    for (name, guard, alice) in [
        ("one that is there", RequireLayer::permission("read", &source), 200),
        ("one that is not", RequireLayer::permission("delete", &source), 403),
        ("any", RequireLayer::any_of(["delete", "write"], &source), 200),
        ("any of others", RequireLayer::any_of(["delete", "admin"], &source), 403),
        ("all", RequireLayer::all_of(["read", "write"], &source), 200),
        ("all but one", RequireLayer::all_of(["read", "delete"], &source), 403),
        ("any of none", RequireLayer::any_of(none, &source), 403),
        ("all of none", RequireLayer::all_of(none, &source), 403),
    ] {
        let site = layer.layer(guard.layer(tower::service_fn(inside)));
        for (user, expected) in [("alice", alice), ("bob", 403), ("eve", 503)] {
            let request = signed_in(&layer, user).await.request();
            let response = site.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), expected, "{name}, {user}");
        }
        let response = site.oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.status(), 401, "{name}, nobody");
    }
}

#[tokio::test]
async fn permissions_are_asked_for_once_a_request_and_user() {
    let layer = RedisSessionLayer::builder(FaultyStore::new()).build().unwrap();
    let (asked, other) = (Asked::default(), Asked::default());
    let (source, beside) = (permissions!(asked), permissions!(other));
    let (in_handler, fresh) = (source.clone(), Arc::clone(&asked));
    let site = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RequireLayer::permission("read", &source))
        .layer(RequireLayer::all_of(["write"], &source))
        .layer(RequireLayer::permission("read", &beside))
        .service(tower::service_fn(move |request: Request<()>| {
            let (source, session) = (in_handler.clone(), session_of(&request));
            let asked = Arc::clone(&fresh);
            async move {
                assert!(source.of(&session).await.unwrap().contains("write"));
                assert_eq!(*asked.lock().unwrap(), ["alice"]);
                // Another user of the same request has permissions of their own.
                session.login("bob").await.unwrap();
                assert!(source.of(&session).await.unwrap().is_empty());
                Ok::<_, Infallible>(Response::new(String::new()))
            }
        }));
    let request = signed_in(&layer, "alice").await.request();
    assert_eq!(site.oneshot(request).await.unwrap().status(), 200);
    assert_eq!(*asked.lock().unwrap(), ["alice", "bob"]);
    assert_eq!(*other.lock().unwrap(), ["alice"]);
}
