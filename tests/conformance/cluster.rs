//! The store on a Redis Cluster.

use std::time::Duration;

use test_support::RedisCluster;
use tower_redis_session::{RedisConfig, RedisStore, testing::conformance};

/// Limits that no healthy cluster reaches, however busy the machine is.
pub fn store(cluster: &RedisCluster) -> RedisStore {
    let long = Duration::from_secs(10);
    let config = RedisConfig::cluster(cluster.seeds());
    RedisStore::new(config.connect_timeout(long).command_timeout(long)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cluster_keeps_the_contract() {
    let cluster = RedisCluster::start().await;
    conformance(store(&cluster)).await;
    cluster.assert_every_key_has_a_ttl().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clusters_of_other_versions_keep_the_contract() {
    for version in ["redis-6.2", "valkey-8.1", "valkey-9.1"] {
        let cluster = RedisCluster::start_version(version).await;
        conformance(store(&cluster)).await;
        cluster.assert_every_key_has_a_ttl().await;
    }
}
