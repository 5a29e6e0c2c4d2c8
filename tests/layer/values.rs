//! What is kept in sessions: typed keys, values of an older shape, values that are taken; and what
//! can be asked without a load.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use serde::{Deserialize, Serialize};
use test_support::faulty_store::{Fault, FaultyStore, Op, Visitor};
use tower::{ServiceBuilder, ServiceExt as _};
use tower_redis_session::{
    Error, ErrorKind, Key, RedisSessionLayer, SessionContext, SessionId, guard::RequireLayer,
};

use crate::overlap::{Handled, START, look, visitor_with};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<String>,
}

const CART: Key<Cart> = Key::new("cart");
const COUNT: Key<u32> = Key::new("count");
const NAME: Key<String> = Key::new("name");
/// An earlier release stored a list.
const MIGRATED: Key<Cart, Vec<String>> = Key::new("cart").migrate(|items| Cart { items });
const LENIENT: Key<Cart> = Key::new("cart").lenient();

/// Runs `work` with the handle of one request on `store`, for the session in the jar.
async fn within<F, Fut>(visitor: &mut Visitor, work: F)
where
    F: FnOnce(SessionContext) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    let answered = visitor.ask(move |s| async move { work(s).await.map(|()| String::new()) });
    let answered = answered.await;
    assert_eq!(answered.status(), 200, "{answered:?}");
}

fn visitor() -> (FaultyStore, Visitor) {
    let store = FaultyStore::new();
    let layer = RedisSessionLayer::builder(store.clone()).build().unwrap();
    (store, Visitor::new(&layer))
}

#[tokio::test]
async fn a_typed_key_says_the_type_and_a_text_says_the_same_value() {
    let (_, mut visitor) = visitor();
    within(&mut visitor, async |s: SessionContext| {
        s.insert(CART, &Cart { items: vec!["tea".into()] }).await?;
        s.insert(COUNT, &1).await?;
        s.insert(NAME, "anna").await?;
        s.insert(NAME, &format!("an{}", "na")).await?;
        assert_eq!(s.update(COUNT, |n| n.unwrap_or(0) + 1).await?, 2);
        let grown = s.update(CART, |cart| {
            let mut cart = cart.unwrap_or_default();
            cart.items.push("milk".into());
            cart
        });
        assert_eq!(grown.await?.items, ["tea", "milk"]);
        Ok(())
    })
    .await;
    within(&mut visitor, async |s: SessionContext| {
        assert_eq!(s.get(CART).await?.unwrap().items, ["tea", "milk"]);
        assert_eq!(s.get::<Cart>("cart").await?, s.get(CART).await?);
        let owned = String::from("count");
        let count: Option<u64> = s.get(&owned).await?;
        assert_eq!(count, Some(2));
        assert_eq!(s.get(NAME).await?.as_deref(), Some("anna"));
        assert_eq!(s.keys().await?, [CART.as_str(), COUNT.as_str(), NAME.as_str()]);
        assert!(s.remove(COUNT).await? && !s.remove("count").await?);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_refused() {
    let (_, mut visitor) = visitor();
    within(&mut visitor, async |s: SessionContext| {
        let refused = |error: Error| error.kind() == ErrorKind::Invalid;
        let empty: Key<u32> = Key::new("");
        assert!(s.insert(empty, &1).await.is_err_and(refused));
        assert!(s.update(empty, |_| 1).await.is_err_and(refused));
        assert!(s.insert(&"n".repeat(65_536), &1).await.is_err_and(refused));
        assert!(s.get(empty).await?.is_none() && !s.remove(empty).await?);
        assert!(s.take(empty).await?.is_none() && s.take_once(empty).await?.is_none());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_lenient_read_of_an_older_shape_fails_nowhere_and_deletes_nothing() {
    let (store, mut visitor) = visitor();
    let list = async |s: SessionContext| s.insert("cart", &["tea"]).await;
    within(&mut visitor, list).await;
    store.calls();
    within(&mut visitor, async |s: SessionContext| {
        for strict in [s.get(CART).await, s.take(CART).await, s.take_once(CART).await] {
            let error = strict.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Value);
            assert!(error.to_string().contains("(key \""), "it names the key: {error}");
        }
        assert_eq!(s.get_or_default(CART).await?, Cart::default());
        assert_eq!(s.get(LENIENT).await?, None);
        assert_eq!(s.take(LENIENT).await?, None);
        assert_eq!(s.take_once(LENIENT).await?, None);
        assert_eq!(s.get(MIGRATED).await?.unwrap().items, ["tea"]);
        assert_eq!(s.get_or_default(MIGRATED).await?.items, ["tea"]);
        Ok(())
    })
    .await;
    assert!(store.calls().iter().all(|op| matches!(op, Op::Load)), "a read writes nothing");
    within(&mut visitor, async |s: SessionContext| {
        assert_eq!(s.get::<Vec<String>>("cart").await?.unwrap(), ["tea"]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_update_builds_on_the_migrated_value_and_stores_the_new_shape() {
    let (_, mut visitor) = visitor();
    within(&mut visitor, async |s: SessionContext| s.insert("cart", &["tea"]).await).await;
    within(&mut visitor, async |s: SessionContext| {
        let strict = s.update(CART, Option::unwrap_or_default).await;
        assert_eq!(strict.unwrap_err().kind(), ErrorKind::Value);
        let more = |cart: Option<Cart>| {
            let mut cart = cart.unwrap_or_default();
            cart.items.push("milk".into());
            cart
        };
        assert_eq!(s.update(MIGRATED, more).await?.items, ["tea", "milk"]);
        assert_eq!(s.get(CART).await?.unwrap().items, ["tea", "milk"]);
        // Of neither shape: as if there were none.
        s.insert("cart", &7).await?;
        assert_eq!(s.get(MIGRATED).await?, None);
        assert_eq!(s.update(MIGRATED, more).await?.items, ["milk"]);
        s.insert("cart", &["rye"]).await?;
        assert_eq!(s.take_once(MIGRATED).await?.unwrap().items, ["rye"]);
        assert_eq!(s.keys().await?, [""; 0]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_take_returns_the_value_and_removes_it_with_the_response() {
    let (store, mut visitor) = visitor();
    within(&mut visitor, async |s: SessionContext| {
        s.login("alice").await?;
        s.insert(NAME, "anna").await?;
        s.insert(COUNT, &1).await
    })
    .await;
    store.calls();
    within(&mut visitor, async |s: SessionContext| {
        assert_eq!(s.take(NAME).await?.as_deref(), Some("anna"));
        assert_eq!((s.get(NAME).await?, s.take(NAME).await?), (None, None));
        assert_eq!(s.keys().await?, ["count"]);
        Ok(())
    })
    .await;
    assert_eq!(store.calls(), [Op::Load, Op::Save]);
    within(&mut visitor, async |s: SessionContext| {
        assert_eq!(s.keys().await?, ["count"]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_take_at_once_sees_what_is_buffered_and_needs_no_session() {
    let (store, mut visitor) = visitor();
    within(&mut visitor, async |s: SessionContext| {
        assert_eq!(s.take_once(COUNT).await?, None);
        s.insert(COUNT, &1).await?;
        assert_eq!(s.take_once(COUNT).await?, Some(1));
        assert_eq!(s.take_once(COUNT).await?, None);
        Ok(())
    })
    .await;
    assert_eq!((store.calls(), store.len()), (vec![], 0));
    within(&mut visitor, async |s: SessionContext| s.insert(COUNT, &1).await).await;
    within(&mut visitor, async |s: SessionContext| {
        s.insert(COUNT, &2).await?;
        s.insert(NAME, "anna").await?;
        assert_eq!(s.take_once(COUNT).await?, Some(2));
        Ok(())
    })
    .await;
    within(&mut visitor, async |s: SessionContext| {
        assert_eq!(s.keys().await?, ["name"]);
        Ok(())
    })
    .await;
}

const TAKE: fn(SessionContext) -> Handled =
    |s| Box::pin(async move { Ok(format!("{:?}", s.take_once::<u32>("n").await?)) });

#[tokio::test]
async fn a_take_of_the_last_value_ends_the_session_and_its_cookie() {
    let store = FaultyStore::new();
    let mut visitor = visitor_with(&store, START).await;
    let answered = visitor.ask(TAKE).await;
    assert_eq!(answered.text(), "Some(1)");
    assert!(answered.set_cookie().is_some_and(|cookie| cookie.contains("Max-Age=0")));
    assert_eq!(store.len(), 0);

    // As after the way back from an identity provider: what was taken begins nothing, a login does.
    let mut visitor = visitor_with(&store, START).await;
    let before = visitor.cookie.clone();
    let sign_in = async |s: SessionContext| {
        assert_eq!(s.take_once::<u32>("n").await?, Some(1));
        s.login("alice").await.map(|()| String::new())
    };
    assert_eq!(visitor.ask(sign_in).await.status(), 200);
    assert!(visitor.cookie.is_some() && visitor.cookie != before);
    assert_eq!((visitor.ask(look).await.text(), store.len()), ("-  alice", 1));
    let out = visitor.ask(async |s: SessionContext| s.logout().await.map(|()| String::new()));
    assert_eq!(out.await.status(), 200);

    // It cannot be deleted just now: the value has gone all the same, and to this request.
    let mut visitor = visitor_with(&store, START).await;
    store.fault(Op::DeleteIf, Fault::Fails);
    assert_eq!(visitor.ask(TAKE).await.text(), "Some(1)");
    assert_eq!(visitor.ask(TAKE).await.text(), "None");
}

#[tokio::test]
async fn a_take_whose_answer_is_lost_gives_the_value_once() {
    // What the store does, what the request says, what the next one gets.
    for (name, faults, first, second) in [
        ("landed", vec![Fault::UnknownAfter], "Some(1)", "None"),
        ("did not land", vec![Fault::Unknown], "Some(1)", "None"),
        ("lands later", vec![Fault::UnknownLate, Fault::LandsFirst], "Some(1)", "None"),
        ("landed, lost again", vec![Fault::UnknownAfter, Fault::Unknown], "Some(1)", "None"),
    ] {
        for user in [false, true] {
            let store = FaultyStore::new();
            let mut visitor = visitor_with(&store, START).await;
            if user {
                within(&mut visitor, async |s: SessionContext| s.login("alice").await).await;
            }
            for fault in faults.clone() {
                store.fault(Op::Save, fault);
            }
            assert_eq!(visitor.ask(TAKE).await.text(), first, "{name}, {user}");
            assert_eq!(store.faults_left(), 0, "{name}");
            assert_eq!(visitor.ask(TAKE).await.text(), second, "{name}, {user}");
            let left = if user { "-  alice" } else { "-  -" };
            assert_eq!(visitor.ask(look).await.text(), left, "{name}");
        }
    }
}

#[tokio::test]
async fn what_stays_unknown_is_an_error_and_nobody_gets_it_twice() {
    for landed in [false, true] {
        let store = FaultyStore::new();
        let mut visitor = visitor_with(&store, START).await;
        let faults = store.clone();
        let twice = |s: SessionContext| async move {
            let _ = s.keys().await?;
            faults.fault(Op::Save, if landed { Fault::UnknownAfter } else { Fault::Unknown });
            (0..4).for_each(|_| faults.fault(Op::Load, Fault::Fails));
            let lost = s.take_once::<u32>("n").await.unwrap_err();
            assert_eq!((lost.kind(), faults.faults_left()), (ErrorKind::Unavailable, 0));
            Ok(format!("{:?}", s.take_once::<u32>("n").await?))
        };
        let expected = if landed { "None" } else { "Some(1)" };
        assert_eq!(visitor.ask(twice).await.text(), expected, "{landed}");
        assert_eq!(visitor.ask(TAKE).await.text(), "None");
        assert_eq!(store.len(), 0);
    }
}

/// What code that cannot wait sees of a request.
fn looked_at<B>(request: &Request<B>) -> (Option<SessionId>, Option<String>, bool) {
    let session = request.extensions().get::<SessionContext>().unwrap();
    (session.presented_id(), session.loaded_user_id(), session.loaded_snapshot().is_some())
}

#[tokio::test]
async fn synchronous_questions_load_nothing_and_leave_no_trace() {
    let (store, mut visitor) = visitor();
    within(&mut visitor, async |s: SessionContext| s.login("alice").await).await;
    let id = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&id);
    within(&mut visitor, async move |s: SessionContext| {
        *seen.lock().unwrap() = s.id().await?;
        assert_eq!(s.presented_id(), s.id().await?);
        assert_eq!(s.loaded_snapshot(), Some(s.snapshot().await?));
        s.logout().await?;
        assert_eq!((s.loaded_user_id(), s.loaded_snapshot()), (None, None));
        s.login("bob").await?;
        assert_eq!(s.loaded_user_id().as_deref(), Some("bob"));
        s.login("alice").await
    })
    .await;
    let id = *id.lock().unwrap();
    store.calls();

    let looks = Arc::new(Mutex::new(Vec::new()));
    let look = |looks: &Arc<Mutex<Vec<_>>>| {
        let looks = Arc::clone(looks);
        move |request: Request<()>| {
            looks.lock().unwrap().push(looked_at(&request));
            request
        }
    };
    let answer = |_: Request<()>| async { Ok::<_, Infallible>(Response::new(String::new())) };
    let open = ServiceBuilder::new().layer(visitor.layer.clone()).map_request(look(&looks));
    let response = open.service_fn(answer).oneshot(visitor.request()).await.unwrap();
    assert!(response.headers().is_empty(), "{:?}", response.headers());
    assert_eq!(store.calls(), []);
    let presented = looks.lock().unwrap()[0].0;
    assert!(presented.is_some() && presented != id, "the logout ended that one");
    assert_eq!(looks.lock().unwrap()[0], (presented, None, false));

    // Behind a guard the session is loaded.
    let guarded = ServiceBuilder::new()
        .layer(visitor.layer.clone())
        .layer(RequireLayer::user())
        .map_request(look(&looks));
    let _ = guarded.service_fn(answer).oneshot(visitor.request()).await.unwrap();
    assert_eq!(store.calls(), [Op::Load]);
    assert_eq!(looks.lock().unwrap()[1], (presented, Some("alice".into()), true));

    // What is not well-formed is no session, and what is made up is not verified.
    for (cookie, there) in [("x", false), ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", true)] {
        visitor.cookie = Some(format!("__Host-session={cookie}"));
        let open = ServiceBuilder::new().layer(visitor.layer.clone()).map_request(look(&looks));
        let _ = open.service_fn(answer).oneshot(visitor.request()).await.unwrap();
        let (presented, user, loaded) = looks.lock().unwrap().pop().unwrap();
        assert_eq!((presented.is_some(), user, loaded), (there, None, false), "{cookie}");
    }
    assert_eq!(store.calls(), []);
}
