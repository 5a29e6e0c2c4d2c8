//! Entries of a directory on a cluster: where a slot moves, and where a node is lost.
//!
//! To see these fail: in `entries.rs` remove what is changed by one `DEL`, or do not repeat it in a
//! slot that moves; leave no mark there; in `entry_fill.lua` delete the lease before the value is
//! stored; in `cache.rs` have one breaker for all nodes; put no tag into the key.

use std::time::Duration;

use test_support::{LogCapture, Mode, RedisCluster, bounded, entries_key, eventually, slot_of};
use tower_redis_session::{
    RedisConfig,
    directory::{CachedDirectory, Directory as _},
};

use super::{keys, moves::SOON, patient};
use crate::directory::{
    secrets::ring,
    source::{Cached, Source, patient_cache, posts},
};

async fn of_three(version: Option<&str>) -> RedisCluster {
    let builder = RedisCluster::builder().replicas(0);
    match version {
        Some(version) => builder.version(version).start().await,
        None => builder.start().await,
    }
}

fn instances(cluster: &RedisCluster, source: &Source) -> [Cached; 2] {
    let instance = || patient_cache(source, patient(cluster)).key_ring(ring(&["a"]));
    [instance().build().unwrap(), instance().build().unwrap()]
}

#[tokio::test]
async fn all_entries_of_a_user_are_in_the_slot_of_the_users_sessions() {
    let cluster = of_three(None).await;
    let source = Source::new();
    let [cache, _] = instances(&cluster, &source);
    cache.check().await.unwrap();
    for user in ["alice", "bob", "{", "a{b}c"] {
        let _ = cache.user(user).await.unwrap();
        let _ = cache.platforms(user).await.unwrap();
        let _ = cache.settings(user).await.unwrap();
    }
    let _ = cache.credentials("alice", "12").await.unwrap();
    let slot = slot_of(test_support::index_key("alice"));
    let stored = keys(&cluster, "session:d:").await;
    assert_eq!(stored.iter().filter(|key| slot_of(key) == slot).count(), 4, "{stored:?}");
    cluster.assert_every_key_has_a_ttl().await;
    // A hit is one command at the node of the user, whoever asks.
    let mut monitors = cluster.monitor_all().await;
    for _ in 0..10 {
        posts(&cache).await;
    }
    let asked = monitors.take_names().await;
    assert_eq!(asked, [(cluster.owner_of(slot).await, vec!["EVALSHA".to_owned(); 10])]);
}

#[tokio::test]
async fn an_entry_in_a_slot_that_moves_is_read_filled_and_removed() {
    for version in [None, Some("redis-6.2"), Some("valkey-8.1"), Some("valkey-9.1")] {
        let cluster = of_three(version).await;
        let source = Source::new();
        let [one, other] = instances(&cluster, &source);
        let key = entries_key('s', "alice");
        posts(&one).await;
        let _ = one.credentials("alice", "12").await.unwrap();
        let slot = slot_of(&key);
        let x = cluster.owner_of(slot).await;
        let moving = cluster.begin_move(slot, (x + 1) % 3).await;
        // Nothing has moved, then one of two keys, then both.
        for (number, moved) in
            [None, Some(&key), Some(&entries_key('c', "alice"))].into_iter().enumerate()
        {
            if let Some(moved) = moved {
                let there = moving.keys().await.contains(&moved.clone().into_bytes());
                if there {
                    moving.migrate(&[moved], SOON).await.unwrap();
                }
            }
            let (asked, secrets) = (source.asked("settings"), source.asked("credentials"));
            let read = async |cache: &Cached| {
                let secret = cache.credentials("alice", "12").await.unwrap();
                (posts(cache).await, secret.is_some())
            };
            for cache in [&one, &other] {
                assert!(read(cache).await.1, "{version:?}");
            }
            assert_eq!(source.asked("settings"), asked, "{version:?}: a hit");
            assert_eq!(source.asked("credentials"), secrets, "{version:?}: a hit");
            let new = 60 + u32::try_from(number).unwrap();
            source.set_posts(new);
            assert!(one.invalidate_settings("alice").await, "{version:?}");
            assert!(other.invalidate_platforms("alice").await, "{version:?}");
            for cache in [&one, &other, &one] {
                assert_eq!(read(cache).await, (new, true), "{version:?}");
            }
            assert_eq!(source.asked("settings"), asked + 1, "{version:?}: filled again");
            assert_eq!(source.asked("credentials"), secrets + 1, "{version:?}: filled again");
        }
        moving.migrate_rest().await;
        moving.finish().await;
        assert_eq!((posts(&one).await, posts(&other).await), (62, 62), "{version:?}");
        assert_eq!(source.asked("settings"), 4, "{version:?}");
        cluster.assert_every_key_has_a_ttl().await;
    }
}

/// A lease that is the only field of its key.
#[tokio::test]
async fn a_fill_in_a_slot_that_moves_is_stored() {
    let cluster = of_three(None).await;
    let source = Source::new();
    let [one, other] = instances(&cluster, &source);
    let slot = slot_of(entries_key('s', "alice"));
    source.hold("settings");
    let loading = tokio::spawn({
        let one = one.clone();
        async move { posts(&one).await }
    });
    source.gates().arrived("settings").await;
    let x = cluster.owner_of(slot).await;
    let moving = cluster.begin_move(slot, (x + 1) % 3).await;
    source.unhold("settings");
    source.gates().open("settings");
    assert_eq!(bounded("the loader", loading).await.unwrap(), 50);
    assert_eq!((posts(&other).await, source.asked("settings")), (50, 1));
    moving.migrate_rest().await;
    moving.finish().await;
    assert_eq!((posts(&other).await, source.asked("settings")), (50, 1));
}

/// The reply to its `MIGRATE` is lost, so that the source has it still.
#[tokio::test]
async fn a_copy_that_arrives_after_an_invalidation_is_never_read() {
    let cluster = of_three(None).await;
    let source = Source::new();
    let [one, other] = instances(&cluster, &source);
    let key = entries_key('s', "alice");
    posts(&one).await;
    let x = cluster.owner_of(slot_of(&key)).await;
    let moving = cluster.begin_move(slot_of(&key), (x + 1) % 3).await;
    let proxy = moving.proxy().await;
    proxy.set(Mode::HoldRequests);
    let late = moving.migrate_by(proxy.addr(), &[&key], SOON).await.unwrap_err();
    assert_eq!(late.code(), Some("IOERR"), "{late}");
    source.set_posts(70);
    assert!(one.invalidate_settings("alice").await);
    proxy.release().await;
    assert_eq!((posts(&one).await, posts(&other).await), (70, 70), "at once");
    moving.migrate_rest().await;
    moving.finish().await;
    assert_eq!((posts(&one).await, posts(&other).await), (70, 70), "after the move");
    cluster.assert_every_key_has_a_ttl().await;
}

const BUDGET: Duration = Duration::from_millis(300);

fn hasty(cluster: &RedisCluster, source: &Source) -> Cached {
    let config = RedisConfig::cluster(cluster.seeds()).command_timeout(Duration::from_secs(5));
    CachedDirectory::builder(source.clone(), config).budget(BUDGET).build().unwrap()
}

#[tokio::test]
async fn a_node_that_is_lost_costs_its_own_entries_alone_and_no_change_is_forgotten() {
    let (log, _guard) = {
        let _ = LogCapture::of_the_process();
        LogCapture::on_this_thread()
    };
    let cluster =
        RedisCluster::builder().arg("--cluster-require-full-coverage", "no").start().await;
    let source = Source::new();
    let [cache, other] = [hasty(&cluster, &source), hasty(&cluster, &source)];
    let lost = cluster.node_of(entries_key('s', "alice")).await;
    // A user of another node.
    let mut users = (0..).map(|number| format!("user{number}"));
    let bob = loop {
        let user = users.next().unwrap();
        if cluster.node_of(entries_key('s', &user)).await != lost {
            break user;
        }
    };
    let is_cached = async |cache: &Cached, user: &str| {
        let before = source.asked("settings");
        let _ = cache.settings(user).await.unwrap();
        source.asked("settings") == before
    };
    for cache in [&cache, &other] {
        eventually("both are cached", async || {
            is_cached(cache, "alice").await && is_cached(cache, &bob).await
        })
        .await;
    }
    // No replica is to take over for now.
    let replica = cluster.replica_of(lost).await;
    cluster.hang(replica);
    cluster.kill(lost);
    source.set_posts(70);
    assert!(!cache.invalidate_settings("alice").await);
    assert_eq!(cache.unconfirmed(), 1);
    for _ in 0..10 {
        assert_eq!(posts(&cache).await, 70);
        assert!(is_cached(&cache, &bob).await, "of another node");
    }
    eventually("an open circuit breaker", async || {
        assert!(is_cached(&cache, &bob).await, "of another node");
        log.contains("directory entries are read from the source")
    })
    .await;
    assert!(cache.invalidate_settings(&bob).await, "of another node");
    assert!(cache.health().answers, "the others are used");
    assert!(!log.contains("requests with a session"), "it serves no sessions");
    cluster.resume(replica);
    cluster.wait_until_ok().await;
    eventually("the invalidation, at the replica that took over", async || {
        cache.unconfirmed() == 0
    })
    .await;
    eventually("an answer of the cache", async || {
        assert_eq!(posts(&cache).await, 70);
        is_cached(&cache, "alice").await
    })
    .await;
    eventually("the other instance", async || {
        posts(&other).await == 70 && is_cached(&other, "alice").await
    })
    .await;
    cluster.assert_every_key_has_a_ttl().await;
}
