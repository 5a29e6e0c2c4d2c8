//! Redis may die, hang or fill up: answers come from the source, and no change is forgotten.

use std::future::pending;
use std::time::{Duration, Instant};

use futures_util::{future::join_all, poll};
use tower_redis_session::{
    RedisConfig,
    directory::{CachedDirectory, Directory, DirectoryPart},
};

use super::source::{Cached, Source, patient_cache, posts, settings};
use super::{command, kept, log_of_this_test, secrets, settings_key};
use test_support::{AnyRedis, Bed, FaultProxy, Mode, Outage, RedisServer, bounded, eventually};

const BUDGET: Duration = Duration::from_millis(200);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(3);

struct Scene {
    redis: RedisServer,
    proxy: FaultProxy,
    source: Source,
    cache: Cached,
}

impl Scene {
    async fn set() -> Self {
        let redis = RedisServer::start().await;
        let proxy = FaultProxy::start(redis.addr()).await;
        let source = Source::new();
        // Only the budget bounds a wait for an answer.
        let config = RedisConfig::new(redis.url_at(proxy.port()));
        let config = config.command_timeout(Duration::from_secs(30));
        let cache = CachedDirectory::builder(source.clone(), config).budget(BUDGET);
        let cache = cache.key_ring(secrets::ring(&["a"])).build().unwrap();
        let scene = Self { redis, proxy, source, cache };
        scene.is_cached().await;
        scene
    }

    /// Waits until reads cost the source nothing.
    async fn is_cached(&self) {
        eventually("an answer of the cache", async || {
            let before = self.source.asked("settings");
            posts(&self.cache).await;
            self.source.asked("settings") == before
        })
        .await;
    }

    fn take_away(&self, way: Outage) {
        way.begins(&self.redis, &self.proxy);
    }

    async fn bring_back(&self, way: Outage) {
        way.ends(&self.redis, &self.proxy).await;
    }
}

#[tokio::test]
async fn the_source_answers_within_the_budget_and_a_dead_redis_costs_few_calls_that() {
    let (log, _guard) = log_of_this_test();
    for way in Outage::EVERY_WAY {
        log.clear();
        let scene = Scene::set().await;
        scene.take_away(way);
        scene.source.set_posts(70);
        let start = Instant::now();
        let first = posts(&scene.cache).await;
        assert!(start.elapsed() < BUDGET + SLACK, "{way:?}: {:?}", start.elapsed());
        // The entry is in no doubt, so a Redis that still answers may still be believed.
        assert!(first == 70 || way == Outage::Proxy(Mode::CutReplies), "{way:?}");
        let start = Instant::now();
        for count in 0..100 {
            let user = format!("user {count}");
            assert_eq!(scene.cache.settings(&user).await.unwrap(), None, "{way:?}");
            assert_eq!(scene.cache.platforms("alice").await.unwrap().len(), 2, "{way:?}");
            let secret = scene.cache.credentials("alice", "12").await.unwrap();
            assert!(secret.is_some(), "{way:?}");
        }
        // Each one would take a minute.
        assert!(start.elapsed() < 10 * BUDGET + SLACK, "{way:?}: {:?}", start.elapsed());
        assert!(!scene.cache.health().answers, "{way:?}");
        scene.bring_back(way).await;
        scene.is_cached().await;
        assert!(scene.cache.health().answers, "{way:?}");
        assert!(log.contains("redis unavailable") && log.contains("redis available"), "{way:?}");
    }
}

#[tokio::test]
async fn those_who_ask_at_the_same_time_share_an_answer_of_the_source() {
    let scene = Scene::set().await;
    scene.redis.kill();
    let asked = scene.source.asked("settings");
    scene.source.hold("settings");
    let cache = scene.cache.clone();
    let crowd = tokio::spawn(async move { join_all((0..32).map(|_| posts(&cache))).await });
    scene.source.gates().arrived("settings").await;
    scene.source.unhold("settings");
    scene.source.gates().open("settings");
    assert_eq!(bounded("the crowd", crowd).await.unwrap(), vec![50; 32]);
    // Those who came after the first question ask once more, together.
    assert_eq!(scene.source.asked("settings"), asked + 2);
}

#[tokio::test]
async fn a_redis_that_was_never_there_is_used_as_soon_as_it_is() {
    let redis = RedisServer::start().await;
    redis.kill();
    let source = Source::new();
    let cache = patient_cache(&source, redis.patient()).budget(BUDGET).build().unwrap();
    assert_eq!(posts(&cache).await, 50);
    assert!(!cache.invalidate_settings("alice").await);
    redis.restart().await;
    eventually("the invalidation", async || cache.unconfirmed() == 0).await;
    eventually("an answer of the cache", async || {
        let before = source.asked("settings");
        posts(&cache).await;
        source.asked("settings") == before
    })
    .await;
}

#[tokio::test]
async fn a_save_during_an_outage_is_a_success_and_the_old_value_is_never_read_again() {
    for way in Outage::EVERY_WAY {
        let scene = Scene::set().await;
        assert!(kept(&scene.redis, &settings_key(), "").await.is_some(), "{way:?}");
        scene.take_away(way);
        let save = async {
            scene.source.set_posts(70);
            Ok::<_, ()>(settings(70))
        };
        let saved = scene.cache.change("alice", DirectoryPart::Settings, save).await;
        assert_eq!(saved, Ok(settings(70)), "{way:?}");
        assert_eq!(scene.cache.unconfirmed(), 1, "{way:?}");
        for _ in 0..10 {
            assert_eq!(posts(&scene.cache).await, 70, "{way:?}");
        }
        scene.bring_back(way).await;
        eventually("the invalidation to land", async || {
            assert_eq!(posts(&scene.cache).await, 70, "{way:?}");
            scene.cache.unconfirmed() == 0
        })
        .await;
        for _ in 0..10 {
            assert_eq!(posts(&scene.cache).await, 70, "{way:?}");
        }
        let other = patient_cache(&scene.source, scene.redis.patient()).build().unwrap();
        assert_eq!(posts(&other).await, 70, "{way:?}");
    }
}

#[tokio::test]
async fn an_entry_that_was_invalidated_during_an_outage_is_gone_after_it() {
    for way in [Outage::Hung, Outage::Proxy(Mode::BlackHole), Outage::Proxy(Mode::Refuse)] {
        let scene = Scene::set().await;
        eventually("both entries", async || {
            let _ = scene.cache.credentials("alice", "12").await.unwrap();
            scene.redis.keys().await.len() == 2
        })
        .await;
        scene.take_away(way);
        assert!(!scene.cache.invalidate_settings("alice").await, "{way:?}");
        assert!(!scene.cache.invalidate_platforms("alice").await, "{way:?}");
        assert_eq!(scene.cache.unconfirmed(), 3, "{way:?}");
        scene.bring_back(way).await;
        eventually("the invalidations to land", async || scene.cache.unconfirmed() == 0).await;
        assert_eq!(scene.redis.keys().await, [], "{way:?}");
    }
}

#[tokio::test]
async fn an_invalidation_that_nobody_waits_for_happens_all_the_same() {
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let cache = patient_cache(&source, redis.patient()).build().unwrap();
        posts(&cache).await;
        source.set_posts(60);
        {
            let mut invalidating = Box::pin(cache.invalidate_settings("alice"));
            assert!(poll!(&mut invalidating).is_pending());
        }
        assert_eq!(posts(&cache).await, 60, "in doubt until it is removed");
        eventually("the invalidation", async || cache.unconfirmed() == 0).await;
        assert_eq!(posts(&cache).await, 60);
        // A handler that is dropped after the commit, and before its save has returned.
        {
            let save = async {
                source.set_posts(70);
                pending::<()>().await;
            };
            let mut changing = Box::pin(cache.change("alice", DirectoryPart::Settings, save));
            assert!(poll!(&mut changing).is_pending());
        }
        assert_eq!(posts(&cache).await, 70, "in doubt until it is removed");
        eventually("the invalidation", async || cache.unconfirmed() == 0).await;
        let other = patient_cache(&source, redis.patient()).build().unwrap();
        assert_eq!((posts(&cache).await, posts(&other).await), (70, 70));
    }
}

#[tokio::test]
async fn a_full_redis_keeps_nothing_and_forgets_what_is_invalidated() {
    for version in ["of the system", "redis-6.2", "valkey-8.1", "valkey-9.1"] {
        let redis = match version {
            "of the system" => RedisServer::start().await,
            fetched => RedisServer::start_version(fetched).await,
        };
        let source = Source::new();
        let cache = patient_cache(&source, redis.patient()).build().unwrap();
        posts(&cache).await;
        redis.fill_up().await;
        assert_eq!(posts(&cache).await, 50, "{version}");
        assert_eq!(source.asked("settings"), 1, "{version}: what is there is served");
        source.set_posts(70);
        let invalidated = bounded("the invalidation", cache.invalidate_settings("alice"));
        assert!(invalidated.await, "{version}");
        for count in 2..7 {
            assert_eq!(bounded("the source", posts(&cache)).await, 70, "{version}");
            assert_eq!(source.asked("settings"), count, "{version}");
        }
        assert!(cache.health().answers, "{version}");
        redis.make_room().await;
        assert_eq!((posts(&cache).await, posts(&cache).await), (70, 70), "{version}");
        assert_eq!(source.asked("settings"), 7, "{version}");
        redis.assert_every_key_has_a_ttl().await;
    }
}

#[tokio::test]
async fn a_redis_that_became_a_replica_is_left_alone() {
    let scene = Scene::set().await;
    let _ = command(&scene.redis, &[b"REPLICAOF", b"127.0.0.1", b"1"]).await;
    assert!(!scene.cache.invalidate_settings("alice").await);
    scene.source.set_posts(70);
    eventually("to be left alone", async || {
        assert_eq!(posts(&scene.cache).await, 70);
        assert_eq!(scene.cache.settings("bob").await.unwrap(), None);
        !scene.cache.health().answers
    })
    .await;
    let _ = command(&scene.redis, &[b"REPLICAOF", b"NO", b"ONE"]).await;
    scene.is_cached().await;
    assert_eq!((posts(&scene.cache).await, scene.cache.unconfirmed()), (70, 0));
}

#[tokio::test]
async fn a_redis_that_lost_everything_is_filled_again() {
    let scene = Scene::set().await;
    scene.source.set_posts(70);
    scene.redis.restart().await;
    eventually("the new value", async || posts(&scene.cache).await == 70).await;
    scene.is_cached().await;
}
