//! The durable store, schedules 17 to 22: another Redis, or the same with other data.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::two_instances::{
    Instance, Settings, TwoInstances, copying, dies_within, is_dead, learn_again, learn_nothing,
    move_to, replica_of, value,
};
use test_support::{Browser, FaultProxy, Gate, Matching, Mode, RedisServer, eventually, key_end};

/// Two instances, and a replica that has all that their Redis has.
async fn with_replica(change: impl Fn(&mut Settings)) -> (TwoInstances, RedisServer) {
    let redis = copying().start().await;
    let replica = replica_of(&redis).await;
    (TwoInstances::on(redis, change).await, replica)
}

/// Everybody uses this server from now on; the one before is returned.
async fn all_move_to(duo: &mut TwoInstances, server: RedisServer) -> RedisServer {
    let before = mem::replace(&mut duo.redis, server);
    move_to(&duo.pa, &duo.redis).await;
    move_to(&duo.pb, &duo.redis).await;
    duo.both_believe().await;
    before
}

/// Waits until there is a copy in `redis` of the session in the generation that B knows.
async fn b_has_filled(duo: &TwoInstances, redis: &RedisServer, alice: &Browser, id: &str) {
    eventually("b has filled", async || {
        assert_eq!(value(&duo.b, alice).await, "1");
        let key = format!("{}:s:{}", duo.b.generation().await, key_end(id));
        let dump = redis.dump().await;
        dump.iter().any(|(name, value)| name.ends_with(&key) && value.starts_with(b"R"))
    })
    .await;
}

/// Asks again and again until told to stop; every answer has to be `expected`.
fn always(
    instance: &Instance,
    mut browser: Browser,
    path: &'static str,
    expected: &'static str,
    stop: &Arc<AtomicBool>,
) -> JoinHandle<u64> {
    let (addr, stop) = (instance.process.addr(), Arc::clone(stop));
    tokio::spawn(async move {
        browser = browser.on(addr).await;
        let mut count = 0;
        while !stop.load(Ordering::SeqCst) {
            assert_eq!(browser.get(path).await.expect(200).text(), expected);
            count += 1;
        }
        count
    })
}

/// Counts on, and has to find each time what was counted before.
fn counts(instance: &Instance, mut browser: Browser, stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let (addr, stop) = (instance.process.addr(), Arc::clone(stop));
    tokio::spawn(async move {
        browser = browser.on(addr).await;
        let mut count = 1;
        while !stop.load(Ordering::SeqCst) {
            count += 1;
            assert_eq!(browser.get("/update:n").await.expect(200).text(), count.to_string());
            let said = browser.get("/user,get:n").await.expect(200).text();
            assert_eq!(said, format!("alice,{count}"));
        }
        count
    })
}

/// Schedule 17.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_empty_or_from_a_snapshot_under_load() {
    let duo = TwoInstances::start().await;
    let (mut gone, _) = duo.settled().await;
    let (before, mut users) = (gone.tab().await, Vec::new());
    for _ in 0..4 {
        users.push(duo.settled().await.0);
    }
    let snapshot = duo.redis.snapshot().await;
    gone.get("/logout").await.expect(200);
    let stop = Arc::default();
    let mut load = Vec::new();
    for (instance, other) in [(&duo.a, &duo.b), (&duo.b, &duo.a)] {
        load.push(always(instance, before.tab().await, "/user", "-", &stop));
        let (writer, reader) = (users.pop().unwrap(), users.pop().unwrap());
        load.push(always(other, writer.tab().await, "/user", "alice", &stop));
        load.push(always(instance, reader, "/user,get:n", "alice,1", &stop));
        load.push(counts(instance, writer, &stop));
    }
    for _ in 0..2 {
        duo.redis.restart_from(&snapshot).await;
        duo.both_believe().await;
        duo.redis.restart().await;
        duo.both_believe().await;
    }
    duo.redis.restart_from(&snapshot).await;
    duo.both_believe().await;
    stop.store(true, Ordering::SeqCst);
    for task in load {
        assert!(task.await.unwrap() > 10, "hardly any load");
    }
    duo.is_at_rest().await;
}

/// Schedule 18.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_on_the_side_of_a_failover_that_still_sees_the_old_primary() {
    let (mut duo, replica) = with_replica(|settings| settings.lease = 4_000).await;
    let (mut alice, id) = duo.settled().await;
    let before = alice.tab().await;
    replica.has_all_of(&duo.redis).await;
    let (seq, generation) = duo.epoch().await;
    learn_nothing(&[&duo.a]).await;
    replica.become_primary().await;
    move_to(&duo.pb, &replica).await;
    eventually("b has a new generation", async || duo.epoch().await.0 > seq).await;
    duo.b.believes().await;
    b_has_filled(&duo, &replica, &alice, &id).await;
    assert_eq!(duo.a.generation().await, generation, "a was to know nothing of it");
    learn_nothing(&[&duo.b]).await;
    alice.get("/logout").await.expect(200);
    assert!(is_dead(&duo.a, &before).await);
    // As long as it takes until whoever has told the wrong server would have cleared the journal.
    tokio::time::sleep(Duration::from_millis(300)).await;
    learn_again(&[&duo.b]).await;
    dies_within(&duo.b, &before, duo.lease()).await;
    learn_again(&[&duo.a]).await;
    let _old = all_move_to(&mut duo, replica).await;
    assert!(is_dead(&duo.a, &before).await && is_dead(&duo.b, &before).await);
    duo.is_at_rest().await;
}

/// Schedule 18b.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_on_the_side_of_a_failover_that_sees_the_new_primary() {
    let (mut duo, replica) = with_replica(|settings| settings.lease = 4_000).await;
    let (alice, id) = duo.settled().await;
    replica.has_all_of(&duo.redis).await;
    let (seq, _) = duo.epoch().await;
    learn_nothing(&[&duo.a]).await;
    replica.become_primary().await;
    move_to(&duo.pb, &replica).await;
    eventually("b has a new generation", async || duo.epoch().await.0 > seq).await;
    duo.b.believes().await;
    b_has_filled(&duo, &replica, &alice, &id).await;
    let before = alice.tab().await;
    duo.b.with_cookies_of(&alice).await.get("/logout").await.expect(200);
    assert!(is_dead(&duo.b, &before).await);
    dies_within(&duo.a, &before, duo.lease()).await;
    learn_again(&[&duo.a]).await;
    let _old = all_move_to(&mut duo, replica).await;
    assert!(is_dead(&duo.a, &before).await && is_dead(&duo.b, &before).await);
    duo.is_at_rest().await;
}

/// Schedule 19.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_was_demoted_and_promoted_again_behind_open_connections() {
    // So seldom that nobody asks while it is a replica.
    let seldom = |settings: &mut Settings| {
        (settings.poll_interval, settings.poll_timeout, settings.lease) = (1_500, 400, 2_000);
    };
    let (duo, replica) = with_replica(seldom).await;
    let (mut gone, id) = duo.settled().await;
    let (alice, _) = duo.settled().await;
    let before = gone.tab().await;
    replica.has_all_of(&duo.redis).await;
    replica.become_primary().await;
    gone.get("/logout").await.expect(200);
    assert!(is_dead(&duo.a, &before).await && is_dead(&duo.b, &before).await);
    let ((seq, _), run_id) = (duo.epoch().await, duo.redis.run_id().await);
    duo.redis.become_replica_of(&replica).await;
    duo.redis.has_all_of(&replica).await;
    duo.redis.become_primary().await;
    assert_eq!(duo.redis.run_id().await, run_id);
    let dump = duo.redis.dump().await;
    assert!(dump.iter().any(|(key, _)| key.ends_with(&key_end(&id))), "the old data is not there");
    eventually("the generation has changed", async || duo.epoch().await.0 > seq).await;
    for instance in [&duo.a, &duo.b] {
        duo.knows_the_generation(instance).await;
        instance.believes().await;
        assert!(is_dead(instance, &before).await);
        assert_eq!(value(instance, &alice).await, "1");
    }
    // What was read before that is no copy now.
    tokio::time::sleep(duo.lease()).await;
    assert!(is_dead(&duo.a, &before).await && is_dead(&duo.b, &before).await);
    duo.is_at_rest().await;
}

/// Schedule 20.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lags_is_promoted() {
    let redis = copying().start().await;
    let line = FaultProxy::start(redis.addr()).await;
    let behind = format!("127.0.0.1 {}", line.port());
    let replica = copying().arg("--replicaof", &behind).start().await;
    let mut duo = TwoInstances::on(redis, |_| {}).await;
    let (mut gone, _) = duo.settled().await;
    let (alice, _) = duo.settled().await;
    let before = gone.tab().await;
    replica.has_all_of(&duo.redis).await;
    line.set(Mode::BlackHole);
    gone.get("/logout").await.expect(200);
    duo.redis.kill();
    replica.become_primary().await;
    let was = mem::replace(&mut duo.redis, replica);
    for proxy in [&duo.pa, &duo.pb] {
        proxy.redirect(duo.redis.addr());
    }
    for instance in [&duo.a, &duo.b] {
        assert!(is_dead(instance, &before).await);
        assert_eq!(value(instance, &alice).await, "1");
    }
    duo.both_believe().await;
    for instance in [&duo.a, &duo.b] {
        assert!(is_dead(instance, &before).await);
        assert_eq!(value(instance, &alice).await, "1");
    }
    duo.is_at_rest().await;
    drop(was);
}

/// Waits for an answer for as long as a test holds it.
fn patient(settings: &mut Settings) {
    (settings.redis_timeout, settings.database_timeout, settings.budget) = (4_000, 4_500, 9_000);
}

/// Schedule 21.
#[tokio::test(flavor = "multi_thread")]
async fn a_bump_whose_reply_is_lost_is_made_once() {
    let duo = TwoInstances::with(patient).await;
    let (alice, _) = duo.settled().await;
    let (seq, _) = duo.epoch().await;
    duo.pb.set(Gate::Refuse);
    let reply = duo.da.hold_reply(Matching::part("trs_bump_1"));
    duo.redis.restart().await;
    reply.reached().await;
    eventually("the bump has happened", async || duo.epoch().await.0 == seq + 1).await;
    // Whoever reads now reads the database, or over a connection that has read the epoch again.
    assert_eq!(value(&duo.a, &alice).await, "1");
    reply.drop_it();
    duo.a.believes().await;
    duo.knows_the_generation(&duo.a).await;
    duo.pb.set(Gate::Pass);
    duo.both_believe().await;
    assert_eq!(duo.epoch().await.0, seq + 1, "one bump was enough");
    assert_eq!(value(&duo.a, &alice).await, "1");
    duo.is_at_rest().await;
}

/// Schedule 21b.
#[tokio::test(flavor = "multi_thread")]
async fn a_bump_that_never_arrived_is_made_after_all() {
    let duo = TwoInstances::with(patient).await;
    let (mut gone, _) = duo.settled().await;
    let before = gone.tab().await;
    let ((seq, _), snapshot) = (duo.epoch().await, duo.redis.snapshot().await);
    gone.get("/logout").await.expect(200);
    duo.pb.set(Gate::Refuse);
    let bump = duo.da.hold(Matching::part("trs_bump_1"));
    duo.redis.restart_from(&snapshot).await;
    bump.reached().await;
    assert!(is_dead(&duo.a, &before).await);
    bump.drop_it();
    duo.a.believes().await;
    assert!(is_dead(&duo.a, &before).await);
    duo.pb.set(Gate::Pass);
    duo.both_believe().await;
    assert_eq!(duo.epoch().await.0, seq + 1);
    assert!(is_dead(&duo.a, &before).await && is_dead(&duo.b, &before).await);
    duo.is_at_rest().await;
}

/// Schedule 22.
#[tokio::test(flavor = "multi_thread")]
async fn two_who_see_different_primaries_do_not_fight_over_the_generation() {
    let (mut duo, replica) = with_replica(|_| {}).await;
    let (mut gone, _) = duo.settled().await;
    let before = gone.tab().await;
    let users = [duo.settled().await.0, duo.settled().await.0, duo.settled().await.0];
    replica.has_all_of(&duo.redis).await;
    replica.become_primary().await;
    let ((seq, _), start) = (duo.epoch().await, Instant::now());
    move_to(&duo.pb, &replica).await;
    let stop = Arc::default();
    let mut load = Vec::new();
    for (instance, writer) in [(&duo.a, &users[0]), (&duo.b, &users[1])] {
        load.push(counts(instance, writer.tab().await, &stop));
        load.push(always(instance, users[2].tab().await, "/user,get:n", "alice,1", &stop));
    }
    tokio::time::sleep(duo.lease() * 4).await;
    gone.get("/logout").await.expect(200);
    assert!(is_dead(&duo.a, &before).await);
    dies_within(&duo.b, &before, duo.lease()).await;
    let mut dead = Vec::new();
    for instance in [&duo.a, &duo.b] {
        dead.push(always(instance, before.tab().await, "/user", "-", &stop));
    }
    tokio::time::sleep(duo.lease() * 6).await;
    let bumps = duo.epoch().await.0 - seq;
    let leases = start.elapsed().as_millis().div_ceil(duo.lease().as_millis()) as u64;
    println!("{bumps} bumps in {leases} leases");
    assert!((1..=2 * (leases + 1)).contains(&bumps), "{bumps} bumps in {leases} leases");
    stop.store(true, Ordering::SeqCst);
    for task in load.into_iter().chain(dead) {
        assert!(task.await.unwrap() > 10, "hardly any load");
    }
    let _old = all_move_to(&mut duo, replica).await;
    assert!(is_dead(&duo.a, &before).await && is_dead(&duo.b, &before).await);
    duo.is_at_rest().await;
}
