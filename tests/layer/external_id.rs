//! A logout by the identity provider: sessions end by the name that was given at their sign-in, in
//! whatever order sign-in, renewal and logout come.
//!
//! To see these fail: in `request/external_id.rs` enter a session before it is stored (`create` in
//! `request/commit/execute.rs`), mark the name after the sessions were read, or do not mark it; in
//! `moved` do not enter a renewal, or before its id is sent; return where the mark fails; in
//! `enter_moved` emit no event; in `write` do not prolong; let `plan::device` drop the id.

use std::time::Duration;

use test_support::{
    bounded,
    faulty_store::{Answered, Fault, FaultyStore, Gate, Op, Visitor},
};
use tower_redis_session::{
    Error, ErrorKind, RedisSessionLayer, SessionContext, SessionExpiry, clock::ManualClock,
    store::WithoutUsers, telemetry::Event,
};

const NAME: &str = "https://id.example.org|sid-1";
const DAY: Duration = Duration::from_secs(86_400);

fn layer(store: &FaultyStore) -> RedisSessionLayer {
    RedisSessionLayer::builder(store.clone()).build().unwrap()
}

async fn sign_in(session: SessionContext, user: &str, name: &str) -> Result<String, Error> {
    let attempt = session.begin_login(user).await?;
    session.finish_login(attempt.with_external_id(name)).await?;
    Ok(String::new())
}

async fn signed_in(layer: &RedisSessionLayer, user: &'static str, name: &'static str) -> Visitor {
    let mut visitor = Visitor::new(layer);
    let answered = visitor.ask(|s| sign_in(s, user, name)).await;
    assert_eq!(answered.status(), 200);
    visitor
}

async fn user(visitor: &mut Visitor) -> Option<String> {
    let user = async |s: SessionContext| Ok(s.user_id().await?.unwrap_or_default());
    Some(visitor.ask(user).await.text().to_owned()).filter(|user| !user.is_empty())
}

async fn renew(visitor: &mut Visitor) -> Answered {
    let renew = async |s: SessionContext| {
        s.renew().await?;
        s.save().await.map(|()| String::new())
    };
    visitor.ask(renew).await
}

async fn revoke(layer: &RedisSessionLayer) -> u64 {
    layer.admin().revoke_by_external_id(NAME).await.unwrap()
}

#[tokio::test]
async fn a_sign_in_keeps_its_external_id_until_the_next_one() {
    let store = FaultyStore::new();
    let layer = layer(&store);
    let mut events = layer.admin().events();
    let act = async |s: SessionContext| s.impersonate("bob").await.map(|()| String::new());
    let label = async |s: SessionContext| s.set_label(Some("Phone")).await.map(|()| String::new());
    let again = async |s: SessionContext| s.login("alice").await.map(|()| String::new());
    let mut renewed = signed_in(&layer, "alice", NAME).await;
    assert_eq!(renew(&mut renewed).await.status(), 200);
    assert_eq!(renewed.ask(label).await.status(), 200);
    let mut acting = signed_in(&layer, "alice", NAME).await;
    assert_eq!(acting.ask(act).await.status(), 200);
    let mut signed_in_again = signed_in(&layer, "alice", NAME).await;
    assert_eq!(signed_in_again.ask(again).await.status(), 200);
    let mut other = signed_in(&layer, "alice", "https://id.example.org|sid-2").await;
    let listed = layer.admin().sessions_of("alice").await.unwrap();
    assert!(listed.iter().all(|info| matches!(info.label.as_deref(), None | Some("Phone"))));

    assert_eq!(revoke(&layer).await, 2);
    assert_eq!((user(&mut renewed).await, user(&mut acting).await), (None, None));
    assert_eq!(user(&mut signed_in_again).await.as_deref(), Some("alice"));
    assert_eq!(user(&mut other).await.as_deref(), Some("alice"));
    assert_eq!(revoke(&layer).await, 0);
    let mut revoked = 0;
    while revoked < 2 {
        if let Event::Revoked { cause, .. } = events.next().await.unwrap() {
            assert_eq!(serde_json::to_string(&cause).unwrap(), r#""provider""#);
            revoked += 1;
        }
    }
}

#[tokio::test]
async fn a_sign_in_of_one_command_takes_one_more_and_others_none() {
    let store = FaultyStore::new();
    let layer = layer(&store);
    let mut named = signed_in(&layer, "alice", NAME).await;
    assert_eq!(store.calls(), [Op::Create]); // and the sign-in itself, which is not counted
    let count = async |s: SessionContext| {
        s.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.map(|n| n.to_string())
    };
    assert_eq!(named.ask(count).await.text(), "1");
    assert_eq!(store.calls(), [Op::Load, Op::Save]);
    let _ = signed_in(&layer, "alice", NAME).await;
    assert_eq!(store.calls(), [Op::Create, Op::Load, Op::Save]);
    assert_eq!(renew(&mut named).await.status(), 200);
    assert_eq!(store.calls(), [Op::Load, Op::Renew, Op::Create, Op::Load, Op::Save]);
}

#[tokio::test]
async fn a_logout_that_overtakes_a_sign_in_or_a_renewal_ends_it() {
    // Held before and after the command that enters the name, with the session stored.
    for held in [Fault::Before, Fault::After] {
        for with_cart in [false, true] {
            let (store, gate) = (FaultyStore::new(), Gate::new());
            let (ours, theirs) = (layer(&store), layer(&store.sound()));
            let mut visitor = Visitor::new(&ours);
            let cart =
                async |s: SessionContext| s.insert("cart", "tea").await.map(|()| String::new());
            if with_cart {
                assert_eq!(visitor.ask(cart).await.status(), 200);
            }
            let before = Visitor::clone(&visitor);
            store.fault(Op::Create, held(gate.clone()));
            let signing_in = tokio::spawn(async move {
                let answered = visitor.ask(|s| sign_in(s, "alice", NAME)).await;
                (answered, visitor)
            });
            gate.arrived().await;
            assert_eq!(theirs.admin().sessions_of("alice").await.unwrap().len(), 1);
            let ended = revoke(&theirs).await;
            gate.open();
            let (answered, visitor) = signing_in.await.unwrap();
            // Entered before, the sign-in has succeeded, and its session has ended since.
            let (status, count) = if ended == 1 { (200, 1) } else { (401, 0) };
            assert_eq!((answered.status(), ended), (status, count), "{with_cart}");
            for mut visitor in [visitor, before] {
                assert_eq!(user(&mut visitor).await, None, "{with_cart}");
            }
            assert_eq!(theirs.admin().sessions_of("alice").await.unwrap(), []);
        }
    }
    for held in [Fault::Before, Fault::After] {
        let (store, gate) = (FaultyStore::new(), Gate::new());
        let (ours, theirs) = (layer(&store), layer(&store.sound()));
        let mut visitor = signed_in(&ours, "alice", NAME).await;
        store.fault(Op::Create, held(gate.clone()));
        let mut waiting = visitor.clone();
        let renewing = tokio::spawn(async move {
            let answered = renew(&mut waiting).await;
            (answered, waiting)
        });
        gate.arrived().await;
        let _ = revoke(&theirs).await;
        gate.open();
        let (answered, mut waiting) = renewing.await.unwrap();
        assert_eq!(answered.status(), 401);
        assert_eq!((user(&mut waiting).await, user(&mut visitor).await), (None, None));
        assert_eq!(theirs.admin().sessions_of("alice").await.unwrap(), []);
    }
}

/// The revocation found no session under the name; the sign-in that finds its mark ends one.
#[tokio::test]
async fn a_session_that_moves_under_a_revoked_name_ends_with_an_event() {
    let store = FaultyStore::new();
    let layer = layer(&store);
    let mut visitor = signed_in(&layer, "bob", "https://id.example.org|sid-2").await;
    let mut before = visitor.clone();
    let ended = visitor.ask(async |s| Ok(s.id().await?.unwrap().to_string())).await;
    assert_eq!(revoke(&layer).await, 0);
    let mut events = layer.admin().events();
    let answered = visitor.ask(|s| sign_in(s, "alice", NAME)).await;
    assert_eq!(answered.status(), 401);
    assert_eq!((user(&mut visitor).await, user(&mut before).await), (None, None));
    let event = bounded("an event", events.next()).await.unwrap();
    let event = serde_json::to_value(event).unwrap();
    let told = ["event", "id", "user", "cause"].map(|field| event[field].as_str());
    assert_eq!(told, ["revoked", ended.text(), "bob", "provider"].map(Some), "{event}");
}

#[tokio::test]
async fn a_revoked_name_rejects_sign_ins_for_five_minutes() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let layer = layer(&store);
    assert_eq!(revoke(&layer).await, 0);
    for (after, status) in [(0, 401), (299, 401), (1, 200)] {
        clock.advance(Duration::from_secs(after));
        let mut visitor = Visitor::new(&layer);
        let answered = visitor.ask(|s| sign_in(s, "alice", NAME)).await;
        assert_eq!(answered.status(), status, "{after}");
        assert_eq!(user(&mut visitor).await.is_some(), status == 200);
        assert_eq!(
            layer.admin().sessions_of("alice").await.unwrap().len(),
            usize::from(status == 200)
        );
    }
    assert_eq!(revoke(&layer).await, 1);
}

#[tokio::test]
async fn a_name_is_known_for_as_long_as_its_session_lives() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let layer = layer(&store);
    let mut visitor = signed_in(&layer, "alice", NAME).await;
    let remember = async |s: SessionContext| {
        let month = SessionExpiry::new(30 * DAY).absolute(30 * DAY);
        s.set_expiry(month).await.map(|()| String::new())
    };
    assert_eq!(visitor.ask(remember).await.status(), 200);
    // Many others, so that the store sweeps what is over.
    clock.advance(29 * DAY);
    for _ in 0..1_100 {
        let mut other = Visitor::new(&layer);
        let write = async |s: SessionContext| s.insert("a", &1).await.map(|()| String::new());
        assert_eq!(other.ask(write).await.status(), 200);
    }
    assert_eq!(user(&mut visitor).await.as_deref(), Some("alice"));
    assert_eq!(revoke(&layer).await, 1);
    assert_eq!(user(&mut visitor).await, None);
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_entered_fails_and_leaves_no_session() {
    let store = FaultyStore::new();
    let layer = layer(&store);
    // At the commit of `finish_login`, and again with the response.
    store.fault(Op::Create, Fault::Fails);
    store.fault(Op::Create, Fault::Fails);
    let mut visitor = Visitor::new(&layer);
    let answered = visitor.ask(|s| sign_in(s, "alice", NAME)).await;
    assert_eq!((answered.status(), answered.set_cookie()), (503, None));
    assert_eq!(store.len(), 0);
    for fault in [Fault::Unknown, Fault::UnknownAfter] {
        let store = FaultyStore::new();
        let layer = self::layer(&store);
        store.fault(Op::Create, fault);
        let mut visitor = signed_in(&layer, "alice", NAME).await;
        assert_eq!(revoke(&layer).await, 1);
        assert_eq!(user(&mut visitor).await, None);
    }
}

/// Such as in a Redis without memory: it rejects the mark, and deletes all the same.
#[tokio::test]
async fn a_logout_that_cannot_be_marked_ends_the_known_sessions_and_is_an_error() {
    let store = FaultyStore::new();
    let layer = layer(&store);
    let mut visitor = signed_in(&layer, "alice", NAME).await;
    for op in [Op::Create, Op::Save] {
        let mut other = signed_in(&layer, "alice", NAME).await;
        store.fault(op, Fault::Fails);
        let error = layer.admin().revoke_by_external_id(NAME).await.unwrap_err();
        assert_eq!((error.kind(), store.faults_left()), (ErrorKind::Unavailable, 0), "{op:?}");
        assert_eq!((user(&mut visitor).await, user(&mut other).await), (None, None), "{op:?}");
        assert_eq!(store.len(), 1, "the record of the name");
    }
    // It is not marked, until the provider has repeated it.
    assert_eq!(revoke(&layer).await, 0);
    let answered = Visitor::new(&layer).ask(|s| sign_in(s, "alice", NAME)).await;
    assert_eq!(answered.status(), 401);
}

#[tokio::test]
async fn a_renewal_that_cannot_be_entered_fails_and_keeps_its_session() {
    let store = FaultyStore::new();
    let layer = layer(&store);
    let mut visitor = signed_in(&layer, "alice", NAME).await;
    let mut before = visitor.clone();
    store.fault(Op::Create, Fault::Fails);
    let answered = renew(&mut visitor).await;
    assert_eq!(answered.status(), 503);
    assert!(answered.set_cookie().is_some(), "{answered:?}");
    assert_eq!(user(&mut visitor).await.as_deref(), Some("alice"));
    assert_ne!(visitor.cookie, before.cookie);
    assert_eq!(layer.admin().sessions_of("alice").await.unwrap().len(), 1);
    assert_eq!(revoke(&layer).await, 1);
    assert_eq!((user(&mut visitor).await, user(&mut before).await), (None, None));
}

#[tokio::test]
async fn a_sign_in_of_a_visitor_that_cannot_be_entered_leaves_no_session_of_the_user() {
    let store = FaultyStore::new();
    let layer = layer(&store);
    let mut visitor = Visitor::new(&layer);
    let cart = async |s: SessionContext| s.insert("cart", "tea").await.map(|()| String::new());
    assert_eq!(visitor.ask(cart).await.status(), 200);
    // At the commit of `finish_login`, and again with the response.
    store.fault(Op::Create, Fault::Fails);
    store.fault(Op::Create, Fault::Fails);
    let answered = visitor.ask(|s| sign_in(s, "alice", NAME)).await;
    assert_eq!((answered.status(), answered.set_cookie()), (503, None));
    assert_eq!(layer.admin().sessions_of("alice").await.unwrap(), []);
    assert_eq!(user(&mut visitor).await, None);
}

#[tokio::test]
async fn a_name_out_of_its_bounds_or_without_an_end_is_an_error() {
    let store = FaultyStore::new();
    let long = "x".repeat(1_025);
    for name in ["", &*long] {
        let layer = layer(&store);
        let error = layer.admin().revoke_by_external_id(name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let name = name.to_owned();
        let answered = Visitor::new(&layer).ask(async |s| sign_in(s, "alice", &name).await).await;
        assert_eq!((answered.status(), answered.text()), (500, "Invalid"));
    }
    let builder = RedisSessionLayer::builder(store.clone()).insecure_no_absolute_timeout();
    let endless = builder.build().unwrap();
    let answered = Visitor::new(&endless).ask(|s| sign_in(s, "alice", NAME)).await;
    assert_eq!((answered.status(), answered.text()), (503, "Misconfigured"));
    let unlisted = RedisSessionLayer::builder(WithoutUsers::new(store.clone())).build().unwrap();
    let error = unlisted.admin().revoke_by_external_id(NAME).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert_eq!(store.len(), 0);
}
