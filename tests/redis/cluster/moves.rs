//! A slot that moves under requests: what has one key goes on, what has several waits or is
//! refused whole, and a session that was ended stays so.
//!
//! To see these fail: follow no `ASK`, or with a command of several keys too; send `ASKING` by
//! itself; in `ending.rs` do not repeat the end in a slot that moves; in the scripts look at no
//! slot, or change the list before the record; follow no `MOVED`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use test_support::{COOKIE, Matching, Mode, RedisCluster, bounded, eventually, slot_of};
use tower_redis_session::{
    RedisStore, SessionId,
    store::{Expected, Record, SaveOutcome, Store as _},
};

use super::{configured, hasty_site, keys, patient, signed_in, site, slot, tag};

pub(super) const SOON: Duration = Duration::from_millis(100);

async fn of_three(version: Option<&str>) -> RedisCluster {
    let builder = RedisCluster::builder().replicas(0);
    match version {
        Some(version) => builder.version(version).start().await,
        None => builder.start().await,
    }
}

/// How often a node refused a command with this code.
async fn errors(cluster: &RedisCluster, node: usize, code: &str) -> u64 {
    let mut connection = cluster.connection(node).await;
    let info: String =
        redis::cmd("INFO").arg("errorstats").query_async(&mut connection).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("errorstat_{code}:count=")));
    line.map_or(0, |count| count.parse().unwrap())
}

/// 7
#[tokio::test]
async fn in_a_moving_slot_one_key_goes_on_and_what_needs_more_waits_or_is_refused_whole() {
    let cluster = of_three(None).await;
    let site = hasty_site(&cluster).await;
    let mut alice = signed_in(&site, "alice").await;
    let x = cluster.owner_of(slot(&alice)).await;
    let moving = cluster.begin_move(slot(&alice), (x + 1) % 3).await;
    moving.migrate(&keys(&cluster, ":u:{").await, SOON).await.unwrap();

    assert_eq!(alice.get("/get:cart,insert:a:1").await.expect(200).text(), "tea");
    assert_eq!(alice.get("/update:n").await.expect(200).text(), "1");
    alice.get("/touch").await.expect(200);
    let before = cluster.contents().await;
    for path in ["/sessions", "/revoke_others", "/logout_everywhere"] {
        alice.get(path).await.expect(503);
    }
    site.browser().await.get("/login:alice").await.expect(503);
    assert_eq!(cluster.contents().await, before);

    moving.migrate_rest().await;
    moving.finish().await;
    cluster.node(x).reset_stats().await;
    assert_eq!(alice.get("/get:cart,get:a,update:n").await.expect(200).text(), "tea,1,2");
    assert_eq!(alice.get("/sessions").await.expect(200).text(), "*-");
    site.browser().await.get("/login:alice").await.expect(200);
    assert_eq!(errors(&cluster, x, "MOVED").await, 1);
    alice.get("/logout_everywhere").await.expect(200);
    assert!(keys(&cluster, ":s:").await.len() <= 2, "tombstones at most");
    cluster.assert_every_key_has_a_ttl().await;
}

/// 8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sessions_that_have_left_their_slot_are_read_by_64_tasks_without_a_failure() {
    const SESSIONS: usize = 1_000;
    const TASKS: usize = 64;
    let cluster = of_three(None).await;
    let site = site(&cluster).await;
    let mut alice = signed_in(&site, "alice").await;
    let id: SessionId = alice.get("/id").await.expect(200).text().parse().unwrap();
    let store = Arc::new(RedisStore::new(patient(&cluster)).unwrap());
    let record = store.load(&id).await.unwrap().unwrap();
    let record = Record::from_bytes(1, record.to_bytes().into()).unwrap();
    let tag = tag(&alice);
    let ids: Vec<SessionId> =
        (0..SESSIONS).map(|number| format!("{number:0>40}{tag}").parse().unwrap()).collect();
    for id in &ids {
        let saved = store.save(id, Expected::Absent, &record).await.unwrap();
        assert!(matches!(saved, SaveOutcome::Saved), "{saved:?}");
    }
    let x = cluster.owner_of(slot(&alice)).await;
    let moving = cluster.begin_move(slot(&alice), (x + 1) % 3).await;
    moving.migrate_rest().await;
    let tasks = (0..TASKS).map(|task| {
        let (store, ids) = (Arc::clone(&store), ids.clone());
        tokio::spawn(async move {
            for number in 0..SESSIONS / 4 {
                let id = &ids[(task * 131 + number) % SESSIONS];
                assert!(store.load(id).await.unwrap().is_some());
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let batch = store.load_many(&ids[..64]).await.unwrap();
    assert!(batch.into_iter().all(|record| record.unwrap().is_some()));
    moving.finish().await;
    assert!(store.load(&ids[0]).await.unwrap().is_some());
}

/// What the keys hold, wherever they are.
async fn values(cluster: &RedisCluster) -> BTreeMap<String, Vec<u8>> {
    cluster.contents().await.into_iter().map(|(_, key, value)| (key, value)).collect()
}

async fn a_sign_in_is_held_while_its_slot_begins_to_move(version: Option<&str>) {
    let builder = RedisCluster::builder().replicas(0).behind_proxies();
    let cluster = match version {
        Some(version) => builder.version(version).start().await,
        None => builder.start().await,
    };
    let site = hasty_site(&cluster).await;
    let mut alice = signed_in(&site, "alice").await;
    let x = cluster.owner_of(slot(&alice)).await;
    for moved in ["nothing", ":u:{", ":s:"] {
        let before = values(&cluster).await;
        let login = Matching::command("EVALSHA").containing("alice");
        let held = cluster.proxy(x).hold(login);
        let mut phone = site.browser().await;
        let request = tokio::spawn(async move { phone.get("/login:alice").await });
        held.reached().await;
        let moving = cluster.begin_move(slot(&alice), (x + 1) % 3).await;
        let some = keys(&cluster, moved).await;
        if !some.is_empty() {
            moving.migrate(&some, SOON).await.unwrap();
        }
        held.release().await;
        let reply = bounded("the sign-in", request).await.unwrap().expect(503);
        assert!(reply.set_cookies().is_empty(), "{moved}: {reply:?}");
        assert_eq!(values(&cluster).await, before, "{moved}");
        moving.migrate_rest().await;
        moving.finish().await;
        assert_eq!(alice.get("/sessions,get:cart").await.expect(200).text(), "*-,tea", "{moved}");
        cluster.move_slot(slot(&alice), x).await;
        assert_eq!(alice.get("/sessions,get:cart").await.expect(200).text(), "*-,tea", "{moved}");
    }
}

/// 9
#[tokio::test]
async fn a_sign_in_that_finds_its_slot_moving_changes_nothing() {
    let versions = [None, Some("redis-6.2")];
    join_all(versions.map(a_sign_in_is_held_while_its_slot_begins_to_move)).await;
}

/// 10
#[tokio::test]
async fn what_ends_a_session_that_has_left_the_slot_of_its_list_ends_nobody() {
    join_all([None, Some("redis-6.2")].map(async |version| {
        let cluster = of_three(version).await;
        let site = configured(&cluster, |builder| builder.sessions_per_user(2)).await;
        let mut alice = signed_in(&site, "alice").await;
        let mut tablet = signed_in(&site, "alice").await;
        let id = tablet.get("/id").await.expect(200).text();
        let x = cluster.owner_of(slot(&alice)).await;
        let moving = cluster.begin_move(slot(&alice), (x + 1) % 3).await;
        moving.migrate(&keys(&cluster, &id[..40]).await, SOON).await.unwrap();
        let before = cluster.contents().await;

        let mut phone = site.browser().await;
        phone.get("/login:alice").await.expect(503);
        for path in ["/revoke_others", "/sessions"] {
            // It may be sent again, and nothing is wrong with the servers.
            assert_eq!(alice.get(path).await.expect(503).text(), "Unavailable", "{version:?}");
        }
        assert_eq!(cluster.contents().await, before, "{version:?}");
        for browser in [&mut alice, &mut tablet] {
            assert_eq!(browser.get("/get:cart").await.expect(200).text(), "tea");
        }
        moving.migrate_rest().await;
        moving.finish().await;
        // The oldest is out.
        phone.get("/login:alice").await.expect(200);
        assert_eq!(alice.get("/user").await.expect(200).text(), "-");
        assert_eq!(phone.get("/revoke_others").await.expect(200).text(), "1");
        assert_eq!(tablet.get("/user").await.expect(200).text(), "-");
    }))
    .await;
}

/// Whether the cookie opens a session.
async fn opens(site: &test_support::Site, token: &str) -> bool {
    let mut browser = site.browser().await;
    browser.set_cookie(COOKIE, token);
    browser.get("/get:cart").await.expect(200).text() == "tea"
}

/// 11
#[tokio::test]
async fn a_logout_while_a_copy_is_in_the_targets_sockets_is_final() {
    let versions = [None, Some("redis-6.2"), Some("valkey-8.1"), Some("valkey-9.1")];
    join_all(versions.map(async |version| {
        let cluster = of_three(version).await;
        let site = site(&cluster).await;
        let mut alice = signed_in(&site, "alice").await;
        let (slot, token) = (slot(&alice), alice.cookie(COOKIE).unwrap().to_owned());
        let x = cluster.owner_of(slot).await;
        let moving = cluster.begin_move(slot, (x + 1) % 3).await;
        cluster.hang(moving.to);
        let records = keys(&cluster, ":s:").await;
        let late = moving.migrate(&records, SOON).await.unwrap_err();
        assert_eq!(late.code(), Some("IOERR"), "{version:?}: {late}");
        let logout = tokio::spawn(async move { alice.get("/logout").await });
        // The source has done its part.
        eventually("the end of the session at its source", async || {
            let mut connection = cluster.connection(x).await;
            let value: redis::RedisResult<Option<Vec<u8>>> =
                redis::cmd("GET").arg(&records[0]).query_async(&mut connection).await;
            value.is_err() || value.is_ok_and(|value| value.is_none_or(|value| value[0] == b'T'))
        })
        .await;
        cluster.resume(moving.to);
        bounded("the logout", logout).await.unwrap().expect(200);
        assert!(!opens(&site, &token).await, "{version:?}: at once");
        let mut connection = cluster.connection(moving.to).await;
        let mut ask = redis::pipe();
        ask.cmd("ASKING").ignore().cmd("PTTL").arg(&records[0]);
        let (life,): (i64,) = ask.query_async(&mut connection).await.unwrap();
        assert!(life > 60_000, "{version:?}: a tombstone for {life} ms");
        moving.migrate_rest().await;
        moving.finish().await;
        cluster.wait_until_ok().await;
        assert!(!opens(&site, &token).await, "{version:?}: after the move");
        cluster.assert_every_key_has_a_ttl().await;
    }))
    .await;
}

/// 12
#[tokio::test]
async fn a_copy_that_arrives_after_the_logout_meets_a_tombstone() {
    let cluster = of_three(None).await;
    let site = site(&cluster).await;
    let mut alice = signed_in(&site, "alice").await;
    let (slot, token) = (slot(&alice), alice.cookie(COOKIE).unwrap().to_owned());
    let x = cluster.owner_of(slot).await;
    let moving = cluster.begin_move(slot, (x + 1) % 3).await;
    let proxy = moving.proxy().await;
    proxy.set(Mode::HoldRequests);
    let records = keys(&cluster, ":s:").await;
    let late = moving.migrate_by(proxy.addr(), &records, SOON).await.unwrap_err();
    assert_eq!(late.code(), Some("IOERR"), "{late}");
    alice.get("/logout").await.expect(200);
    proxy.release().await;
    assert!(!opens(&site, &token).await, "at once");
    moving.migrate_rest().await;
    moving.finish().await;
    assert!(!opens(&site, &token).await, "after the move");
    cluster.assert_every_key_has_a_ttl().await;
}

/// 2,000 increments of 16 sessions by 64 clients while slots go to and fro.
async fn increments_while(cluster: RedisCluster, in_one_step: bool) {
    const CLIENTS: usize = 64;
    const SESSIONS: usize = 16;
    const INCREMENTS: usize = 2_000;
    let site = site(&cluster).await;
    let mut browsers = Vec::new();
    for number in 0..SESSIONS {
        browsers.push(signed_in(&site, &format!("user{number}")).await);
    }
    // Blocks of sixteen, each with one owner.
    let blocks: BTreeSet<_> = browsers.iter().map(|browser| slot(browser) / 16 * 16).collect();
    for first in &blocks {
        cluster.move_slots(*first..first + 16, cluster.owner_of(*first).await).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = browsers[number % SESSIONS].tab().await;
        let share = INCREMENTS / CLIENTS + usize::from(number < INCREMENTS % CLIENTS);
        clients.push(tokio::spawn(async move {
            for _ in 0..share {
                client.get("/update:n").await.expect(200);
            }
        }));
    }
    let clients = async {
        for client in join_all(clients).await {
            client.unwrap();
        }
        done.store(true, Ordering::SeqCst);
    };
    let moves = async {
        let started = Instant::now();
        let mut moved = 0;
        while !done.load(Ordering::SeqCst) || moved < 500 {
            for first in &blocks {
                let to = (cluster.owner_of(*first).await + 1) % 3;
                match in_one_step {
                    true => cluster.move_atomically(*first..=first + 15, to).await,
                    false => cluster.move_slots(*first..first + 16, to).await,
                }
                moved += 16;
            }
        }
        println!("{moved} slots moved in {:?}", started.elapsed());
    };
    tokio::join!(clients, moves);
    let mut sum = 0;
    for browser in &mut browsers {
        sum += browser.get("/get:n").await.expect(200).text().parse::<usize>().unwrap();
    }
    assert_eq!(sum, INCREMENTS);
}

/// 16
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_increment_is_lost_while_slots_move_to_and_fro() {
    increments_while(of_three(None).await, false).await;
}

/// 16
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_increment_is_lost_while_slots_move_in_one_step() {
    increments_while(of_three(Some("valkey-9.1")).await, true).await;
}

/// Of the bed: the slot of a session is that of its user's index.
#[tokio::test]
async fn a_session_lies_in_the_slot_of_its_user() {
    let cluster = of_three(None).await;
    let site = site(&cluster).await;
    let alice = signed_in(&site, "alice").await;
    for key in keys(&cluster, "").await {
        if !key.contains(":s:") || key.contains(&tag(&alice)) {
            assert_eq!(slot_of(&key), slot(&alice), "{key}");
        }
    }
}
