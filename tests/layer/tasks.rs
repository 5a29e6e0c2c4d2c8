//! Several tasks of one request act on its session at the same time: none is told of something
//! that did not happen, and what one ended no other begins again.

use std::{pin::pin, time::Duration};

use futures_util::poll;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, yield_now},
};
use tower_redis_session::{Error, ErrorKind, RedisSessionLayer, SessionContext};

use test_support::faulty_store::{Fault, FaultyStore, Gate, Op, Visitor};

fn layer_on(store: &FaultyStore) -> RedisSessionLayer {
    let budget = Duration::from_secs(2);
    RedisSessionLayer::builder(store.clone()).budget(budget).build().unwrap()
}

async fn alice_on(store: &FaultyStore) -> Visitor {
    let mut visitor = Visitor::new(&layer_on(store));
    let login = visitor.ask(|s| async move { s.login("alice").await.map(|()| "".into()) });
    assert_eq!(login.await.status(), 200);
    store.calls();
    visitor
}

/// The same visitor at another process, that waits for nothing.
async fn log_out_elsewhere(store: &FaultyStore, cookie: Option<String>) {
    let mut other = Visitor { layer: layer_on(&store.sound()), cookie };
    let logout = other.ask(|s| async move { s.logout().await.map(|()| "".into()) });
    assert_eq!(logout.await.status(), 200);
}

/// A `save` of a task of its own.
fn saving(session: &SessionContext) -> JoinHandle<Result<(), Error>> {
    let session = session.clone();
    tokio::spawn(async move { session.save().await })
}

/// From now on the next call of this kind is not confirmed, and fails once the gate is opened.
fn fail_at_a_gate(store: &FaultyStore, op: Op) -> Gate {
    store.fault(op, Fault::Unknown);
    for _ in 0..10 {
        store.fault(op, Fault::Fails);
    }
    // What became of it is asked by a load.
    store.hold(Op::Load)
}

#[tokio::test]
async fn what_is_inserted_while_a_save_finds_the_session_dead_begins_no_new_one() {
    let store = FaultyStore::new();
    let mut visitor = alice_on(&store).await;
    let (cookie, shared, gate) = (visitor.cookie.clone(), store.clone(), store.hold(Op::Save));
    let before = cookie.clone();
    let answered = visitor.ask(|s| async move {
        s.insert("a", &1).await?;
        let save = saving(&s);
        gate.arrived().await;
        s.insert("b", &1).await?;
        log_out_elsewhere(&shared, cookie).await;
        gate.open();
        assert_eq!(save.await.unwrap().unwrap_err().kind(), ErrorKind::Absent);
        Ok(s.keys().await?.join("+"))
    });
    assert_eq!(answered.await.text(), "");
    // Whoever ended it has taken the cookie away; a newer one may have come since.
    assert_eq!((store.len(), visitor.cookie), (0, before));
}

#[tokio::test]
async fn of_two_saves_that_meet_a_dead_session_neither_is_ok() {
    let store = FaultyStore::new();
    let mut visitor = alice_on(&store).await;
    let (cookie, shared, gate) = (visitor.cookie.clone(), store.clone(), store.hold(Op::Save));
    let before = cookie.clone();
    let answered = visitor.ask(|s| async move {
        s.insert("a", &1).await?;
        s.insert("b", &1).await?;
        let first = saving(&s);
        gate.arrived().await;
        let mut second = pin!(s.save());
        assert!(poll!(&mut second).is_pending(), "the first has the turn");
        log_out_elsewhere(&shared, cookie).await;
        gate.open();
        for saved in [first.await.unwrap(), second.await] {
            assert_eq!(saved.unwrap_err().kind(), ErrorKind::Absent);
        }
        Ok(String::new())
    });
    assert_eq!(answered.await.status(), 200);
    assert_eq!((store.len(), visitor.cookie), (0, before));
}

#[tokio::test(start_paused = true)]
async fn a_login_whose_save_was_dropped_or_failed_does_not_survive_a_logout() {
    for (name, dropped) in [("dropped", true), ("failed", false)] {
        let store = FaultyStore::new();
        let mut visitor = alice_on(&store).await;
        let shared = store.clone();
        let answered = visitor.ask(|s| async move {
            s.login("admin").await?;
            let gate = match dropped {
                true => shared.hold(Op::Renew),
                false => fail_at_a_gate(&shared, Op::Renew),
            };
            let save = saving(&s);
            gate.arrived().await;
            let mut logout = pin!(s.logout());
            assert!(poll!(&mut logout).is_pending(), "the save has the turn");
            if dropped {
                save.abort();
            }
            gate.open();
            assert!(!matches!(save.await, Ok(Ok(()))));
            logout.await?;
            Ok(s.user_id().await?.unwrap_or("-".into()))
        });
        let answered = answered.await;
        assert_eq!((answered.status(), answered.text()), (200, "-"), "{name}");
        assert_eq!((store.len(), visitor.cookie), (0, None), "{name}");
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_that_another_task_is_about_to_begin_or_renew() {
    for (name, signed_in, op) in [("begin", false, Op::Create), ("renew", true, Op::Renew)] {
        let store = FaultyStore::new();
        let mut visitor =
            if signed_in { alice_on(&store).await } else { Visitor::new(&layer_on(&store)) };
        let gate = store.hold(op);
        let answered = visitor.ask(|s| async move {
            s.login("admin").await?;
            let save = saving(&s);
            gate.arrived().await;
            let mut logout = pin!(s.logout());
            assert!(poll!(&mut logout).is_pending(), "nothing is known of the new one yet");
            gate.open();
            logout.await?;
            let _ = save.await.unwrap();
            Ok(s.user_id().await?.unwrap_or("-".into()))
        });
        let answered = answered.await;
        assert_eq!((answered.status(), answered.text()), (200, "-"), "{name}");
        assert_eq!((store.len(), visitor.cookie), (0, None), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_waits_behind_a_failing_commit_is_ok_only_if_the_session_ended() {
    let store = FaultyStore::new();
    let mut visitor = alice_on(&store).await;
    let (told, logout) = oneshot::channel();
    let shared = store.clone();
    let answered = visitor.ask(|s| async move {
        s.insert("n", &1).await?;
        let gate = fail_at_a_gate(&shared, Op::Save);
        let logging_out = async move {
            gate.arrived().await;
            let mut logout = pin!(s.logout());
            assert!(poll!(&mut logout).is_pending(), "the commit of the head has the turn");
            gate.open();
            logout.await
        };
        told.send(tokio::spawn(logging_out)).unwrap();
        Ok(String::new())
    });
    assert_eq!(answered.await.status(), 503);
    let logout = logout.await.unwrap().await.unwrap();
    assert_eq!(logout.is_ok(), store.len() == 0, "{logout:?}");
}

#[tokio::test]
async fn an_insert_whose_load_outlives_the_response_is_refused() {
    let store = FaultyStore::new();
    let mut visitor = alice_on(&store).await;
    let (told, insert) = oneshot::channel();
    let gate = store.hold(Op::Load);
    let held = gate.clone();
    let answered = visitor.ask(|s| async move {
        told.send(tokio::spawn(async move { s.insert("n", &1).await })).unwrap();
        held.arrived().await;
        Ok(String::new())
    });
    assert_eq!(answered.await.status(), 200);
    gate.open();
    let inserted = insert.await.unwrap().await.unwrap();
    assert_eq!(inserted.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn the_head_waits_for_a_login_that_a_task_is_storing_and_hands_out_its_id() {
    for (name, signed_in, op) in [("first", false, Op::Create), ("over another", true, Op::Renew)] {
        let store = FaultyStore::new();
        let mut visitor =
            if signed_in { alice_on(&store).await } else { Visitor::new(&layer_on(&store)) };
        let before = visitor.cookie.clone();
        let (told, save) = oneshot::channel();
        let gate = store.hold(op);
        let answered = visitor.ask(|s| async move {
            let storing = async move {
                s.login("admin").await?;
                s.save().await
            };
            told.send(tokio::spawn(storing)).unwrap();
            gate.arrived().await;
            tokio::spawn(async move {
                // The handler is done by then, and the head is all that is left to wait for it.
                yield_now().await;
                gate.open();
            });
            Ok(String::new())
        });
        assert_eq!(answered.await.status(), 200, "{name}");
        save.await.unwrap().await.unwrap().unwrap();
        assert!(visitor.cookie.is_some() && visitor.cookie != before, "{name}");
        let user = visitor.ask(|s| async move { Ok(s.user_id().await?.unwrap_or("-".into())) });
        assert_eq!(user.await.text(), "admin", "{name}");
        assert_eq!(store.len(), 1, "{name}");
    }
}
