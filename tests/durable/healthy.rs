//! What the durable store promises while everything is well: two instances, Redis and PostgreSQL.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::two_instances::{AnyDatabase, Settings, TwoInstances, dies_within, hasty, is_dead};
use test_support::{PostgresServer, RedisServer};

#[tokio::test(flavor = "multi_thread")]
async fn a_read_costs_one_trip_to_redis_and_a_write_one_to_each() {
    let duo = TwoInstances::start().await;
    let mut alice = duo.signed_in().await;
    // Without what is asked in the background; a call of the procedure is a trip by itself.
    let trips = || {
        let redis = ["GET", "SET", "EVALSHA", "DEL"].map(|command| duo.pa.count(command));
        let database = ["trs_write_1", "FROM trs_sessions", "BEGIN", "COMMIT"];
        (redis, database.map(|part| duo.da.executed(part)))
    };
    // Nobody sweeps, and nothing waits to be cleared.
    crate::two_instances::learn_nothing(&[&duo.a]).await;
    duo.journal_is_empty().await;
    let before = trips();
    let since = |before: ([u64; 4], [u64; 4])| {
        let (redis, database) = trips();
        let less = |now: [u64; 4], then: [u64; 4]| std::array::from_fn(|i| now[i] - then[i]);
        (less(redis, before.0), less(database, before.1))
    };
    for _ in 0..10 {
        alice.get("/get:n").await.expect(200);
    }
    assert_eq!(since(before), ([10, 0, 0, 0], [0, 0, 0, 0]), "ten reads");
    let before = trips();
    alice.get("/update:n").await.expect(200);
    // With the clear that may have come after it.
    let (redis, database) = since(before);
    assert_eq!(redis, [1, 0, 1, 0], "a read and a write");
    assert!([[1, 0, 0, 0], [2, 0, 0, 0]].contains(&database), "a read and a write: {database:?}");
    duo.journal_is_empty().await;
    let before = trips();
    alice.get("/logout").await.expect(200);
    let (redis, database) = since(before);
    assert_eq!(redis, [0, 0, 0, 1], "a logout");
    assert!([[1, 0, 0, 0], [2, 0, 0, 0]].contains(&database), "a logout: {database:?}");
    crate::two_instances::learn_again(&[&duo.a]).await;
    duo.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_is_seen_by_both_at_once() {
    let duo = TwoInstances::start().await;
    let mut alice = duo.signed_in().await;
    let before = alice.tab().await;
    alice.get("/logout").await.expect(200);
    assert!(is_dead(&duo.a, &before).await && is_dead(&duo.b, &before).await);
    duo.is_at_rest().await;
    dies_within(&duo.a, &before, duo.lease()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_revoked_from_another_is_seen_by_both_at_once() {
    let duo = TwoInstances::start().await;
    let mut laptop = duo.signed_in().await;
    let (mut phone, mut desk) = (duo.b.browser().await, duo.b.browser().await);
    for (browser, label) in [(&mut phone, "Phone"), (&mut desk, "Desk")] {
        browser.get(&format!("/login:alice,label:{label}")).await.expect(200);
        // Copied to Redis, and read by both.
        browser.get("/user").await.expect(200);
        assert!(!is_dead(&duo.a, browser).await);
    }
    let listed = laptop.get("/sessions").await.expect(200).text();
    assert_eq!(listed, "*-,Desk,Phone");
    let phones = phone.get("/id").await.expect(200).text();
    assert_eq!(laptop.get(&format!("/revoke:{phones}")).await.expect(200).text(), "true");
    assert!(is_dead(&duo.a, &phone).await && is_dead(&duo.b, &phone).await);
    assert!(!is_dead(&duo.a, &desk).await && !is_dead(&duo.b, &desk).await);
    assert_eq!(laptop.get("/revoke_others").await.expect(200).text(), "1");
    assert!(is_dead(&duo.a, &desk).await && is_dead(&duo.b, &desk).await);
    assert!(!is_dead(&duo.a, &laptop).await && !is_dead(&duo.b, &laptop).await);
    assert_eq!(laptop.get("/sessions").await.expect(200).text(), "*-");
    duo.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_between_the_two_steps_of_a_renewal_is_kept() {
    let duo = TwoInstances::start().await;
    let mut alice = duo.signed_in().await;
    let mut other = duo.b.with_cookies_of(&alice).await;
    let before = alice.tab().await;
    duo.a.hold("after-begin").await;
    let renewal = tokio::spawn(async move {
        alice.get("/renew").await.expect(200);
        alice
    });
    duo.a.reached("after-begin").await;
    assert_eq!(other.get("/update:n").await.expect(200).text(), "2");
    duo.a.release("after-begin").await;
    let mut alice = renewal.await.unwrap();
    assert_eq!(alice.get("/user,get:n").await.expect(200).text(), "alice,2");
    assert!(is_dead(&duo.a, &before).await && is_dead(&duo.b, &before).await);
    duo.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_active_while_redis_refuses_changes_stays_signed_in() {
    let duo =
        TwoInstances::with(|settings| (settings.idle, settings.touch_interval) = (3, 100)).await;
    let mut alice = duo.signed_in().await;
    // Activity reaches only the database from here on, and the copy of the session gets old.
    duo.redis.fail_to_save().await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) {
        assert_eq!(alice.get("/user").await.expect(200).text(), "alice", "{:?}", start.elapsed());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    duo.redis.save_again().await;
    duo.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_over_for_long_are_purged_behind_redis_too() {
    let duo = TwoInstances::start().await;
    let old = "INSERT INTO trs_sessions \
        (id, version, alive, created, last_activity, idle_deadline, ends, body) \
        VALUES ('old', 1, false, 0, 0, 0, 0, '')";
    duo.database.sql(old).await;
    let _alice = duo.signed_in().await;
    test_support::eventually("the old row is gone", async || {
        let count = "SELECT count(*) FROM trs_sessions WHERE id = 'old'";
        duo.database.sql(count).await.trim() == "0"
    })
    .await;
    duo.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_look_at_different_places_of_one_redis_believe_no_copy_of_each_other() {
    let (redis, server) = (RedisServer::start().await, PostgresServer::shared().await);
    let truth = AnyDatabase::Postgres(server.database().await);
    // As in the middle of a deployment that changes the number of the database.
    let is_second = AtomicBool::new(false);
    let apart = |settings: &mut Settings| {
        hasty(settings);
        if is_second.swap(true, Ordering::SeqCst) {
            settings.redis += "1";
        }
    };
    let duo = TwoInstances::unsettled(redis, truth, server.addr(), apart).await;
    for _ in 0..3 {
        let mut alice = duo.a.browser().await;
        alice.get("/update:n,login:alice").await.expect(200);
        let start = Instant::now();
        // Long enough for each of them to have made a copy, if it ever does.
        while start.elapsed() < duo.lease() * 3 {
            assert_eq!(crate::two_instances::value(&duo.a, &alice).await, "1");
            assert_eq!(crate::two_instances::value(&duo.b, &alice).await, "1");
        }
        let before = alice.tab().await;
        alice.get("/logout").await.expect(200);
        assert!(is_dead(&duo.a, &before).await);
        dies_within(&duo.b, &before, duo.lease()).await;
        let start = Instant::now();
        while start.elapsed() < duo.lease() * 2 {
            assert!(is_dead(&duo.b, &before).await && is_dead(&duo.a, &before).await);
        }
    }
}
