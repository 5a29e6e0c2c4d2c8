//! The store behind sentinels.

use futures_util::future::join_all;
use test_support::{AnyRedis as _, Bed, Sentinels};
use tower_redis_session::{RedisStore, testing::conformance};

async fn start(version: &str) -> Bed {
    let sentinels = match version {
        "" => Sentinels::start().await,
        version => Sentinels::builder().version(version).start().await,
    };
    Bed::Sentinel(Box::new(sentinels))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_behind_sentinel_keeps_the_contract_on_every_version() {
    let beds = join_all(["", "redis-6.2", "valkey-8.1", "valkey-9.1"].map(start)).await;
    for bed in beds {
        conformance(RedisStore::new(bed.patient()).unwrap()).await;
        bed.assert_every_key_has_a_ttl().await;
    }
}
