//! The durable store, schedules 10 to 12: Redis is told in a generation that counts, or not at all.

use std::time::Duration;

use crate::two_instances::{
    Settings, TwoInstances, answer, asking, dies_within, end_of, is_dead, value,
};
use test_support::{Browser, Gate, eventually};

/// Believes for so long that what is right at once is so by no lease that has run out.
fn patient(settings: &mut Settings) {
    settings.lease = 10_000;
    settings.budget = 8_000;
    settings.database_timeout = 4_500;
}

/// `b` reads until a copy stands in the generation that counts now.
async fn b_copies(duo: &TwoInstances, alice: &Browser, id: &str) {
    eventually("a copy in the new generation", async || {
        assert_eq!(value(&duo.b, alice).await, "1");
        duo.is_in_redis(id).await
    })
    .await;
}

/// `a` learns nothing by a poll from now on.
async fn a_hears_nothing(duo: &TwoInstances) {
    duo.a.hold("poll-answer").await;
    duo.a.reached("poll-answer").await;
}

/// Schedule 10.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_has_not_heard_of_the_new_redis() {
    let duo = TwoInstances::with(patient).await;
    let (mut alice, id) = duo.settled().await;
    let before = alice.tab().await;
    a_hears_nothing(&duo).await;
    let old = duo.epoch().await;
    duo.redis.restart().await;
    eventually("a new generation", async || duo.epoch().await != old).await;
    duo.b.believes().await;
    b_copies(&duo, &alice, &id).await;
    alice.get("/logout").await.expect(200);
    assert!(is_dead(&duo.b, &before).await, "alive on B");
    assert!(is_dead(&duo.a, &before).await, "alive on A");
    duo.a.release("poll-answer").await;
    duo.is_at_rest().await;
}

/// Schedule 10b.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_has_not_heard_of_the_new_generation() {
    let duo = TwoInstances::with(patient).await;
    let (mut alice, id) = duo.settled().await;
    let before = alice.tab().await;
    a_hears_nothing(&duo).await;
    duo.bump().await;
    duo.knows_the_generation(&duo.b).await;
    b_copies(&duo, &alice, &id).await;
    assert_ne!(duo.a.generation().await, duo.epoch().await.1, "A should not know yet");
    alice.get("/logout").await.expect(200);
    assert!(is_dead(&duo.b, &before).await, "alive on B");
    assert!(is_dead(&duo.a, &before).await, "alive on A");
    duo.a.release("poll-answer").await;
    duo.is_at_rest().await;
    assert!(is_dead(&duo.a, &before).await, "alive on A after all");
}

/// Schedule 10c.
#[tokio::test(flavor = "multi_thread")]
async fn a_save_by_one_that_has_not_heard_of_the_new_generation() {
    let duo = TwoInstances::with(patient).await;
    let (mut alice, id) = duo.settled().await;
    a_hears_nothing(&duo).await;
    duo.bump().await;
    duo.knows_the_generation(&duo.b).await;
    b_copies(&duo, &alice, &id).await;
    alice.get("/update:n").await.expect(200);
    assert_eq!(value(&duo.b, &alice).await, "2");
    assert_eq!(value(&duo.a, &alice).await, "2");
    duo.a.release("poll-answer").await;
    duo.is_at_rest().await;
}

/// A new generation between the update and the commit of a logout.
async fn bumped_before_the_commit(a_hears: bool) {
    let duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    duo.hold_updates("NOT NEW.alive").await;
    let logout = asking(&duo.a, &alice, "/logout").await;
    duo.update_is_held().await;
    if !a_hears {
        a_hears_nothing(&duo).await;
    }
    duo.bump().await;
    duo.knows_the_generation(&duo.b).await;
    b_copies(&duo, &alice, &id).await;
    duo.let_updates_go().await;
    answer(logout).await.expect(200);
    assert!(is_dead(&duo.b, &alice).await, "alive on B");
    assert!(is_dead(&duo.a, &alice).await, "alive on A");
    duo.a.release("poll-answer").await;
    duo.is_at_rest().await;
    assert!(is_dead(&duo.b, &alice).await, "alive on B after all");
}

/// Schedule 11.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_generation_between_the_update_and_the_commit() {
    bumped_before_the_commit(false).await;
}

/// Schedule 11b.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_generation_that_the_writer_hears_of_before_the_commit() {
    bumped_before_the_commit(true).await;
}

/// Schedule 11c.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_generation_while_the_commit_itself_is_under_way() {
    let duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    duo.hold_commits("NOT NEW.alive").await;
    let logout = asking(&duo.a, &alice, "/logout").await;
    duo.update_is_held().await;
    a_hears_nothing(&duo).await;
    // Which waits for nobody's commit, so B reads the old state into it.
    duo.bump().await;
    duo.knows_the_generation(&duo.b).await;
    b_copies(&duo, &alice, &id).await;
    duo.let_updates_go().await;
    answer(logout).await.expect(200);
    assert!(is_dead(&duo.b, &alice).await, "alive on B");
    assert!(is_dead(&duo.a, &alice).await, "alive on A");
    duo.a.release("poll-answer").await;
    duo.is_at_rest().await;
    assert!(is_dead(&duo.b, &alice).await, "alive on B after all");
}

/// Schedule 12.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_refused() {
    let duo = TwoInstances::start().await;
    let (alice, id) = duo.settled().await;
    duo.unpushed_on_a(&alice, "/logout").await;
    let acknowledged = std::time::Instant::now();
    assert!(is_dead(&duo.a, &alice).await, "alive on A");
    dies_within(&duo.b, &alice, duo.lease().saturating_sub(acknowledged.elapsed())).await;
    duo.pa.set(Gate::Pass);
    duo.a.believes().await;
    duo.has_no_copy(&id).await;
    duo.is_at_rest().await;
    assert!(is_dead(&duo.a, &alice).await && is_dead(&duo.b, &alice).await);
}

/// Schedule 12b.
#[tokio::test(flavor = "multi_thread")]
async fn the_instance_of_a_refused_push_does_not_believe_redis_once_it_answers_again() {
    let duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    // Nobody sweeps, and no poll tells.
    a_hears_nothing(&duo).await;
    duo.b.hold("poll-answer").await;
    duo.b.reached("poll-answer").await;
    // By no lost connection, after which nothing would be believed.
    let late = duo.pa.side_track(end_of(&id), "-ERR not now\r\n");
    duo.a.with_cookies_of(&alice).await.get("/logout").await.expect(200);
    assert!(late.is_reached());
    let mut bob = duo.a.browser().await;
    bob.get("/update:n,login:bob").await.expect(200);
    // Bob's copy shows that A reads from Redis, where Alice's still stands.
    duo.is_copied(&mut bob).await;
    assert!(duo.is_in_redis(&id).await);
    assert!(is_dead(&duo.a, &alice).await, "alive on A");
    // The answer of the poll that began before says nothing of it.
    duo.a.release("poll-answer").await;
    for _ in 0..20 {
        assert!(is_dead(&duo.a, &alice).await, "alive on A after a poll");
    }
    late.drop_it();
    duo.b.release("poll-answer").await;
    duo.is_at_rest().await;
    assert!(is_dead(&duo.b, &alice).await, "alive on B after all");
}

/// Schedule 12c.
#[tokio::test(flavor = "multi_thread")]
async fn a_save_whose_push_is_refused() {
    let duo = TwoInstances::with(patient).await;
    let (alice, _) = duo.settled().await;
    a_hears_nothing(&duo).await;
    duo.unpushed_on_a(&alice, "/update:n").await;
    duo.pa.set(Gate::Pass);
    for _ in 0..5 {
        assert_eq!(value(&duo.a, &alice).await, "2");
    }
    duo.a.release("poll-answer").await;
    eventually("the new value on B", async || value(&duo.b, &alice).await == "2").await;
    duo.is_at_rest().await;
}

/// Schedule 12d.
#[tokio::test(flavor = "multi_thread")]
async fn others_hear_of_a_refused_push_long_before_their_next_poll() {
    let seldom = |settings: &mut Settings| {
        patient(settings);
        (settings.poll_interval, settings.lease) = (20_000, 25_000);
    };
    let duo = TwoInstances::with(seldom).await;
    let (alice, id) = duo.settled().await;
    // B has polled as often as it does by itself, and listens.
    let polls = || duo.db.executed("trs_journal LIMIT");
    let mut before = 0;
    while polls() != before {
        before = polls();
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }
    duo.unpushed_on_a(&alice, "/update:n").await;
    let start = std::time::Instant::now();
    eventually("the new value on B", async || value(&duo.b, &alice).await == "2").await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    // By what B was told, and not by what A told Redis.
    duo.pa.set(Gate::Pass);
    eventually("B has told redis", async || duo.journal().await == 0).await;
    assert!(duo.copy(&id).await.is_none_or(|copy| !copy.starts_with(b"R0000000000000001")));
    duo.is_at_rest().await;
}
