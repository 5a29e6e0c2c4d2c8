//! The application's own user: loaded once a request, whoever asks.
//!
//! To see these fail: do not keep what was loaded; keep it whoever is signed in; keep it between
//! requests.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use test_support::faulty_store::{FaultyStore, Visitor, session_of};
use tower::{ServiceBuilder, ServiceExt as _};
use tower_redis_session::{
    Error, ErrorKind, RedisSessionLayer, SessionContext, guard::RequireLayer,
};

struct User {
    name: String,
    permissions: &'static [&'static str],
}

/// The database of an application, and who was looked up in it.
#[derive(Clone, Default)]
struct Users(Arc<Mutex<Vec<String>>>);

impl Users {
    async fn find(&self, id: String) -> Result<Option<User>, Error> {
        self.0.lock().unwrap().push(id.clone());
        match &*id {
            "eve" => Err(Error::unavailable("the users are away")),
            "mallory" => Ok(None),
            "alice" => Ok(Some(User { name: id, permissions: &["read", "write"] })),
            _ => Ok(Some(User { name: id, permissions: &["read"] })),
        }
    }

    async fn of(&self, session: &SessionContext) -> Result<Option<Arc<User>>, Error> {
        session.load_user(|id| self.find(id)).await
    }

    fn looked_up(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn signed_in(layer: &RedisSessionLayer, user: &'static str) -> Visitor {
    let mut visitor = Visitor::new(layer);
    let login = async move |s: SessionContext| s.login(user).await.map(|()| String::new());
    assert_eq!(visitor.ask(login).await.status(), 200);
    visitor
}

#[tokio::test]
async fn guards_and_handlers_of_a_request_load_their_user_once() {
    let layer = RedisSessionLayer::builder(FaultyStore::new()).build().unwrap();
    let users = Users::default();
    let may = |permissions: &'static [&'static str], all: bool| {
        let users = users.clone();
        RequireLayer::require_fn(move |session: SessionContext| {
            let users = users.clone();
            async move {
                let user = users.of(&session).await?;
                Ok(user.is_some_and(|user| {
                    let mut has = permissions.iter().map(|one| user.permissions.contains(one));
                    if all { has.all(|has| has) } else { has.any(|has| has) }
                }))
            }
        })
    };
    let inside = {
        let users = users.clone();
        tower::service_fn(move |request: Request<()>| {
            let users = users.clone();
            async move {
                let user = users.of(&session_of(&request)).await.unwrap().unwrap();
                Ok::<_, Infallible>(Response::new(user.name.clone()))
            }
        })
    };
    let site = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(may(&["admin", "read"], false))
        .layer(may(&["read", "write"], true))
        .service(inside);
    for (user, status, looked_up) in
        [("alice", 200, 1), ("bob", 403, 1), ("mallory", 403, 1), ("eve", 503, 1)]
    {
        let visitor = signed_in(&layer, user).await;
        for _ in 0..2 {
            let response = site.clone().oneshot(visitor.request()).await.unwrap();
            assert_eq!(response.status(), status, "{user}");
            assert_eq!(users.looked_up().len(), looked_up, "{user}");
        }
    }
    let nobody = site.oneshot(Request::new(())).await.unwrap();
    assert_eq!((nobody.status().as_u16(), users.looked_up().len()), (401, 0));
}

#[tokio::test]
async fn what_was_loaded_is_of_the_user_who_is_signed_in() {
    let layer = RedisSessionLayer::builder(FaultyStore::new()).build().unwrap();
    let users = Users::default();
    let mut visitor = Visitor::new(&layer);
    let answered = visitor.ask(async |s: SessionContext| {
        assert!(users.of(&s).await?.is_none());
        for user in ["alice", "bob", "alice"] {
            s.login(user).await?;
            assert_eq!(users.of(&s).await?.unwrap().name, user);
        }
        s.impersonate("carol").await?;
        assert_eq!(users.of(&s).await?.unwrap().name, "carol");
        s.login("eve").await?;
        for _ in 0..2 {
            assert_eq!(users.of(&s).await.err().unwrap().kind(), ErrorKind::Unavailable);
        }
        // Of another type it is another one.
        s.login("alice").await?;
        assert_eq!(s.load_user(async |_| Ok(Some(7))).await?.as_deref(), Some(&7));
        s.logout().await?;
        assert!(users.of(&s).await?.is_none());
        Ok(String::new())
    });
    assert_eq!(answered.await.status(), 200);
    assert_eq!(users.looked_up(), ["alice", "bob", "carol", "eve", "eve"]);
}
