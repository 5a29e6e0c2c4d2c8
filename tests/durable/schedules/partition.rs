//! The durable store, schedules 13 to 16: partitions, a database that is away, a Redis of the past.

use std::time::{Duration, Instant};

use crate::two_instances::{
    Instance, Settings, TwoInstances, answer, asking, copying, is_dead, learn_again, learn_nothing,
    replica_of, value, write_of,
};
use test_support::{Browser, Gate, eventually, key_end};

/// Clocks that count in milliseconds.
const SLACK: Duration = Duration::from_millis(20);

/// Believes for so long that what is right at once is so by no lease that has run out.
fn patient(settings: &mut Settings) {
    settings.lease = 10_000;
}

/// Whether the session is served as a living one; a 503 is not.
async fn is_served(instance: &Instance, browser: &Browser) -> bool {
    let reply = instance.with_cookies_of(browser).await.get("/user").await;
    assert!(matches!(reply.status.as_u16(), 200 | 503), "{reply:?}");
    reply.status == 200 && reply.text() != "-"
}

/// Whether neither store can be asked.
async fn is_refused(instance: &Instance, browser: &Browser) -> bool {
    instance.with_cookies_of(browser).await.get("/user").await.status == 503
}

/// Cuts both instances from the database.
fn close_the_database(duo: &TwoInstances) {
    duo.da.set(Gate::Refuse);
    duo.db.set(Gate::Refuse);
}

fn open_the_database(duo: &TwoInstances) {
    duo.da.set(Gate::Pass);
    duo.db.set(Gate::Pass);
}

/// Schedule 13.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_partition_of_one_instance_costs_the_other_nothing() {
    let duo =
        TwoInstances::with(|settings| (settings.lease, settings.poll_timeout) = (1_000, 800)).await;
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        writers.push(duo.signed_in().await);
        readers.push(duo.signed_in().await);
    }
    duo.journal_is_empty().await;
    let epoch = duo.epoch().await;
    let (reads, mut asked) = (duo.reads_of_b(), 0);
    duo.pa.set(Gate::Refuse);
    let start = Instant::now();
    for turn in 2..=11 {
        for writer in &mut writers {
            assert_eq!(writer.get("/update:n").await.expect(200).text(), turn.to_string());
        }
        for reader in &readers {
            assert_eq!(value(&duo.b, reader).await, "1");
            asked += 1;
        }
        tokio::time::sleep((duo.lease() * (turn - 1)).saturating_sub(start.elapsed())).await;
    }
    // A machine that is too busy for a poll within a lease has B ask the database now and then.
    let missed = duo.reads_of_b() - reads;
    assert!(missed * 4 <= asked, "{missed} of {asked} reads were not answered by Redis");
    assert_eq!(duo.epoch().await, epoch, "a refused push is no reason for a new generation");
    for writer in &writers {
        eventually("the last value on B", async || value(&duo.b, writer).await == "11").await;
    }
    duo.pa.set(Gate::Pass);
    duo.a.believes().await;
    for writer in &writers {
        assert_eq!(value(&duo.a, writer).await, "11");
    }
    duo.is_at_rest().await;
}

/// Asks B until the session is not served there any longer; tells when it was last asked and
/// served.
async fn served_until(
    duo: &TwoInstances,
    alice: &Browser,
    start: Instant,
    limit: Duration,
) -> Duration {
    let mut last = Duration::ZERO;
    loop {
        let asked = start.elapsed();
        if !is_served(&duo.b, alice).await {
            return last;
        }
        assert!(asked < limit + SLACK, "served when asked {asked:?} after the cut");
        last = asked;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Schedule 14.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_hears_of_a_logout_in_no_way_serves_it_for_a_limited_time() {
    let stretch = Duration::from_secs(3);
    let duo = TwoInstances::with(|settings| settings.stretch = 3_000).await;
    let (alice, _) = duo.settled().await;
    duo.db.set(Gate::Refuse);
    let cut = Instant::now();
    duo.unpushed_on_a(&alice, "/logout").await;
    assert!(is_dead(&duo.a, &alice).await, "alive on A");
    let last = served_until(&duo, &alice, cut, duo.lease() + stretch).await;
    assert!(last > duo.lease(), "redis alone serves for a while, and did until {last:?}");
    assert!(is_refused(&duo.b, &alice).await);
    duo.db.set(Gate::Pass);
    eventually("B is back", async || !is_refused(&duo.b, &alice).await).await;
    assert!(is_dead(&duo.b, &alice).await, "alive on B");
    duo.pa.set(Gate::Pass);
    duo.is_at_rest().await;
}

/// Schedule 14b.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_hears_of_nothing_refuses_after_a_lease_without_a_stretch() {
    let duo = TwoInstances::with(|settings| settings.stretch = 0).await;
    let (alice, _) = duo.settled().await;
    duo.db.set(Gate::Refuse);
    let cut = Instant::now();
    duo.unpushed_on_a(&alice, "/logout").await;
    let _ = served_until(&duo, &alice, cut, duo.lease()).await;
    assert!(is_refused(&duo.b, &alice).await);
    duo.db.set(Gate::Pass);
    eventually("B is back", async || !is_refused(&duo.b, &alice).await).await;
    assert!(is_dead(&duo.b, &alice).await, "alive on B");
    duo.pa.set(Gate::Pass);
    duo.is_at_rest().await;
}

/// Schedule 14c.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_without_the_database_sees_every_push_at_once() {
    let duo = TwoInstances::start().await;
    let (mut alice, _) = duo.settled().await;
    let (mut bob, _) = duo.settled().await;
    let before = bob.tab().await;
    duo.db.set(Gate::Refuse);
    alice.get("/update:n").await.expect(200);
    assert_eq!(value(&duo.b, &alice).await, "2");
    bob.get("/logout").await.expect(200);
    assert!(!is_served(&duo.b, &before).await, "alive on B");
    // Long after B's last poll as well.
    tokio::time::sleep(duo.lease() * 2).await;
    alice.get("/update:n").await.expect(200);
    assert_eq!(value(&duo.b, &alice).await, "3");
    assert!(!is_served(&duo.b, &before).await, "alive on B");
    duo.db.set(Gate::Pass);
    duo.is_at_rest().await;
}

/// Schedule 14d.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_was_demoted_behind_open_connections_while_the_database_is_away() {
    let redis = copying().start().await;
    let replica = replica_of(&redis).await;
    let duo = TwoInstances::on(redis, |_| {}).await;
    let (mut gone, id) = duo.settled().await;
    let (alice, _) = duo.settled().await;
    let before = gone.tab().await;
    replica.has_all_of(&duo.redis).await;
    replica.become_primary().await;
    gone.get("/logout").await.expect(200);
    duo.journal_is_empty().await;
    // A round that takes so long checks no server meanwhile.
    learn_nothing(&[&duo.a]).await;
    duo.da.set(Gate::Refuse);
    tokio::time::sleep(duo.lease() * 2).await;
    assert!(is_served(&duo.a, &alice).await, "redis alone serves for a while");
    duo.redis.become_replica_of(&replica).await;
    duo.redis.has_all_of(&replica).await;
    let dump = duo.redis.dump().await;
    assert!(dump.iter().any(|(key, _)| key.ends_with(&key_end(&id))), "the old data is not there");
    tokio::time::sleep(duo.lease() * 2).await;
    assert!(!is_served(&duo.a, &before).await, "alive after its logout");
    duo.redis.become_primary().await;
    duo.da.set(Gate::Pass);
    learn_again(&[&duo.a]).await;
    duo.both_believe().await;
    assert!(is_dead(&duo.a, &before).await && is_dead(&duo.b, &before).await);
    duo.is_at_rest().await;
}

/// Schedule 15.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_for_all_with_the_answer_to_a_logout() {
    let duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    let cut = duo.da.cut_reply(write_of(&id));
    let logout = asking(&duo.a, &alice, "/logout").await;
    cut.reached().await;
    close_the_database(&duo);
    answer(logout).await.expect(503);
    for _ in 0..20 {
        assert!(!is_served(&duo.a, &alice).await, "alive on A");
        assert!(!is_served(&duo.b, &alice).await, "alive on B");
    }
    open_the_database(&duo);
    for instance in [&duo.a, &duo.b] {
        eventually("the database is back", async || !is_refused(instance, &alice).await).await;
        assert!(is_dead(instance, &alice).await);
    }
    duo.is_at_rest().await;
}

/// After this nobody can read the generation, while sessions are written and read as before.
async fn hide_the_generation(duo: &TwoInstances) {
    let _ = duo.database.sql("ALTER TABLE trs_cache RENAME COLUMN generation TO hidden").await;
}

async fn show_the_generation(duo: &TwoInstances) {
    let _ = duo.database.sql("ALTER TABLE trs_cache RENAME COLUMN hidden TO generation").await;
}

/// Schedule 15b.
#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_cannot_be_read_after_the_commit() {
    let duo = TwoInstances::with(patient).await;
    let (mut alice, _) = duo.settled().await;
    let (mut bob, id) = duo.settled().await;
    let before = bob.tab().await;
    hide_the_generation(&duo).await;
    alice.get("/update:n").await.expect(200);
    bob.get("/logout").await.expect(200);
    for instance in [&duo.a, &duo.b] {
        assert_eq!(value(instance, &alice).await, "2");
        assert!(is_dead(instance, &before).await);
    }
    // Nobody knows whether Redis was told in the right place.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(duo.journal().await, 2);
    show_the_generation(&duo).await;
    duo.is_at_rest().await;
    duo.has_no_copy(&id).await;
    for instance in [&duo.a, &duo.b] {
        assert_eq!(value(instance, &alice).await, "2");
        assert!(is_dead(instance, &before).await);
    }
}

/// Schedule 16.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_of_the_past_that_comes_while_the_apps_are_down() {
    let mut duo = TwoInstances::start().await;
    let (mut alice, id) = duo.settled().await;
    let (mut bob, _) = duo.settled().await;
    let before = alice.tab().await;
    let past = duo.redis.snapshot().await;
    alice.get("/logout").await.expect(200);
    bob.get("/update:n").await.expect(200);
    let (_, generation) = duo.epoch().await;
    duo.journal_is_empty().await;
    duo.a.die();
    duo.b.die();
    duo.redis.restart_from(&past).await;
    assert!(duo.is_in_redis(&id).await, "the snapshot should hold the copy");
    duo.a.start_again();
    duo.b.start_again();
    for _ in 0..10 {
        for instance in [&duo.a, &duo.b] {
            assert!(is_dead(instance, &before).await);
            assert_eq!(value(instance, &bob).await, "2");
        }
    }
    duo.both_believe().await;
    assert_ne!(duo.epoch().await.1, generation);
    for instance in [&duo.a, &duo.b] {
        assert!(is_dead(instance, &before).await);
        assert_eq!(value(instance, &bob).await, "2");
    }
    duo.is_at_rest().await;
}

/// Schedule 16b.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_of_the_past_while_nobody_can_ask_the_database() {
    let duo = TwoInstances::with(patient).await;
    let (mut alice, id) = duo.settled().await;
    let before = alice.tab().await;
    let past = duo.redis.snapshot().await;
    alice.get("/logout").await.expect(200);
    duo.journal_is_empty().await;
    close_the_database(&duo);
    duo.redis.restart_from(&past).await;
    assert!(duo.is_in_redis(&id).await);
    for _ in 0..20 {
        assert!(is_refused(&duo.a, &before).await && is_refused(&duo.b, &before).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    open_the_database(&duo);
    for instance in [&duo.a, &duo.b] {
        eventually("the database is back", async || !is_refused(instance, &before).await).await;
        assert!(is_dead(instance, &before).await);
    }
    duo.both_believe().await;
    assert!(is_dead(&duo.a, &before).await && is_dead(&duo.b, &before).await);
    duo.is_at_rest().await;
}
