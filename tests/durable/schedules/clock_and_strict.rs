//! The durable store, schedules 37 to 39: time that passes unseen, strict acknowledgements, rest.

use std::mem;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::two_instances::{
    Instance, Settings, TwoInstances, answer, asking, copying, end_of, is_dead, learn_again,
    learn_nothing, learn_what_is_held, move_to, replica_of, value,
};
use test_support::{Browser, Gate, RedisServer, eventually, key_end};

fn patient(settings: &mut Settings) {
    (settings.lease, settings.redis_timeout) = (20_000, 500);
}

impl TwoInstances {
    async fn is_dead_at_rest(&self, browser: &Browser) {
        self.both_believe().await;
        // Until Redis is told, one that believes may read what it has missed, for a lease.
        self.journal_is_empty().await;
        assert!(is_dead(&self.a, browser).await && is_dead(&self.b, browser).await);
        self.is_at_rest().await;
    }

    /// Whether Redis still holds the session as it was.
    async fn is_copied_still(&self, id: &str) -> bool {
        self.copy(id).await.is_some_and(|value| value.first() == Some(&b'R'))
    }
}

/// Schedule 37.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_slept_between_the_poll_and_the_read() {
    let duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    learn_nothing(&[&duo.a, &duo.b]).await;
    duo.pb.set(Gate::Refuse);
    duo.b.with_cookies_of(&alice).await.get("/logout").await.expect(200);
    assert!(duo.is_copied_still(&id).await);
    assert!(!is_dead(&duo.a, &alice).await, "the lease of a was to hold yet");
    duo.a.jump(duo.lease() * 10).await;
    assert!(is_dead(&duo.a, &alice).await);
    duo.pb.set(Gate::Pass);
    learn_again(&[&duo.a, &duo.b]).await;
    duo.is_dead_at_rest(&alice).await;
}

/// Schedule 37b.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_poll_does_not_undo_what_was_set_aside_meanwhile() {
    let duo = TwoInstances::with(patient).await;
    let (mut alice, id) = duo.settled().await;
    let before = alice.tab().await;
    learn_nothing(&[&duo.a, &duo.b]).await;
    let late = duo.pa.side_track(end_of(&id), "-ERR not now\r\n");
    alice.get("/logout").await.expect(200);
    learn_what_is_held(&duo.a).await;
    assert!(duo.a.status().await.believed && duo.is_copied_still(&id).await);
    for _ in 0..3 {
        assert!(is_dead(&duo.a, &before).await);
    }
    late.drop_it();
    learn_again(&[&duo.a, &duo.b]).await;
    duo.is_dead_at_rest(&before).await;
}

/// Schedule 37c.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_poll_does_not_take_back_a_newer_generation() {
    let duo = TwoInstances::with(patient).await;
    let (mut alice, id) = duo.settled().await;
    let before = alice.tab().await;
    learn_nothing(&[&duo.a]).await;
    duo.bump().await;
    duo.knows_the_generation(&duo.b).await;
    learn_nothing(&[&duo.b]).await;
    eventually("b has filled", async || {
        let _ = value(&duo.b, &alice).await;
        duo.is_copied_still(&id).await
    })
    .await;
    let (seq, generation) = duo.epoch().await;
    let late = duo.pa.side_track(end_of(&id), "-ERR not now\r\n");
    alice.get("/logout").await.expect(200);
    // By a connection that was greeted before the old answer is taken in.
    assert!(is_dead(&duo.a, &before).await);
    learn_what_is_held(&duo.a).await;
    assert!(duo.is_copied_still(&id).await);
    let status = duo.a.status().await;
    assert!(status.believed && status.generation == generation, "{status:?}");
    for _ in 0..3 {
        assert!(is_dead(&duo.a, &before).await);
    }
    late.drop_it();
    learn_again(&[&duo.a, &duo.b]).await;
    duo.is_dead_at_rest(&before).await;
    assert_eq!(duo.epoch().await.0, seq, "an old answer was no reason for a bump");
}

/// Schedule 37d.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_took_longer_than_the_lease_is_worth_nothing() {
    let duo = TwoInstances::start().await;
    let (alice, id) = duo.settled().await;
    learn_nothing(&[&duo.a, &duo.b]).await;
    duo.pb.set(Gate::Refuse);
    duo.b.with_cookies_of(&alice).await.get("/logout").await.expect(200);
    sleep(duo.lease() * 2).await;
    learn_what_is_held(&duo.a).await;
    assert!(duo.is_copied_still(&id).await);
    assert!(is_dead(&duo.a, &alice).await);
    duo.pb.set(Gate::Pass);
    learn_again(&[&duo.a, &duo.b]).await;
    duo.is_dead_at_rest(&alice).await;
}

fn strict(settings: &mut Settings) {
    (settings.strict, settings.lease) = (true, 2_000);
    (settings.database_timeout, settings.budget) = (4_500, 9_000);
}

/// Logs out here and returns when that is acknowledged, by a lease after the commit.
async fn acknowledged_in_time(duo: &TwoInstances, instance: &Instance, alice: &Browser) {
    let start = Instant::now();
    instance.with_cookies_of(alice).await.get("/logout").await.expect(200);
    // All that it does beside the wait, on a busy machine.
    let slack = Duration::from_secs(3);
    assert!(start.elapsed() < duo.lease() + slack, "{:?}", start.elapsed());
}

/// Schedule 38.
#[tokio::test(flavor = "multi_thread")]
async fn strict_and_all_is_well() {
    let duo =
        TwoInstances::with(|settings| (settings.strict, settings.lease) = (true, 4_000)).await;
    let (mut alice, _) = duo.settled().await;
    let before = alice.tab().await;
    // Everybody knows this generation, or knows nothing.
    sleep(duo.lease() + Duration::from_millis(500)).await;
    let start = Instant::now();
    alice.get("/logout").await.expect(200);
    assert!(start.elapsed() < duo.lease() * 3 / 4, "waited without need: {:?}", start.elapsed());
    assert!(is_dead(&duo.a, &before).await && is_dead(&duo.b, &before).await);
    duo.is_dead_at_rest(&before).await;
}

/// Schedule 38b.
#[tokio::test(flavor = "multi_thread")]
async fn strict_and_the_app_dies_after_the_commit() {
    let mut duo = TwoInstances::with(strict).await;
    let (alice, _) = duo.settled().await;
    duo.a.hold("after-commit").await;
    let lost = asking(&duo.a, &alice, "/logout").await;
    duo.a.reached("after-commit").await;
    duo.a.die();
    assert!(lost.await.unwrap().is_none(), "an answer of a process that was killed");
    learn_nothing(&[&duo.b]).await;
    acknowledged_in_time(&duo, &duo.b, &alice).await;
    assert!(is_dead(&duo.b, &alice).await);
    learn_again(&[&duo.b]).await;
    duo.a.start_again();
    assert!(is_dead(&duo.a, &alice).await);
    duo.is_dead_at_rest(&alice).await;
}

/// Schedule 38c.
#[tokio::test(flavor = "multi_thread")]
async fn strict_and_redis_refuses() {
    let duo = TwoInstances::with(strict).await;
    let (alice, id) = duo.settled().await;
    // Nothing but its lease tells B.
    learn_nothing(&[&duo.b]).await;
    duo.pa.set(Gate::Refuse);
    acknowledged_in_time(&duo, &duo.a, &alice).await;
    assert!(duo.is_copied_still(&id).await);
    assert!(is_dead(&duo.b, &alice).await && is_dead(&duo.a, &alice).await);
    duo.pa.set(Gate::Pass);
    learn_again(&[&duo.b]).await;
    duo.is_dead_at_rest(&alice).await;
}

/// A sees the old primary and B the new one, where the session has a copy; neither learns more.
async fn split() -> (TwoInstances, RedisServer, Browser) {
    let redis = copying().start().await;
    let replica = replica_of(&redis).await;
    let slow = |settings: &mut Settings| {
        strict(settings);
        settings.lease = 5_000;
    };
    let duo = TwoInstances::on(redis, slow).await;
    let (alice, id) = duo.settled().await;
    replica.has_all_of(&duo.redis).await;
    let (seq, _) = duo.epoch().await;
    learn_nothing(&[&duo.a]).await;
    replica.become_primary().await;
    move_to(&duo.pb, &replica).await;
    eventually("b has a new generation", async || duo.epoch().await.0 > seq).await;
    duo.b.believes().await;
    eventually("b has filled", async || {
        assert_eq!(value(&duo.b, &alice).await, "1");
        let key = format!("{}:s:{}", duo.b.generation().await, key_end(&id));
        let dump = replica.dump().await;
        dump.iter().any(|(name, value)| name.ends_with(&key) && value.starts_with(b"R"))
    })
    .await;
    learn_nothing(&[&duo.b]).await;
    assert!(duo.a.status().await.believed, "the lease of a was to hold yet");
    (duo, replica, alice)
}

async fn heals(mut duo: TwoInstances, replica: RedisServer, alice: &Browser) {
    learn_again(&[&duo.a, &duo.b]).await;
    let _old = mem::replace(&mut duo.redis, replica);
    move_to(&duo.pa, &duo.redis).await;
    duo.is_dead_at_rest(alice).await;
}

/// Schedule 38d.
#[tokio::test(flavor = "multi_thread")]
async fn strict_and_a_logout_on_the_side_of_the_old_primary() {
    let (duo, replica, alice) = split().await;
    acknowledged_in_time(&duo, &duo.a, &alice).await;
    assert!(is_dead(&duo.b, &alice).await && is_dead(&duo.a, &alice).await);
    heals(duo, replica, &alice).await;
}

/// Schedule 38e.
#[tokio::test(flavor = "multi_thread")]
async fn strict_and_a_logout_on_the_side_of_the_new_primary() {
    let (duo, replica, alice) = split().await;
    acknowledged_in_time(&duo, &duo.b, &alice).await;
    assert!(is_dead(&duo.a, &alice).await && is_dead(&duo.b, &alice).await);
    heals(duo, replica, &alice).await;
}

/// Schedule 39.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_for_ever() {
    let quick = |settings: &mut Settings| {
        (settings.poll_interval, settings.lease, settings.touch_interval) = (500, 2_500, 1);
    };
    let duo = TwoInstances::with(quick).await;
    let mut monitor = duo.redis.monitor().await;
    let (mut alice, id) = duo.settled().await;
    // A lease that nobody turns into a copy.
    duo.evict(&id).await;
    duo.b_takes_the_lease(&alice, &id).await;
    duo.redis.assert_every_key_has_a_ttl().await;
    duo.b.release("before-fill").await;
    for path in ["/update:n", "/get:n", "/renew", "/get:n", "/update:n", "/get:n"] {
        alice.get(path).await.expect(200);
        duo.is_copied(&mut alice).await;
        duo.redis.assert_every_key_has_a_ttl().await;
    }
    let (bob, _) = duo.settled().await;
    duo.pa.set(Gate::Refuse);
    duo.pb.set(Gate::Refuse);
    alice.get("/logout").await.expect(200);
    duo.b.with_cookies_of(&bob).await.get("/update:n").await.expect(200);
    assert_eq!(duo.journal().await, 2);
    duo.pa.set(Gate::Pass);
    duo.pb.set(Gate::Pass);
    let (healed, poll) = (Instant::now(), Duration::from_millis(duo.a.settings.poll_interval));
    duo.journal_is_empty().await;
    // All that it does beside the wait, on a busy machine.
    let slack = Duration::from_secs(2);
    assert!(healed.elapsed() < poll * 3 + slack, "{:?}", healed.elapsed());
    duo.is_at_rest().await;
    let bare: Vec<_> =
        monitor.take().await.into_iter().filter(|command| command.is_bare_set()).collect();
    assert!(bare.is_empty(), "{bare:?}");
    let _ = answer(asking(&duo.a, &bob, "/get:n").await).await.expect(200);
}
