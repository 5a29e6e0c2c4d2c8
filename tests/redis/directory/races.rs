//! Loaders that are late, gone, or many at once.

use std::time::Duration;

use futures_util::future::{join_all, select};

use super::source::{Source, patient_cache, posts};
use super::{command, kept, secrets, settings_key};
use test_support::{
    AnyRedis, Bed, Gate, Matching, RedisServer, RespProxy, bounded, entries_key, eventually,
    patient,
};
use tower_redis_session::directory::Directory;

fn taking() -> Matching {
    let script = redis::Script::new(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/store/redis/lua/entry_take.lua"
    )));
    Matching::script(script.get_hash())
}

fn filling() -> Matching {
    let script = redis::Script::new(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/store/redis/lua/entry_fill.lua"
    )));
    Matching::script(script.get_hash())
}

#[tokio::test]
async fn a_stampede_over_two_instances_asks_the_source_once() {
    let redis = RedisServer::start().await;
    let proxy = RespProxy::start(redis.addr()).await;
    let source = Source::new();
    let one = patient_cache(&source, redis.patient()).build().unwrap();
    let other = patient_cache(&source, patient(&redis.url_at(proxy.port()))).build().unwrap();
    source.hold("settings");
    let stampede = |cache: &super::source::Cached| {
        let cache = cache.clone();
        tokio::spawn(async move { join_all((0..32).map(|_| posts(&cache))).await })
    };
    let first = stampede(&one);
    source.gates().arrived("settings").await;
    let second = stampede(&other);
    // It has seen more than once that somebody else loads.
    eventually("the other instance to look", async || proxy.count("EVALSHA") > 2).await;
    source.unhold("settings");
    source.gates().open("settings");
    for answers in [first, second] {
        assert_eq!(bounded("the stampede", answers).await.unwrap(), vec![50; 32]);
    }
    assert_eq!(source.asked("settings"), 1);
}

#[tokio::test]
async fn a_loader_that_read_before_a_save_fills_nothing_in_after_it() {
    let beds = Bed::both().await;
    for (redis, saved_by_another) in beds.iter().flat_map(|redis| [(redis, false), (redis, true)]) {
        redis.empty().await;
        let source = Source::new();
        let [one, other] =
            [(); 2].map(|()| patient_cache(&source, redis.patient()).build().unwrap());
        source.hold("settings");
        let loading = tokio::spawn({
            let one = one.clone();
            async move { posts(&one).await }
        });
        source.gates().arrived("settings").await;
        source.unhold("settings");
        source.set_posts(70);
        let saver = if saved_by_another { &other } else { &one };
        assert!(saver.invalidate_settings("alice").await);
        source.gates().open("settings");
        assert_eq!(loading.await.unwrap(), 50, "it asked before the save");
        for _ in 0..3 {
            let read = (posts(&one).await, posts(&other).await);
            assert_eq!(read, (70, 70), "{redis}: {saved_by_another}");
        }
        assert_eq!(source.asked("settings"), 2, "{redis}: {saved_by_another}");
    }
}

#[tokio::test]
async fn a_fill_that_is_on_its_way_during_an_invalidation_changes_nothing() {
    for refreshing in [false, true] {
        let redis = RedisServer::start().await;
        let proxy = RespProxy::start(redis.addr()).await;
        let source = Source::new();
        let mut one = patient_cache(&source, patient(&redis.url_at(proxy.port())));
        if refreshing {
            let due = Duration::from_millis(59_999);
            one = one.time_to_live(Duration::from_secs(60)).refresh_ahead(due);
        }
        let (one, other) =
            (one.build().unwrap(), patient_cache(&source, redis.patient()).build().unwrap());
        if refreshing {
            posts(&one).await;
        }
        let held = proxy.hold(filling());
        let reading = tokio::spawn({
            let one = one.clone();
            async move {
                while posts(&one).await == 50 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        });
        held.reached().await;
        source.set_posts(70);
        assert!(other.invalidate_settings("alice").await);
        assert_eq!(posts(&other).await, 70);
        held.release().await;
        assert_eq!((posts(&other).await, posts(&other).await), (70, 70), "{refreshing}");
        bounded("the other reader", reading).await.unwrap();
        assert_eq!(posts(&one).await, 70, "{refreshing}");
    }
}

#[tokio::test]
async fn a_look_that_lands_late_gives_no_loader_its_lease_back() {
    let redis = RedisServer::start().await;
    let proxy = RespProxy::start(redis.addr()).await;
    let source = Source::new();
    let one = patient_cache(&source, patient(&redis.url_at(proxy.port()))).build().unwrap();
    let other = patient_cache(&source, redis.patient()).loader_wait(Duration::from_millis(30));
    let other = other.build().unwrap();
    let held = proxy.hold(taking());
    source.hold("settings");
    let loading = tokio::spawn({
        let one = one.clone();
        async move { posts(&one).await }
    });
    held.reached().await;
    // Its connection is lost, and the command is still on its way.
    proxy.set(Gate::Reset);
    proxy.set(Gate::Pass);
    source.gates().arrived("settings").await;
    source.unhold("settings");
    source.set_posts(70);
    assert!(other.invalidate_settings("alice").await);
    held.release().await;
    source.gates().open("settings");
    assert_eq!(loading.await.unwrap(), 50, "it asked before the save");
    for _ in 0..3 {
        assert_eq!(posts(&other).await, 70);
    }
    redis.assert_every_key_has_a_ttl().await;
}

#[tokio::test]
async fn a_loader_that_leaves_gives_its_lease_back() {
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let [one, other] =
            [(); 2].map(|()| patient_cache(&source, redis.patient()).build().unwrap());
        source.hold("settings");
        {
            let loading = Box::pin(one.settings("alice"));
            let arrived = Box::pin(source.gates().arrived("settings"));
            drop(select(loading, arrived).await);
        }
        source.unhold("settings");
        assert_eq!(bounded("the next loader", posts(&other)).await, 50);
        assert_eq!((posts(&one).await, source.asked("settings")), (50, 2));
    }
}

#[tokio::test]
async fn a_loader_that_takes_too_long_is_not_waited_for() {
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let one = patient_cache(&source, redis.patient()).build().unwrap();
        let other = patient_cache(&source, redis.patient()).loader_wait(Duration::from_millis(30));
        let other = other.build().unwrap();
        source.hold("settings");
        let loading = tokio::spawn({
            let one = one.clone();
            async move { posts(&one).await }
        });
        source.gates().arrived("settings").await;
        source.unhold("settings");
        assert_eq!(bounded("the source itself", posts(&other)).await, 50);
        assert_eq!(source.asked("settings"), 2);
        assert_eq!(kept(&redis, &settings_key(), "").await, None, "only the loader fills");
        redis.assert_every_key_has_a_ttl().await;
        source.gates().open("settings");
        assert_eq!(loading.await.unwrap(), 50);
        assert_eq!((posts(&other).await, source.asked("settings")), (50, 2));
    }
}

#[tokio::test]
async fn a_lease_that_is_over_fills_nothing() {
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let slow = patient_cache(&source, redis.patient()).loader_lease(Duration::from_millis(100));
        let slow = slow.build().unwrap();
        let other = patient_cache(&source, redis.patient()).build().unwrap();
        source.hold("settings");
        let loading = tokio::spawn({
            let slow = slow.clone();
            async move { posts(&slow).await }
        });
        source.gates().arrived("settings").await;
        source.unhold("settings");
        source.set_posts(70);
        // Waits until the lease of the other is over.
        assert_eq!(bounded("the next loader", posts(&other)).await, 70);
        source.gates().open("settings");
        assert_eq!(loading.await.unwrap(), 50);
        assert_eq!((posts(&slow).await, posts(&other).await), (70, 70));
        assert_eq!(source.asked("settings"), 2);
    }
}

/// Also where the key lives on by another entry.
#[tokio::test]
async fn a_lease_that_is_over_fills_nothing_even_if_nobody_took_another() {
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let [other, cache] = [60_000, 100].map(|lease| {
            let lease = Duration::from_millis(lease);
            let cache = patient_cache(&source, redis.patient()).loader_lease(lease);
            cache.key_ring(secrets::ring(&["a"])).build().unwrap()
        });
        let key = entries_key('c', "alice");
        let _ = other.credentials("alice", "11").await.unwrap();
        assert!(kept(&redis, &key, "11").await.is_some());
        source.hold("credentials");
        let loading = tokio::spawn({
            let cache = cache.clone();
            async move { cache.credentials("alice", "12").await.unwrap() }
        });
        source.gates().arrived("credentials").await;
        eventually("the end of the lease", async || {
            let lease = command(&redis, &[b"HGET", key.as_bytes(), b"l12"]).await;
            let lease: Vec<u8> = redis::from_redis_value(lease).unwrap();
            let end: u64 = std::str::from_utf8(&lease[..13]).unwrap().parse().unwrap();
            let (seconds, micros): (u64, u64) =
                redis::from_redis_value(command(&redis, &[b"TIME"]).await).unwrap();
            seconds * 1000 + micros / 1000 > end
        })
        .await;
        source.gates().open("credentials");
        assert!(loading.await.unwrap().is_some());
        assert_eq!(kept(&redis, &key, "12").await, None);
    }
}
