//! Connections belong to the store, and to no request or runtime that asked for them.
//!
//! To see these fail: keep the pool of bb8 when an attempt was dropped, when none has begun after a
//! while, when none ended in time; let a connection be ready that nobody got; wait for an idle
//! connection as long as for any.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use test_support::{FaultProxy, Mode, RedisServer, Site, bounded, eventually, patient, signed_in};
use tower_redis_session::{
    RedisConfig, RedisSessionLayer, RedisStore, SessionId, store::Store as _,
};

fn id() -> SessionId {
    "A".repeat(43).parse().unwrap()
}

#[tokio::test]
async fn a_runtime_that_ends_while_it_connects_takes_no_place_with_it() {
    let redis = RedisServer::start().await;
    for pool_size in [1, 4] {
        let config = patient(&redis.url()).pool_size(pool_size);
        let store = Arc::new(RedisStore::new(config).unwrap());
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (for_others, for_last) = (Arc::clone(&store), Arc::clone(&store));
        let served = tokio::task::spawn_blocking(move || {
            for yields in (0..8).chain(0..8) {
                let store = Arc::clone(&for_others);
                runtime().block_on(async move {
                    // Without a yield, the attempt is dropped before it has begun.
                    let id = id();
                    let mut load = std::pin::pin!(store.load(&id));
                    let _ = futures_util::poll!(load.as_mut());
                    for _ in 0..yields {
                        tokio::task::yield_now().await;
                    }
                });
            }
            // One whose connection was made, too.
            let first = runtime().block_on(for_last.load(&id()));
            (first, runtime().block_on(for_last.load(&id())))
        });
        let (first, second) = bounded("the last runtimes", served).await.unwrap();
        assert!(first.unwrap().is_none() && second.unwrap().is_none());
        assert!(store.health().is_ready());
        assert!(store.load(&id()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_attempt_for_more_connections_that_is_dropped_takes_no_place_with_it() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let config = patient(&redis.url_at(proxy.port())).pool_size(2);
    let store = Arc::new(RedisStore::new(config).unwrap());
    store.load(&id()).await.unwrap();
    // So many that another connection is wanted, and none of them is answered.
    proxy.set(Mode::HalfOpen);
    let id = id();
    let mut stuck: Vec<_> = (0..300).map(|_| Box::pin(store.load(&id))).collect();
    for load in &mut stuck[..256] {
        assert!(futures_util::poll!(load.as_mut()).is_pending());
    }
    let open = || store.health().redis.unwrap().connections;
    let (for_other, other_id) = (Arc::clone(&store), id);
    let other = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut load = std::pin::pin!(for_other.load(&other_id));
            assert!(futures_util::poll!(load.as_mut()).is_pending());
            tokio::task::yield_now().await;
        });
    });
    other.await.unwrap();
    assert_eq!(open(), 1);
    assert!(futures_util::poll!(stuck[256].as_mut()).is_pending());
    eventually("another connection", async || open() == 2).await;
}

#[tokio::test]
async fn a_runtime_that_nobody_drives_while_it_connects_is_waited_for_once() {
    let redis = RedisServer::start().await;
    for yields in 0..4 {
        let short = Duration::from_millis(200);
        let config = patient(&redis.url()).connect_timeout(short).pool_size(1);
        let store = Arc::new(RedisStore::new(config).unwrap());
        let for_other = Arc::clone(&store);
        let stopped = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.unwrap();
            runtime.block_on(async move {
                drop(tokio::spawn(async move { for_other.load(&id()).await }));
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
            });
            runtime
        });
        let stopped = stopped.await.unwrap();
        let _ = bounded("the first one", store.load(&id())).await;
        assert!(store.load(&id()).await.unwrap().is_none(), "{yields}");
        assert!(store.health().is_ready(), "{yields}");
        stopped.shutdown_background();
        assert!(store.load(&id()).await.unwrap().is_none(), "{yields}");
    }
}

#[tokio::test]
async fn a_store_whose_requests_wait_for_a_connection_is_not_ready() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let store = RedisStore::new(patient(&redis.url_at(proxy.port()))).unwrap();
    let layer = RedisSessionLayer::builder(store).budget(Duration::from_secs(15)).build().unwrap();
    assert!(layer.admin().health().is_ready(), "nobody has asked yet");
    proxy.set(Mode::BlackHole);
    let waits = {
        let layer = layer.clone();
        tokio::spawn(async move { layer.admin().sessions_of("alice").await })
    };
    eventually("that it is not ready", async || !layer.admin().health().is_ready()).await;
    // The attempt goes on, also when nobody waits for it any longer.
    waits.abort();
    assert!(waits.await.unwrap_err().is_cancelled());
    assert!(!layer.admin().health().is_ready());
    proxy.set(Mode::Refuse);
    proxy.set(Mode::Pass);
    eventually("a connection", async || layer.admin().sessions_of("alice").await.is_ok()).await;
    assert!(layer.admin().health().is_ready());
}

#[tokio::test]
async fn a_failed_check_is_a_reason_not_to_be_ready() {
    let redis = RedisServer::start().await;
    let store = RedisStore::new(patient(&redis.url())).unwrap();
    let layer = RedisSessionLayer::builder(store).build().unwrap();
    redis.kill();
    assert!(layer.admin().health().is_ready(), "nobody has asked yet");
    layer.check().await.unwrap_err();
    let health = layer.admin().health();
    assert!(!health.is_ready());
    let cause = health.redis.unwrap().last_cause.unwrap();
    assert!(cause.contains("refused"), "the operator reads the cause: {cause}");
}

#[tokio::test]
async fn an_idle_connection_that_leads_nowhere_costs_no_request() {
    let redis = RedisServer::start().await;
    for at_once in [1, 20] {
        let proxy = FaultProxy::start(redis.addr()).await;
        // The defaults: half a second for a command, a second for a request.
        let site = Site::on(RedisConfig::new(redis.url_at(proxy.port())), |builder| builder).await;
        let browser = signed_in(&site).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        proxy.set(Mode::HalfOpen);
        let cookie = browser.cookie_header();
        let answers = join_all((0..at_once).map(|_| site.visit("/user", &cookie))).await;
        for answer in answers {
            assert_eq!(answer.status(), 200, "{at_once} at once");
        }
    }
}

#[tokio::test]
async fn a_check_waits_behind_no_request() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let site = Site::on(patient(&redis.url_at(proxy.port())).pool_size(1), |builder| {
        builder.budget(Duration::from_secs(15))
    })
    .await;
    let browser = signed_in(&site).await;
    // Whatever is sent over what is open now is never answered.
    proxy.set(Mode::HalfOpen);
    let cookie = browser.cookie_header();
    let mut stuck = std::pin::pin!(site.visit("/insert:a:1", &cookie));
    assert!(futures_util::poll!(stuck.as_mut()).is_pending());
    let checked = tokio::time::timeout(Duration::from_secs(2), site.layer.check()).await;
    checked.expect("it waits behind the request").unwrap();
    let list = redis.keys().await;
    assert!(!list.iter().any(|(key, _)| key.contains(":check-")), "{list:?}");
}

/// The system asks whether the other end of an idle connection is there.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn connections_are_kept_alive() {
    let redis = RedisServer::start().await;
    let store = RedisStore::new(patient(&redis.url())).unwrap();
    store.load(&id()).await.unwrap();
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let to_redis = format!("0100007F:{:04X}", redis.port());
    let timers: Vec<_> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        // Remote address, state and timer: 01 is an open connection, 02 the timer of keep-alive.
        .filter(|fields| fields.get(2) == Some(&&*to_redis) && fields[3] == "01")
        .map(|fields| fields[5][..2].to_owned())
        .collect();
    assert!(timers.iter().any(|timer| timer == "02"), "{timers:?}");
}
