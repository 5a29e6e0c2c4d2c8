//! Stores whose ends of sessions a replica confirms.

use std::time::Duration;

use test_support::{RedisCluster, RedisServer, copying, eventually, patient};
use tower_redis_session::{RedisConfig, RedisStore, testing::conformance};

/// Within a time that no healthy replica needs, however busy the machine is.
fn store(config: RedisConfig) -> RedisStore {
    RedisStore::new(config.confirm(1, Duration::from_secs(4))).unwrap()
}

/// Waits until its replica has acknowledged a write: before that it counts as none.
async fn is_copied(primary: &RedisServer) {
    let mut connection = primary.connection().await;
    eventually("a replica that acknowledges", async || {
        let mut info = redis::cmd("INFO");
        let info: String = info.arg("replication").query_async(&mut connection).await.unwrap();
        info.lines().any(|line| line.starts_with("slave0:") && !line.contains("offset=0,"))
    })
    .await;
}

async fn waits(server: &RedisServer) -> u64 {
    server.command_counts().await.get("wait").copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_store_whose_ends_a_replica_confirms_keeps_the_contract() {
    for version in [None, Some("redis-6.2"), Some("valkey-8.1"), Some("valkey-9.1")] {
        let server = || match version {
            Some(version) => copying().version(version),
            None => copying(),
        };
        let primary = server().start().await;
        let replica = server().replica_of(&primary).start().await;
        replica.has_all_of(&primary).await;
        is_copied(&primary).await;
        conformance(store(patient(&primary.confirmed_url()))).await;
        assert!(waits(&primary).await > 0, "{version:?}: nothing was confirmed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster_whose_replicas_confirm_ends_keeps_the_contract() {
    let cluster = RedisCluster::start().await;
    let primaries = cluster.primaries().await;
    for primary in &primaries {
        is_copied(cluster.node(*primary)).await;
    }
    let long = Duration::from_secs(10);
    let config = RedisConfig::cluster(cluster.confirmed_seeds());
    conformance(store(config.connect_timeout(long).command_timeout(long))).await;
    for primary in primaries {
        assert!(waits(cluster.node(primary)).await > 0, "nothing was confirmed by {primary}");
    }
    cluster.assert_every_key_has_a_ttl().await;
}
