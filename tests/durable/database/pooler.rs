//! PostgreSQL behind PgBouncer, which gives each transaction another connection.

use std::sync::Arc;
use std::time::Duration;

use test_support::{PgBouncer, PostgresServer, RedisServer, eventually};
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, DurableStore, RedisConfig, store::Store, testing::conformance,
};

use super::{config, create, limits_guesses, patient, save_together};

/// Without the parameter by which we set time-outs, and with one connection for all, so that what
/// one statement leaves behind meets the next.
const REFUSES: &[&str] = &["default_pool_size = 1"];
/// As many configure it: the parameter is dropped without a word.
const IGNORES: &[&str] =
    &["default_pool_size = 2", "ignore_startup_parameters = options,extra_float_digits"];

async fn behind(settings: &[&str]) -> (PgBouncer, String) {
    let server = PostgresServer::shared().await;
    let bouncer = PgBouncer::before(server, settings).await;
    let url = server.database().await.url_through(bouncer.port());
    (bouncer, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept_behind_a_pooler_that_shares_connections_by_transaction() {
    for settings in [REFUSES, IGNORES] {
        let (_bouncer, url) = behind(settings).await;
        let store = DatabaseStore::new(config(&url)).unwrap();
        store.migrate().await.unwrap();
        store.migrate().await.unwrap();
        store.check().await.unwrap();
        let store = Arc::new(store);
        conformance(Arc::clone(&store)).await;
        limits_guesses(store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_that_share_a_poolers_connections_do_not_meet_each_others_statements() {
    let (bouncer, url) = behind(IGNORES).await;
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(Arc::new(patient(&url).await));
    }
    let mut tasks = tokio::task::JoinSet::new();
    for store in stores {
        tasks.spawn(async move {
            let mut ids = Vec::new();
            for _ in 0..8 {
                ids.push(create(&store).await);
            }
            for round in 1..6 {
                save_together(&store, &ids, round).await;
                for id in &ids {
                    assert_eq!(store.load(id).await.unwrap().unwrap().version(), round + 1);
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert!(!bouncer.log().contains("prepared statement"), "{}", bouncer.log());
}

/// LISTEN goes to a connection that is somebody else's a moment later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_store_behind_a_pooler_polls_and_does_not_listen() {
    let (_bouncer, url) = behind(IGNORES).await;
    let redis = RedisServer::start().await;
    let config = DatabaseConfig::new(&url).timeout(Duration::from_secs(4));
    let store =
        DurableStore::builder(RedisConfig::new(redis.durable_url()), config).build().unwrap();
    store.migrate().await.unwrap();
    store.check().await.unwrap();
    let store = Arc::new(store);
    let _ = store.load(&super::fresh()).await.unwrap();
    eventually("the copies are believed", async || {
        store.health().copies.is_some_and(|copies| copies.trusted)
    })
    .await;
}
