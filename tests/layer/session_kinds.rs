//! Layers of different kinds on one store: a token opens sessions of its own kind only, and a
//! user's list shows all of them.
//!
//! To see these fail: make the id of a session of its token alone.

use std::{future::Future, pin::Pin};

use test_support::faulty_store::{FaultyStore, Visitor};
use tower_redis_session::{
    CookieConfig, Error, RedisSessionLayer, RedisSessionLayerBuilder, SessionContext, Transport,
};

type Handled = Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>;
type Handler = fn(SessionContext) -> Handled;

const SHOP: &str = "__Host-shop";
const ADMIN: &str = "__Host-admin";

const LOGIN: Handler = |s| Box::pin(async move { s.login("alice").await.map(|()| "in".into()) });
const USER: Handler = |s| Box::pin(async move { Ok(s.user_id().await?.unwrap_or("-".into())) });

fn layer(
    store: &FaultyStore,
    name: &'static str,
    set: fn(RedisSessionLayerBuilder) -> RedisSessionLayerBuilder,
) -> RedisSessionLayer {
    let transport = Transport::cookie(CookieConfig::new(name));
    set(RedisSessionLayer::builder(store.clone()).transport(transport)).build().unwrap()
}

async fn signed_in(layer: &RedisSessionLayer) -> Visitor {
    let mut visitor = Visitor::new(layer);
    assert_eq!(visitor.ask(LOGIN).await.status(), 200);
    visitor
}

/// The same token under the name that `layer` reads.
fn carried_to(layer: &RedisSessionLayer, visitor: &Visitor, name: &str) -> Visitor {
    let (_, token) = visitor.cookie.as_deref().unwrap().split_once('=').unwrap();
    Visitor { layer: layer.clone(), cookie: Some(format!("{name}={token}")) }
}

#[tokio::test]
async fn a_token_opens_nothing_of_another_kind() {
    let store = FaultyStore::new();
    let (shop, admin) = (layer(&store, SHOP, |b| b), layer(&store, ADMIN, |b| b));
    let (mut customer, mut root) = (signed_in(&shop).await, signed_in(&admin).await);
    for (layer, visitor, name) in [(&admin, &customer, ADMIN), (&shop, &root, SHOP)] {
        let mut crossed = carried_to(layer, visitor, name);
        assert_eq!(crossed.ask(USER).await.text(), "-", "{name}");
        assert!(
            crossed.ask(|s| async move { s.logout().await.map(|()| "".into()) }).await.status()
                == 200
        );
    }
    // Who signs in at one, with both cookies, leaves the other's session alone.
    let both = format!("{}; {}", customer.cookie.unwrap(), root.cookie.as_deref().unwrap());
    customer.cookie = Some(both);
    assert_eq!(customer.ask(LOGIN).await.status(), 200);
    assert_eq!((customer.ask(USER).await.text(), root.ask(USER).await.text()), ("alice", "alice"));
    // The user's list is one.
    for layer in [&shop, &admin] {
        assert_eq!(layer.admin().sessions_of("alice").await.unwrap().len(), 2);
    }
    let id = |s: SessionContext| async move { Ok(s.id().await?.expect("a session").to_string()) };
    let id = root.ask(id).await.text().parse().unwrap();
    assert!(shop.admin().revoke("alice", &id).await.unwrap());
    assert_eq!(root.ask(USER).await.text(), "-");
}

#[tokio::test]
async fn layers_of_one_kind_open_the_same_sessions() {
    let store = FaultyStore::new();
    let same = |b: RedisSessionLayerBuilder| b.session_kind("site");
    let (old, new) = (layer(&store, SHOP, same), layer(&store, ADMIN, same));
    let visitor = signed_in(&old).await;
    assert_eq!(carried_to(&new, &visitor, ADMIN).ask(USER).await.text(), "alice");
    // And not those of a kind that bears the cookie's name, nor of one whose name begins alike.
    for (name, set) in [
        ("the default", (|b| b) as fn(RedisSessionLayerBuilder) -> RedisSessionLayerBuilder),
        ("alike", |b| b.session_kind("sit")),
        ("empty", |b| b.session_kind("")),
    ] {
        let other = layer(&store, SHOP, set);
        let mut visitor = Visitor { layer: other, ..visitor.clone() };
        assert_eq!(visitor.ask(USER).await.text(), "-", "{name}");
    }
}
