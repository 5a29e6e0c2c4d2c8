//! The durable store, schedule 40: what an instance has shown as ended it never shows alive again.

use crate::two_instances::{
    Settings, TwoInstances, answer, asking, fill, is_dead, learn_again, learn_nothing,
    learn_what_is_held, value,
};
use test_support::{Browser, Gate, Matching, eventually};

/// Believes for so long that nothing is right because a lease has run out.
fn patient(settings: &mut Settings) {
    (settings.lease, settings.redis_timeout) = (20_000, 400);
}

/// Alice has signed out on A, which could not tell Redis, and B has not heard of it: its copy is
/// there, and believed.
async fn out_on_a() -> (TwoInstances, Browser, String) {
    let duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    learn_nothing(&[&duo.a, &duo.b]).await;
    duo.pa.set(Gate::Refuse);
    duo.a.with_cookies_of(&alice).await.get("/logout").await.expect(200);
    assert!(duo.is_in_redis(&id).await);
    (duo, alice, id)
}

async fn stays_dead_on_b(duo: &TwoInstances, alice: &Browser, id: &str) {
    assert!(duo.is_in_redis(id).await, "there was nothing to be wrong about");
    for read in 0..20 {
        assert!(is_dead(&duo.b, alice).await, "alive again at read {read}");
    }
    duo.pa.set(Gate::Pass);
    learn_again(&[&duo.a, &duo.b]).await;
    duo.both_believe().await;
    duo.journal_is_empty().await;
    assert!(is_dead(&duo.a, alice).await && is_dead(&duo.b, alice).await);
    duo.is_at_rest().await;
}

/// Schedule 40.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_from_redis_and_a_reconnect() {
    let (duo, alice, id) = out_on_a().await;
    assert!(!is_dead(&duo.b, &alice).await, "nobody told B");
    duo.pb.set(Gate::Refuse);
    assert!(is_dead(&duo.b, &alice).await);
    duo.pb.set(Gate::Pass);
    stays_dead_on_b(&duo, &alice, &id).await;
}

/// Schedule 40b: also where nothing was read of that session meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn no_copy_is_believed_after_a_reconnect_until_the_database_was_asked() {
    let (duo, alice, id) = out_on_a().await;
    let mut bob = duo.b.browser().await;
    duo.pb.set(Gate::Refuse);
    bob.set_cookie(test_support::COOKIE, &"A".repeat(43));
    let _ = bob.get("/get:n").await.expect(200);
    let before = duo.pb.connections();
    duo.pb.set(Gate::Pass);
    eventually("b connects anew", async || {
        let _ = bob.get("/get:n").await.expect(200);
        duo.pb.connections() > before
    })
    .await;
    assert!(!duo.b.status().await.believed);
    stays_dead_on_b(&duo, &alice, &id).await;
}

/// Schedule 40c.
#[tokio::test(flavor = "multi_thread")]
async fn one_answer_of_redis_that_does_not_come() {
    let (duo, alice, id) = out_on_a().await;
    let late = duo.pb.hold(Matching::command("GET").containing(&id));
    assert!(is_dead(&duo.b, &alice).await, "redis does not answer");
    late.release().await;
    assert!(duo.b.status().await.believed, "the others are none the worse for it");
    stays_dead_on_b(&duo, &alice, &id).await;
}

/// Schedule 40d.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_stands_still_until_nobody_asks_it() {
    let (duo, alice, id) = out_on_a().await;
    let mut bob = duo.b.browser().await;
    bob.get("/update:n").await.expect(200);
    duo.pb.set(Gate::BlackHole);
    eventually("b asks redis no longer", async || {
        bob.get("/get:n").await.expect(200);
        !duo.b.status().await.redis
    })
    .await;
    assert!(is_dead(&duo.b, &alice).await);
    duo.pb.set(Gate::Pass);
    eventually("b asks redis again", async || {
        learn_what_is_held(&duo.b).await;
        duo.b.status().await.redis
    })
    .await;
    stays_dead_on_b(&duo, &alice, &id).await;
}

/// Schedule 40e.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_somebody_elses_that_comes_after_the_end() {
    let duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    learn_nothing(&[&duo.a, &duo.b]).await;
    duo.evict(&id).await;
    let late = duo.pa.side_track(fill().containing(&id), ":1\r\n");
    assert_eq!(value(&duo.a, &alice).await, "1");
    late.reached().await;
    duo.a.hold("before-push").await;
    let asked = asking(&duo.a, &alice, "/logout").await;
    duo.a.reached("before-push").await;
    assert!(is_dead(&duo.b, &alice).await);
    late.release().await;
    assert!(duo.is_in_redis(&id).await, "there was nothing to be wrong about");
    for read in 0..20 {
        assert!(is_dead(&duo.b, &alice).await, "alive again at read {read}");
    }
    duo.a.release("before-push").await;
    answer(asked).await.expect(200);
    learn_again(&[&duo.a, &duo.b]).await;
    duo.both_believe().await;
    assert!(is_dead(&duo.a, &alice).await && is_dead(&duo.b, &alice).await);
    duo.is_at_rest().await;
}
