//! Who a session is of, and what it holds, on every store and across two instances: impersonation,
//! stamps, typed keys, values of an older shape, a cookie's former name.
//!
//! To see these fail: index the session under the user who is impersonated; write reserved values
//! to Redis alone; do not ask the store before a stamp ends a session; let a lenient read remove
//! what it cannot read; let the session's id depend on the cookie's name alone.

use std::time::Duration;

use http::header::SET_COOKIE;
use serde::{Deserialize, Serialize};
use test_support::{
    eventually,
    faulty_store::{Visitor, answer, cookie_of, full},
};
use tower_redis_session::{
    CookieConfig, Error, ErrorKind, Key, RedisSessionLayer, SessionContext, Transport,
    telemetry::{Event, EventStream},
};

use crate::stores::Stores;

const ROOT: &str = "root by -, theme, pixelfed, fresh, Some(\"1\")";
const ALICE: &str = "alice by root, , -, old, Some(\"1\")";
const NOBODY: &str = "- by -, , -, old, None";

/// Runs `work` in one request to `layer` with the visitor's cookie.
async fn on<F, Fut>(layer: &RedisSessionLayer, visitor: &mut Visitor, work: F)
where
    F: FnOnce(SessionContext) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    visitor.layer = layer.clone();
    let answered = visitor.ask(move |s| async move { work(s).await.map(|()| String::new()) });
    let answered = answered.await;
    assert_eq!(answered.status(), 200, "{answered:?}");
}

/// Root, signed in with everything that a sign-in can have.
async fn root(layer: &RedisSessionLayer) -> Visitor {
    let mut visitor = Visitor::new(layer);
    on(layer, &mut visitor, async |s: SessionContext| {
        let attempt = s.begin_login("root").await?;
        s.finish_login(attempt.with_stamp("1")).await?;
        s.set_label(Some("Desk")).await?;
        s.set_platform("pixelfed").await?;
        s.insert("theme", "dark").await
    })
    .await;
    visitor
}

/// Who is seen, who it is, the values, the platform, whether the sign-in is fresh, its stamp.
async fn seen(layer: &RedisSessionLayer, visitor: &Visitor) -> String {
    let mut visitor = Visitor { layer: layer.clone(), cookie: visitor.cookie.clone() };
    let seen = visitor.ask(async |s: SessionContext| {
        let name = |name: Option<String>| name.unwrap_or("-".into());
        let (user, actor) = (name(s.user_id().await?), name(s.impersonator().await?));
        let (keys, platform) = (s.keys().await?.join("+"), name(s.platform_id().await?));
        let fresh = if s.is_fresh(Duration::from_secs(60)).await? { "fresh" } else { "old" };
        Ok(format!("{user} by {actor}, {keys}, {platform}, {fresh}, {:?}", s.stamp().await?))
    });
    seen.await.text().to_owned()
}

async fn listed(layer: &RedisSessionLayer, user: &str) -> Vec<(Option<String>, Option<String>)> {
    let sessions = layer.admin().sessions_of(user).await.unwrap();
    sessions.into_iter().map(|one| (one.label, one.acting_as)).collect()
}

/// What is reported of impersonations and stamps so far.
async fn reported(events: &mut EventStream) -> Vec<String> {
    let mut reported = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        match event {
            Event::ImpersonationBegan { actor, user, .. } => {
                reported.push(format!("{actor} as {user}"));
            }
            Event::ImpersonationEnded { actor, user, .. } => {
                reported.push(format!("{actor} was {user}"));
            }
            Event::StampChanged { .. } => reported.push("stamp changed".to_owned()),
            _ => {}
        }
    }
    reported
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn impersonation_and_back_on_every_store_with_both_names_in_list_and_events() {
    for stores in Stores::all().await {
        let (name, [a, b]) = (stores.name, stores.two_instances().await);
        let (mut of_a, mut of_b) = (a.admin().events(), b.admin().events());
        let mut visitor = root(&a).await;
        let before = visitor.clone();
        assert_eq!(seen(&b, &visitor).await, ROOT, "{name}");
        on(&b, &mut visitor, async |s: SessionContext| {
            s.insert("late", &1).await?;
            s.remove("late").await?;
            s.impersonate("alice").await?;
            let third = s.impersonate("bob").await.unwrap_err();
            assert_eq!(third.kind(), ErrorKind::Forbidden);
            Ok(())
        })
        .await;
        for layer in [&a, &b] {
            assert_eq!(seen(layer, &before).await, NOBODY, "{name}");
            assert_eq!(seen(layer, &visitor).await, ALICE, "{name}");
            let desk = Some("Desk".to_owned());
            assert_eq!(listed(layer, "root").await, [(desk, Some("alice".into()))], "{name}");
            assert_eq!(listed(layer, "alice").await, [], "{name}");
        }
        on(&a, &mut visitor, async |s: SessionContext| s.insert("draft", "of alice").await).await;
        let acting = visitor.clone();
        on(&a, &mut visitor, async |s: SessionContext| {
            assert_eq!(s.keys().await?, ["draft"]);
            assert!(s.end_impersonation().await?);
            Ok(())
        })
        .await;
        for layer in [&a, &b] {
            assert_eq!(seen(layer, &acting).await, NOBODY, "{name}");
            assert_eq!(seen(layer, &visitor).await, ROOT, "{name}");
            assert_eq!(listed(layer, "root").await, [(Some("Desk".into()), None)], "{name}");
        }
        assert_eq!(reported(&mut of_b).await, ["root as alice"], "{name}");
        assert_eq!(reported(&mut of_a).await, ["root was alice"], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn impersonation_ends_with_its_administrators_sessions_on_every_store() {
    for stores in Stores::all().await {
        let [a, b] = stores.two_instances().await;
        for (how, ends) in [("revoke_all of alice", false), ("revoke", true), ("revoke_all", true)]
        {
            let name = format!("{}, {how}", stores.name);
            let (mut visitor, mut alice) = (root(&a).await, Visitor::new(&a));
            on(&a, &mut visitor, async |s: SessionContext| s.impersonate("alice").await).await;
            on(&a, &mut alice, async |s: SessionContext| s.login("alice").await).await;
            assert_eq!(seen(&b, &visitor).await, ALICE, "{name}");
            match how {
                // It is no session of hers, so nothing of what she proved is in it.
                "revoke_all of alice" => {
                    assert_eq!(b.admin().revoke_all("alice").await.unwrap(), 1, "{name}");
                }
                "revoke" => {
                    let sessions = b.admin().sessions_of("root").await.unwrap();
                    let acting = sessions.iter().find(|one| one.acting_as.is_some()).unwrap();
                    assert!(b.admin().revoke("root", &acting.id).await.unwrap(), "{name}");
                }
                // The one that went on above, too.
                _ => assert_eq!(b.admin().revoke_all("root").await.unwrap(), 2, "{name}"),
            }
            for layer in [&a, &b] {
                let expected = if ends { NOBODY } else { ALICE };
                assert_eq!(seen(layer, &visitor).await, expected, "{name}");
                let hers = seen(layer, &alice).await;
                assert_eq!(hers.starts_with("alice by -"), ends, "{name}: {hers}");
            }
            if ends {
                let _ = b.admin().revoke_all("alice").await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn impersonation_and_stamp_survive_the_death_of_redis_on_a_durable_store() {
    for stores in Stores::durable().await {
        let (name, [a, b]) = (stores.name, stores.two_instances().await);
        let redis = stores.server().unwrap();
        let mut visitor = root(&a).await;
        on(&a, &mut visitor, async |s: SessionContext| s.impersonate("alice").await).await;
        assert_eq!(seen(&b, &visitor).await, ALICE, "{name}");
        redis.kill();
        assert_eq!(seen(&b, &visitor).await, ALICE, "{name}");
        let desk = Some("Desk".to_owned());
        assert_eq!(listed(&a, "root").await, [(desk, Some("alice".into()))], "{name}");
        on(&a, &mut visitor, async |s: SessionContext| s.end_impersonation().await.map(drop)).await;
        assert_eq!(seen(&b, &visitor).await, ROOT, "{name}");
        on(&b, &mut visitor, async |s: SessionContext| s.impersonate("alice").await).await;
        redis.restart().await;
        eventually("redis is trusted again", async || {
            assert_eq!(seen(&a, &visitor).await, ALICE, "{name}");
            assert_eq!(seen(&b, &visitor).await, ALICE, "{name}");
            [&a, &b].iter().all(|layer| layer.admin().health().copies.unwrap().trusted)
        })
        .await;
        on(&a, &mut visitor, async |s: SessionContext| s.end_impersonation().await.map(drop)).await;
        assert_eq!(seen(&b, &visitor).await, ROOT, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_that_changed_elsewhere_ends_the_session_on_every_store() {
    for stores in Stores::all().await {
        let (name, [a, b]) = (stores.name, stores.two_instances().await);
        let mut events = b.admin().events();
        let mut unstamped = Visitor::new(&a);
        on(&a, &mut unstamped, async |s: SessionContext| s.login("root").await).await;
        let mut visitor = root(&a).await;
        let changed = visitor.clone();
        on(&b, &mut visitor, async |s: SessionContext| {
            assert!(s.validate_stamp(Some("1")).await?);
            // The password is changed in this session, by a request to the other instance.
            let stamp = async |s: SessionContext| s.set_stamp("2").await;
            on(&a, &mut changed.clone(), stamp).await;
            assert!(s.validate_stamp(Some("2")).await?);
            Ok(())
        })
        .await;
        let (old, during) = (visitor.clone(), visitor.clone());
        on(&a, &mut visitor, async |s: SessionContext| {
            assert_eq!(s.stamp().await?.as_deref(), Some("2"));
            on(&b, &mut during.clone(), async |s: SessionContext| {
                assert!(!s.validate_stamp(Some("3")).await?);
                assert_eq!(s.user_id().await?, None);
                Ok(())
            })
            .await;
            s.insert("theme", "late").await
        })
        .await;
        for layer in [&a, &b] {
            assert_eq!(seen(layer, &old).await, NOBODY, "{name}");
            assert_eq!(layer.admin().sessions_of("root").await.unwrap().len(), 1, "{name}");
        }
        on(&b, &mut unstamped, async |s: SessionContext| {
            assert!(s.validate_stamp(Some("3")).await?);
            Ok(())
        })
        .await;
        assert_eq!(reported(&mut events).await, ["stamp changed"], "{name}");
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<String>,
}

const CART: Key<Cart> = Key::new("cart");
const COUNT: Key<u32> = Key::new("count");
/// An earlier release stored a list.
const MIGRATED: Key<Cart, Vec<String>> = Key::new("cart").migrate(|items| Cart { items });
const LENIENT: Key<Cart> = Key::new("cart").lenient();

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typed_keys_hold_their_values_on_every_store() {
    for stores in Stores::all().await {
        let (name, instances) = (stores.name, stores.two_instances().await);
        let mut visitor = Visitor::new(&instances[0]);
        on(&instances[0], &mut visitor, async |s: SessionContext| {
            s.insert(CART, &Cart { items: vec!["tea".into()] }).await
        })
        .await;
        let updates = (0..8).map(|number| {
            let layer = instances[number % 2].clone();
            let mut visitor = visitor.clone();
            tokio::spawn(async move {
                on(&layer, &mut visitor, async |s: SessionContext| {
                    s.update(COUNT, |count| count.unwrap_or(0) + 1).await.map(drop)
                })
                .await;
            })
        });
        for update in updates.collect::<Vec<_>>() {
            update.await.unwrap();
        }
        for layer in &instances {
            on(layer, &mut visitor, async |s: SessionContext| {
                assert_eq!(s.get(CART).await?.unwrap().items, ["tea"], "{name}");
                assert_eq!(s.get(COUNT).await?, Some(8), "{name}");
                assert_eq!(s.get::<u64>("count").await?, Some(8), "{name}");
                assert_eq!(s.keys().await?, [CART.as_str(), COUNT.as_str()], "{name}");
                Ok(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lenient_read_and_a_migration_write_nothing_on_any_store() {
    for stores in Stores::all().await {
        let (name, [a, b]) = (stores.name, stores.two_instances().await);
        let mut visitor = Visitor::new(&a);
        on(&a, &mut visitor, async |s: SessionContext| s.insert("cart", &["tea"]).await).await;
        on(&b, &mut visitor, async |s: SessionContext| {
            for strict in [s.get(CART).await, s.take_once(CART).await] {
                assert_eq!(strict.unwrap_err().kind(), ErrorKind::Value, "{name}");
            }
            assert_eq!(s.get(LENIENT).await?, None, "{name}");
            assert_eq!(s.take_once(LENIENT).await?, None, "{name}");
            assert_eq!(s.get(MIGRATED).await?.unwrap().items, ["tea"], "{name}");
            Ok(())
        })
        .await;
        // The release before, on the other instance, still reads what it has stored.
        on(&a, &mut visitor, async |s: SessionContext| {
            assert_eq!(s.get::<Vec<String>>("cart").await?.unwrap(), ["tea"], "{name}");
            Ok(())
        })
        .await;
        on(&b, &mut visitor, async |s: SessionContext| {
            let more = |cart: Option<Cart>| {
                let mut cart = cart.unwrap_or_default();
                cart.items.push("milk".into());
                cart
            };
            s.update(MIGRATED, more).await.map(drop)
        })
        .await;
        on(&a, &mut visitor, async |s: SessionContext| {
            assert_eq!(s.take_once(CART).await?.unwrap().items, ["tea", "milk"], "{name}");
            Ok(())
        })
        .await;
        on(&b, &mut visitor, async |s: SessionContext| {
            assert_eq!(s.get(LENIENT).await?, None, "{name}");
            Ok(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookies_former_name_opens_and_ends_the_session_on_every_store() {
    for stores in Stores::all().await {
        let name = stores.name;
        let former = || CookieConfig::new("sid").domain("example.org");
        let before = stores.instance(|b| b.cookie(former()).session_kind("sid")).await;
        let cookie = Transport::cookie(CookieConfig::new("__Host-session").former(former()));
        let during = stores.instance(|b| b.transport(cookie).session_kind("sid")).await;
        let old = root(&before).await;
        let user = async |s: SessionContext| Ok(s.user_id().await?.unwrap_or("-".into()));
        let asked = answer(&during, old.request(), async |s| {
            Ok::<_, std::convert::Infallible>(full(user(s).await))
        });
        let asked = asked.await.unwrap();
        assert_eq!(asked.text(), "root", "{name}");
        let lines = asked.head.headers.get_all(SET_COOKIE).iter();
        let kept: Vec<_> = lines.filter_map(|line| cookie_of(line.to_str().unwrap())).collect();
        let [new] = kept.as_slice() else { panic!("{name}: {kept:?}") };
        assert!(new.starts_with("__Host-session="), "{name}: {new}");
        let mut new = Visitor { layer: during.clone(), cookie: Some(new.clone()) };
        assert_eq!(seen(&during, &new).await, ROOT, "{name}");
        assert_eq!(seen(&before, &old).await, ROOT, "{name}");
        on(&during, &mut new, async |s: SessionContext| s.logout().await).await;
        assert_eq!(seen(&before, &old).await, NOBODY, "{name}");
    }
}
