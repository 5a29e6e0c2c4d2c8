//! Redis behind sentinels: which server is the primary, and how soon another one is used.
//!
//! To see these fail: count the sentinels that name a primary in place of epochs; do not check the
//! role; do not start the watch; leave the connections open when another primary is named.

use std::time::Duration;

use test_support::{DURABLE, PASSWORD, RedisServer};
use tower_redis_session::{RedisConfig, RedisStore, SessionId, store::Store as _};

use scripted::Scripted;

/// Ends of sessions that replicas confirm, over a switch.
mod ends;
/// What is wrong, by its name.
mod faults;
/// Real sentinels: failovers, credentials, outages.
mod real;
/// A sentinel that says what a test tells it to.
mod scripted;
/// One primary in the place of another.
mod switches;

fn id() -> SessionId {
    "A".repeat(43).parse().unwrap()
}

/// Limits that no healthy server reaches; half of the first one is how long a silent sentinel is
/// waited for.
fn by(sentinels: &[&Scripted]) -> RedisConfig {
    RedisConfig::sentinel("main", sentinels.iter().map(|sentinel| sentinel.url()))
        .username(DURABLE)
        .password(PASSWORD)
        .connect_timeout(Duration::from_secs(4))
        .command_timeout(Duration::from_secs(4))
}

fn store(sentinels: &[&Scripted]) -> RedisStore {
    RedisStore::new(by(sentinels).pool_size(1)).unwrap()
}

/// The primary that the store uses.
fn primary_of(store: &RedisStore) -> String {
    store.health().redis.unwrap().primary.unwrap_or_default()
}

fn address(server: &RedisServer) -> String {
    server.addr().to_string()
}

/// The connections of stores to a server, by their ids.
async fn clients(server: &RedisServer) -> Vec<String> {
    let mut connection = server.connection().await;
    let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut connection).await.unwrap();
    let theirs = list.lines().filter(|line| line.contains(&format!(" user={DURABLE} ")));
    theirs.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

/// Ends the connections of stores to a server.
async fn cut(server: &RedisServer) {
    let mut connection = server.connection().await;
    let mut kill = redis::cmd("CLIENT");
    kill.arg(&["KILL", "USER", DURABLE]);
    let _: usize = kill.query_async(&mut connection).await.unwrap();
}

/// Reads until the store uses that server; how long it took.
async fn uses(store: &RedisStore, server: &RedisServer) -> Duration {
    let start = std::time::Instant::now();
    let wanted = address(server);
    test_support::eventually("the other primary is used", async || {
        let _ = store.load(&id()).await;
        primary_of(store) == wanted && !clients(server).await.is_empty()
    })
    .await;
    start.elapsed()
}
