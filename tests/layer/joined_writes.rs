//! Changes of one session that arrive while it is being written are one write after it: stored or
//! not together, each counted once.
//!
//! To see these fail: acknowledge a change that joined before its write is stored; save a batch
//! without the expected version; tell what joined a failed write that it was saved; take no turn
//! after a conflict.

use futures_util::{FutureExt as _, future::join_all};
use tower_redis_session::RedisSessionLayer;

use crate::overlap::{Handler, START, visitor_with};
use test_support::faulty_store::{Answered, Fault, FaultyStore, Gate, Op, Visitor};

const COUNT: Handler = |s| {
    Box::pin(async move {
        let n = s.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
        Ok(n.to_string())
    })
};
const KEEP: Handler = |s| {
    Box::pin(async move {
        let n = s.update("n", |n: Option<u32>| n.unwrap_or(0)).await?;
        Ok(n.to_string())
    })
};
const COUNT_OR_LOOK: Handler = |s| {
    Box::pin(async move {
        match COUNT(s.clone()).await {
            Ok(n) => Ok(n),
            Err(_) => LOOK(s).await,
        }
    })
};
const READ_AND_COUNT: Handler = |s| {
    Box::pin(async move {
        let _ = s.keys().await?;
        COUNT(s).await
    })
};
const INSERT_A: Handler =
    |s| Box::pin(async move { s.insert("a", &1).await.map(|()| "inserted".into()) });
const LOOK: Handler = |s| {
    Box::pin(async move {
        let n = s.get::<u32>("n").await?.map_or("-".into(), |n| n.to_string());
        Ok(format!("{n} {}", s.keys().await?.join("+")))
    })
};
const ALICE: Handler = |s| Box::pin(async move { s.login("alice").await.map(|()| "in".into()) });
const RENEW: Handler = |s| Box::pin(async move { s.renew().await.map(|()| "renewed".into()) });
const LOGOUT: Handler = |s| Box::pin(async move { s.logout().await.map(|()| "out".into()) });

/// How many join.
const JOINERS: usize = 8;

/// Whoever is ready goes on until nobody is.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// The first counts, and stands at the gate of its save; the others come meanwhile, and the gate
/// opens after `meanwhile`.
async fn joined(
    visitor: &Visitor,
    gate: Gate,
    handler: Handler,
    meanwhile: impl AsyncFnOnce(),
) -> (Answered, Vec<Answered>) {
    let mut first = visitor.clone();
    let mut others: Vec<_> = (0..JOINERS).map(|_| visitor.clone()).collect();
    let rest = async {
        gate.arrived().await;
        let open = async {
            settle().await;
            meanwhile().await;
            gate.open();
        };
        tokio::join!(join_all(others.iter_mut().map(|other| other.ask(handler))), open).0
    };
    tokio::join!(first.ask(COUNT), rest)
}

fn numbers(answered: &[Answered]) -> Vec<u32> {
    let mut numbers: Vec<_> = answered.iter().map(|one| one.text().parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

async fn look(visitor: &Visitor) -> String {
    visitor.clone().ask(LOOK).await.text().to_owned()
}

#[tokio::test]
async fn updates_that_come_during_a_write_are_one_write_and_load_nothing() {
    let store = FaultyStore::new();
    let visitor = visitor_with(&store, START).await;
    let gate = store.hold(Op::Save);
    let (first, others) = joined(&visitor, gate, COUNT, async || {}).await;
    assert_eq!(store.calls(), [Op::Load, Op::Save, Op::Save]);
    assert_eq!(first.text(), "2");
    assert_eq!(numbers(&others), (3..=10).collect::<Vec<_>>());
    assert_eq!(look(&visitor).await, "10 n");
}

#[tokio::test]
async fn buffered_changes_join_as_well() {
    let store = FaultyStore::new();
    let visitor = visitor_with(&store, START).await;
    let gate = store.hold(Op::Save);
    let (_, others) = joined(&visitor, gate, INSERT_A, async || {}).await;
    assert!(others.iter().all(|one| one.text() == "inserted"));
    let saves = store.calls().into_iter().filter(|op| *op == Op::Save).count();
    assert_eq!(saves, 2);
    assert_eq!(look(&visitor).await, "2 a+n");
}

#[tokio::test]
async fn nobody_is_answered_before_the_joint_write_is_stored() {
    let store = FaultyStore::new();
    let visitor = visitor_with(&store, START).await;
    let (gate, second) = (store.hold(Op::Save), store.hold(Op::Save));
    let (mut first, mut other) = (visitor.clone(), visitor.clone());
    let joins = async {
        gate.arrived().await;
        let mut asks = Box::pin(other.ask(COUNT));
        assert!((&mut asks).now_or_never().is_none());
        gate.open();
        second.arrived().await;
        settle().await;
        assert!((&mut asks).now_or_never().is_none(), "answered before it is stored");
        assert_eq!(look(&Visitor { layer: layer(&store.sound()), ..visitor.clone() }).await, "2 n");
        second.open();
        assert_eq!(asks.await.text(), "3");
    };
    let (first, ()) = tokio::join!(first.ask(COUNT), joins);
    assert_eq!(first.text(), "2");
}

fn layer(store: &FaultyStore) -> RedisSessionLayer {
    RedisSessionLayer::builder(store.clone()).build().unwrap()
}

#[tokio::test]
async fn what_joined_a_write_that_met_a_conflict_is_applied_again() {
    let store = FaultyStore::new();
    let visitor = visitor_with(&store, START).await;
    let gate = store.hold(Op::Save);
    let mut elsewhere = Visitor { layer: layer(&store.sound()), ..visitor.clone() };
    let (first, mut others) = joined(&visitor, gate, COUNT, async || {
        assert_eq!(elsewhere.ask(COUNT).await.text(), "2");
    })
    .await;
    others.push(first);
    assert_eq!(numbers(&others), (3..=11).collect::<Vec<_>>());
    assert_eq!(look(&visitor).await, "11 n");
}

#[tokio::test]
async fn a_joint_write_that_meets_a_conflict_is_applied_again() {
    let store = FaultyStore::new();
    let visitor = visitor_with(&store, START).await;
    let (gate, second) = (store.hold(Op::Save), store.hold(Op::Save));
    let mut elsewhere = Visitor { layer: layer(&store.sound()), ..visitor.clone() };
    let between = async {
        second.arrived().await;
        assert_eq!(elsewhere.ask(COUNT).await.text(), "3");
        second.open();
    };
    let ((_, others), ()) = tokio::join!(joined(&visitor, gate, COUNT, async || {}), between);
    assert_eq!(numbers(&others), (4..=11).collect::<Vec<_>>());
    assert_eq!(look(&visitor).await, "11 n");
}

#[tokio::test(start_paused = true)]
async fn a_joint_write_whose_answer_is_lost_is_found_again_and_counted_once() {
    for fault in [Fault::UnknownAfter, Fault::Unknown, Fault::UnknownLate] {
        let store = FaultyStore::new();
        let visitor = visitor_with(&store, START).await;
        let gate = store.hold(Op::Save);
        store.fault(Op::Save, fault.clone());
        let (_, others) = joined(&visitor, gate, COUNT, async || {}).await;
        assert_eq!(numbers(&others), (3..=10).collect::<Vec<_>>(), "{fault:?}");
        store.land().await;
        assert_eq!(look(&visitor).await, "10 n", "{fault:?}");
    }
}

#[tokio::test]
async fn a_joint_write_that_fails_is_a_failure_of_all_and_of_nobody_who_came_later() {
    let store = FaultyStore::new();
    let visitor = visitor_with(&store, START).await;
    let gate = store.hold(Op::Save);
    let second = Gate::new();
    store.fault(Op::Save, Fault::Before(second.clone()));
    let mut late = visitor.clone();
    let later = async {
        second.arrived().await;
        let mut asks = Box::pin(late.ask(COUNT));
        assert!((&mut asks).now_or_never().is_none());
        store.fault(Op::Load, Fault::Fails);
        second.open();
        asks.await
    };
    let ((first, others), later) = tokio::join!(joined(&visitor, gate, COUNT, async || {}), later);
    assert_eq!((first.text(), later.text()), ("2", "11"));
    assert_eq!(numbers(&others), (3..=10).collect::<Vec<_>>());
    assert_eq!(look(&visitor).await, "Unavailable", "the fault of the load is left");
    assert_eq!(look(&visitor).await, "11 n");

    let gate = store.hold(Op::Save);
    store.fault(Op::Save, Fault::Fails);
    let (first, others) = joined(&visitor, gate, COUNT, async || {}).await;
    assert_eq!(first.text(), "12");
    assert!(others.iter().all(|one| one.text() == "Unavailable"), "{others:?}");
    assert_eq!(look(&visitor).await, "12 n");
}

#[tokio::test(start_paused = true)]
async fn a_joint_write_that_changes_nothing_is_not_taken_for_the_write_before_it() {
    let store = FaultyStore::new();
    let visitor = visitor_with(&store, START).await;
    let (gate, looked) = (store.hold(Op::Save), Gate::new());
    store.fault(Op::Save, Fault::Unknown);
    let mut elsewhere = Visitor { layer: layer(&store.sound()), ..visitor.clone() };
    let between = async {
        looked.arrived().await;
        assert_eq!(elsewhere.ask(COUNT).await.text(), "3");
        looked.open();
    };
    let after = Fault::After(looked.clone());
    let first = joined(&visitor, gate, KEEP, async || store.fault(Op::Load, after));
    let ((_, others), ()) = tokio::join!(first, between);
    assert!(others.iter().all(|one| one.text() == "Unavailable"), "{others:?}");
    assert_eq!(look(&visitor).await, "3 n");
}

#[tokio::test]
async fn after_a_joint_write_that_failed_the_session_can_be_read() {
    let store = FaultyStore::new();
    let visitor = visitor_with(&store, START).await;
    let gate = store.hold(Op::Save);
    store.fault(Op::Save, Fault::Fails);
    let (_, others) = joined(&visitor, gate, COUNT_OR_LOOK, async || {}).await;
    assert!(others.iter().all(|one| one.text() == "2 n"), "{others:?}");
}

#[tokio::test]
async fn a_request_that_leaves_takes_no_change_of_another_along() {
    let store = FaultyStore::new();
    let visitor = visitor_with(&store, START).await;
    let gate = store.hold(Op::Save);
    let (mut first, mut second, mut third) = (visitor.clone(), visitor.clone(), visitor.clone());
    let mut begins = Box::pin(first.ask(COUNT));
    assert!((&mut begins).now_or_never().is_none());
    gate.arrived().await;
    let mut joins = Box::pin(second.ask(COUNT));
    let mut stays = Box::pin(third.ask(COUNT));
    assert!((&mut joins).now_or_never().is_none() && (&mut stays).now_or_never().is_none());
    drop(begins);
    drop(joins);
    // Neither the write that was dropped nor what joined it had reached the store.
    assert_eq!(stays.await.text(), "2");
    assert_eq!(look(&visitor).await, "2 n");

    let gate = store.hold(Op::Save);
    let mut begins = Box::pin(first.ask(COUNT));
    assert!((&mut begins).now_or_never().is_none());
    let mut joins = Box::pin(second.ask(COUNT));
    let mut stays = Box::pin(third.ask(COUNT));
    assert!((&mut joins).now_or_never().is_none() && (&mut stays).now_or_never().is_none());
    drop(joins);
    gate.open();
    assert_eq!(begins.await.text(), "3");
    assert_eq!(stays.await.text(), "5", "the change of one who has left is in the write");
    assert_eq!(look(&visitor).await, "5 n");
}

#[tokio::test]
async fn a_logout_during_a_write_ends_the_session_for_all_that_joined() {
    let store = FaultyStore::new();
    let visitor = visitor_with(&store, START).await;
    let gate = store.hold(Op::Save);
    let mut leaves = visitor.clone();
    let (first, others) = joined(&visitor, gate, READ_AND_COUNT, async || {
        assert_eq!(leaves.ask(LOGOUT).await.text(), "out");
    })
    .await;
    assert!(others.iter().chain([&first]).all(|one| one.text() == "Absent"), "{others:?}");
    assert_eq!(look(&visitor).await, "- ");
}

#[tokio::test]
async fn what_cannot_join_meets_no_second_conflict_in_its_process() {
    let store = FaultyStore::new();
    let mut visitor = visitor_with(&store, ALICE).await;
    assert_eq!(visitor.ask(COUNT).await.text(), "1");
    let (mut renews, mut counts) = (visitor.clone(), visitor.clone());
    let (first, second) = (Gate::new(), Gate::new());
    store.fault(Op::Renew, Fault::Before(first.clone()));
    let counting = async {
        first.arrived().await;
        assert_eq!(counts.ask(COUNT).await.text(), "2");
        store.fault(Op::Renew, Fault::Before(second.clone()));
        first.open();
        second.arrived().await;
        let mut count = Box::pin(counts.ask(COUNT));
        assert!((&mut count).now_or_never().is_none());
        settle().await;
        assert!((&mut count).now_or_never().is_none(), "written between a conflict and its repeat");
        second.open();
        assert_eq!(count.await.text(), "Moved");
    };
    let (renewed, ()) = tokio::join!(renews.ask(RENEW), counting);
    assert_eq!(renewed.text(), "renewed");
    assert_eq!(look(&renews).await, "2 n");
}
