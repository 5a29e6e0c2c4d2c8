//! What is lost, evicted or in doubt while many use both instances, and what the database feels of
//! it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::bystanders::{Bystanders, SLACK, dies_soon, read_n, turns};
use crate::two_instances::{AnyDatabase, Settings, SqliteFile, TwoInstances, hasty, is_dead};
use test_support::{
    Browser, DURABLE, FaultProxy, Gate, Matching, Mode, RedisServer, Site, bounded, eventually,
};
use tower_redis_session::{
    DatabaseConfig, DurableStore, RedisConfig, store::Store as _, telemetry::Serving,
};

/// The reads of single sessions.
const READ: &str = "FROM trs_sessions WHERE id = $1";

/// No store is away, however busy the machine is.
fn unhurried(settings: &mut Settings) {
    (settings.redis_timeout, settings.poll_timeout, settings.lease) = (5_000, 5_000, 10_000);
    settings.budget = 15_000;
}

/// One who counts in turn at both instances, and misses nothing.
async fn counts(mut a: Browser, mut b: Browser, stop: Arc<AtomicBool>) -> u64 {
    let mut n = 1;
    while !stop.load(Ordering::SeqCst) {
        for browser in [&mut a, &mut b] {
            assert_eq!(browser.get("/get:n").await.expect(200).text(), n.to_string());
            n += 1;
            assert_eq!(browser.get("/update:n").await.expect(200).text(), n.to_string());
        }
    }
    n
}

/// Somebody counts, somebody leaves, and meanwhile `harm` is done to Redis again and again.
async fn nobody_notices(duo: &TwoInstances, mut harm: impl AsyncFnMut(&RedisServer)) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut counters = Vec::new();
    for _ in 0..6 {
        let a = duo.signed_in().await;
        let b = duo.b.with_cookies_of(&a).await;
        counters.push(tokio::spawn(counts(a, b, Arc::clone(&stop))));
    }
    let (start, mut left) = (Instant::now(), Vec::new());
    while start.elapsed() < Duration::from_secs(4) {
        let mut leaver = duo.a.browser().await;
        leaver.get("/update:n,login:bob").await.expect(200);
        assert_eq!(read_n(&duo.b, &leaver).await, "1");
        harm(&duo.redis).await;
        let before = leaver.tab().await;
        let (reply, ()) = tokio::join!(leaver.get("/logout"), harm(&duo.redis));
        reply.expect(200);
        assert!(is_dead(&duo.a, &before).await && is_dead(&duo.b, &before).await);
        harm(&duo.redis).await;
        left.push(before);
    }
    stop.store(true, Ordering::SeqCst);
    let counts: Vec<u64> =
        join_all(counters).await.into_iter().map(|counted| counted.unwrap()).collect();
    println!("{counts:?} counted, {} left", left.len());
    for before in &left {
        assert!(is_dead(&duo.a, before).await && is_dead(&duo.b, before).await);
    }
    duo.is_at_rest().await;
}

async fn flush(redis: &RedisServer) {
    let mut connection = redis.connection().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
}

/// Any key, whatever it holds.
async fn evict_some(redis: &RedisServer) {
    let mut connection = redis.connection().await;
    for _ in 0..4 {
        let key: Option<String> =
            redis::cmd("RANDOMKEY").query_async(&mut connection).await.unwrap();
        if let Some(key) = key {
            let () = redis::cmd("DEL").arg(key).query_async(&mut connection).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_flushed_again_and_again_signs_nobody_out_and_revives_nobody() {
    nobody_notices(&TwoInstances::with(unhurried).await, flush).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_evicted_at_any_time_sign_nobody_out_and_revive_nobody() {
    nobody_notices(&TwoInstances::with(unhurried).await, evict_some).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_file_lost_keys_sign_nobody_out_and_revive_nobody() {
    let duo = TwoInstances::on_file(SqliteFile::fresh(), unhurried).await;
    nobody_notices(&duo, async |redis| {
        evict_some(redis).await;
        flush(redis).await;
    })
    .await;
}

async fn sign_in_many(duo: &TwoInstances, count: usize) -> Vec<Browser> {
    let mut many = Vec::new();
    for _ in 0..count {
        let mut browser = duo.a.browser().await;
        browser.get("/update:n,login:alice").await.expect(200);
        many.push(browser);
    }
    many
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_generation_does_not_bring_the_database_down() {
    const READERS: usize = 3;
    let few = |settings: &mut Settings| {
        settings.readers = READERS;
        (settings.redis_timeout, settings.budget) = (5_000, 20_000);
    };
    let duo = TwoInstances::with(few).await;
    let many = sign_in_many(&duo, 200).await;
    let generation = duo.b.generation().await;
    duo.redis.restart().await;
    eventually("a new generation", async || duo.b.generation().await != generation).await;
    duo.both_believe().await;
    let held = duo.db.hold_all(Matching::part(READ));
    let mut tabs = Vec::new();
    for browser in &many {
        tabs.push(duo.b.with_cookies_of(browser).await);
    }
    let readers = tokio::spawn(join_all(tabs.into_iter().map(|mut tab| async move {
        assert_eq!(tab.get("/get:n").await.expect(200).text(), "1");
    })));
    held.reached(READERS as u64).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(held.count(), READERS as u64, "not more than the readers at once");
    let before = duo.db.executed(READ);
    held.release().await;
    readers.await.unwrap();
    let reads = duo.db.executed(READ) - before + READERS as u64;
    assert!(reads <= 200, "{reads} reads of 200 sessions");
    duo.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_session_is_read_by_one_for_all() {
    let duo = TwoInstances::with(unhurried).await;
    let alice = duo.signed_in().await;
    duo.evict(&alice.tab().await.get("/id").await.text()).await;
    let held = duo.db.hold_all(Matching::part(READ));
    let mut tabs = Vec::new();
    for _ in 0..60 {
        tabs.push(duo.b.with_cookies_of(&alice).await);
    }
    let (before, asked) = (duo.db.executed(READ), duo.pb.count("GET"));
    let readers = tokio::spawn(join_all(tabs.into_iter().map(|mut tab| async move {
        assert_eq!(tab.get("/get:n").await.expect(200).text(), "1");
    })));
    held.reached(1).await;
    eventually("all have asked redis", async || duo.pb.count("GET") >= asked + 60).await;
    assert_eq!(held.count(), 1, "one for all");
    held.release().await;
    readers.await.unwrap();
    let reads = duo.db.executed(READ) - before;
    // Who comes while one is asked shares the next question; on a busy machine they come in groups.
    assert!(reads <= 15, "{reads} reads of one session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_redis_slows_only_the_first_few() {
    let quick = |settings: &mut Settings| {
        hasty(settings);
        (settings.poll_timeout, settings.lease) = (1_000, 1_200);
    };
    let duo = TwoInstances::with(quick).await;
    let alice = duo.signed_in().await;
    duo.b.logs().await;
    duo.redis.hang();
    let mut tab = duo.b.with_cookies_of(&alice).await;
    let (mut slow, limit) = (0, Duration::from_millis(duo.b.settings.redis_timeout));
    for _ in 0..60 {
        let start = Instant::now();
        assert_eq!(tab.get("/get:n").await.expect(200).text(), "1");
        slow += u32::from(start.elapsed() >= limit);
    }
    assert!(slow <= 4, "{slow} of 60 waited for redis");
    tokio::time::sleep(5 * duo.lease()).await;
    let status = duo.b.status().await;
    assert!(!status.redis && status.serving == "database", "{status:?}");
    duo.redis.resume();
    let start = Instant::now();
    duo.b.believes().await;
    // What hangs at the moment, and one poll interval.
    assert!(start.elapsed() < Duration::from_secs(1) + SLACK, "{:?}", start.elapsed());
    for _ in 0..20 {
        assert_eq!(tab.get("/get:n").await.expect(200).text(), "1");
    }
    let logs = duo.b.logs().await;
    assert_eq!(turns(&logs, "redis"), ["WARN", "INFO"], "{logs:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_outage_of_redis_costs_one_generation_a_lease_and_no_wrong_answer() {
    long_outage(async |duo| duo.pa.set(Gate::Refuse), async |duo| duo.pa.set(Gate::Pass)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_takes_no_changes_for_long_costs_one_generation_a_lease_and_no_wrong_answer() {
    let rules = |rules: &'static str| {
        async move |duo: &TwoInstances| {
            duo.redis.acl_set_user(DURABLE, rules).await;
        }
    };
    long_outage(rules(NO_CHANGES), rules(ALL)).await;
}

/// No copy is brought up to date or removed any more; new ones can be made.
const NO_CHANGES: &str = "-del -evalsha";
const ALL: &str = "+del +evalsha";

async fn long_outage(begin: impl AsyncFn(&TwoInstances), end: impl AsyncFn(&TwoInstances)) {
    let few = |settings: &mut Settings| {
        hasty(settings);
        settings.journal_limit = 5;
    };
    let duo = TwoInstances::with(few).await;
    let mut many = Vec::new();
    for _ in 0..24 {
        many.push(duo.signed_in().await);
    }
    let seq = async || duo.database.sql("SELECT seq FROM trs_cache").await.parse::<u64>().unwrap();
    let (before, start) = (seq().await, Instant::now());
    begin(&duo).await;
    let bound = duo.lease() + SLACK;
    let mut done: Vec<(usize, u64, Instant)> = Vec::new();
    let mut counts = vec![1; many.len()];
    while start.elapsed() < 12 * duo.lease() {
        for (index, browser) in many.iter_mut().enumerate() {
            counts[index] += 1;
            let said = browser.get("/update:n").await.expect(200).text();
            assert_eq!(said, counts[index].to_string());
            done.push((index, counts[index], Instant::now()));
        }
        let due = done.iter().filter(|(_, _, at)| at.elapsed() > bound);
        let due: Vec<_> = due.map(|(index, count, _)| (*index, *count)).collect();
        done.retain(|(_, _, at)| at.elapsed() <= bound);
        for (index, count) in due {
            let seen: u64 = read_n(&duo.b, &many[index]).await.parse().unwrap();
            assert!(seen >= count, "session {index}: {seen}, and {count} was acknowledged");
        }
    }
    let leases = u64::try_from(start.elapsed().as_millis() / duo.lease().as_millis()).unwrap();
    let bumps = seq().await - before;
    println!("{bumps} bumps in {leases} leases");
    assert!(bumps > 0, "the journal was never over its limit");
    assert!(bumps <= 2 * (leases + 1), "{bumps} bumps in {leases} leases");
    end(&duo).await;
    duo.both_believe().await;
    // Until then the other may see the old state.
    tokio::time::sleep(duo.lease()).await;
    for (browser, count) in many.iter().zip(&counts) {
        for instance in [&duo.a, &duo.b] {
            assert_eq!(read_n(instance, browser).await, count.to_string());
        }
    }
    duo.is_at_rest().await;
}

/// More in doubt than can be listed, and no new generation to be had.
#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_list_of_what_is_in_doubt_is_not_relied_on() {
    let duo = TwoInstances::with(|settings| settings.journal_limit = 3).await;
    let mut bystanders = Bystanders::of(&duo, 10).await;
    duo.database.sql("ALTER FUNCTION trs_bump_1 RENAME TO trs_bump_away").await;
    // Nobody can finish what was begun either.
    duo.redis.acl_set_user(DURABLE, NO_CHANGES).await;
    let mut left = Vec::new();
    for leaver in &mut bystanders.leavers {
        let before = leaver.tab().await;
        leaver.get("/logout").await.expect(200);
        left.push(before);
    }
    for before in &left {
        dies_soon(&duo.b, before, duo.lease(), "more than the limit").await;
    }
    let start = Instant::now();
    while start.elapsed() < 3 * duo.lease() {
        for before in &left {
            assert!(is_dead(&duo.b, before).await, "a logout undone");
        }
    }
    duo.database.sql("ALTER FUNCTION trs_bump_away RENAME TO trs_bump_1").await;
    duo.redis.acl_set_user(DURABLE, ALL).await;
    bystanders.leavers = vec![duo.signed_in().await];
    bystanders.left = left;
    bystanders.are_well(&duo, "after it").await;
}

/// Somebody's open transaction in the journal, as of a backup or a forgotten shell.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_holds_up_neither_a_new_generation_nor_the_writers() {
    let duo = TwoInstances::start().await;
    let mut bystanders = Bystanders::of(&duo, 5).await;
    let truth = duo.database.clone();
    let shell = tokio::spawn(async move {
        let AnyDatabase::Postgres(database) = truth else { unreachable!() };
        let text = "BEGIN; INSERT INTO trs_journal VALUES ('nobody', 1); SELECT pg_sleep(121);";
        let _ = database.try_sql(text).await;
    });
    eventually("the journal is held", async || {
        let held = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(121)%' \
                    AND wait_event = 'PgSleep' AND datname = current_database()";
        duo.database.sql(held).await == "1"
    })
    .await;
    let generation = duo.b.generation().await;
    duo.redis.restart().await;
    for _ in 0..3 {
        bystanders.live_on(&duo, "an open transaction").await;
        tokio::time::sleep(duo.lease()).await;
    }
    duo.both_believe().await;
    assert_ne!(duo.b.generation().await, generation);
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE query LIKE '%pg_sleep(121)%' AND pid <> pg_backend_pid() \
               AND datname = current_database()";
    duo.database.sql(end).await;
    bounded("the end of a transaction", shell).await.unwrap();
    bystanders.are_well(&duo, "after it").await;
}

/// Slower than a request waits, faster than a probe may be: to come back would be to go again.
#[tokio::test]
async fn a_redis_that_is_too_slow_is_left_once_and_not_once_a_poll() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let limit = Duration::from_millis;
    let store = DurableStore::builder(
        RedisConfig::new(redis.durable_url_at(proxy.port())),
        DatabaseConfig::new(file),
    )
    .redis_timeout(limit(50))
    .poll_timeout(limit(400))
    .poll_interval(limit(450))
    .build()
    .unwrap();
    store.migrate().await.unwrap();
    let site = Site::on_store(store, |builder| builder).await;
    let mut browser = test_support::signed_in(&site).await;
    eventually("a copy that is believed", async || {
        browser.get("/user").await.expect(200);
        site.layer.admin().health().serving == Serving::Redis
    })
    .await;
    proxy.set(Mode::Delay(limit(75)));
    let start = Instant::now();
    while start.elapsed() < limit(4_000) {
        assert_eq!(browser.get("/user").await.expect(200).text(), "alice");
    }
    let left = site.layer.admin().report().count("store_down").unwrap();
    assert!((1..=2).contains(&left), "{left} times");
    proxy.set(Mode::Pass);
    eventually("its return", async || site.layer.admin().health().serving == Serving::Redis).await;
}
