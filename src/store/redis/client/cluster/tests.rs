//! The router on real clusters.
//!
//! | file | holds |
//! |---|---|
//! | `redirects` | slots that have moved, and slots that are moving |
//! | `losses` | replies that never come, nodes that hang and die |
//! | `membership` | nodes that come and go, slots that go to and fro under load |

use std::{net::SocketAddr, time::Duration};

use redis::{Cmd, Value, aio::MultiplexedConnection};
use test_support::RedisCluster;

use crate::{
    clock::compared::Compared,
    error::Error,
    store::redis::{
        RedisConfig,
        client::{
            cluster::{decision::Follow, router::Router, slot::Slot},
            connection::{Answer, Connection},
            script::{Call, Script},
        },
    },
    telemetry::events::Events,
};

mod losses;
mod membership;
mod redirects;

/// Not as one of the users whose rights are tried elsewhere.
fn config(seeds: impl IntoIterator<Item = SocketAddr>) -> RedisConfig {
    RedisConfig::cluster(seeds.into_iter().map(|seed| format!("redis://{seed}")))
}

/// With a command timeout that no busy machine exceeds.
fn router(seeds: impl IntoIterator<Item = SocketAddr>) -> Router {
    router_of(&config(seeds).command_timeout(Duration::from_secs(5)))
}

fn router_of(config: &RedisConfig) -> Router {
    router_with(config, &Events::default())
}

fn router_with(config: &RedisConfig, events: &Events) -> Router {
    let cluster = config.seeds().unwrap().unwrap();
    Router::new(cluster, &[], Compared::default(), Some(events.clone())).unwrap()
}

/// How often a node, or all of them, became unavailable and available.
fn outages(events: &Events) -> (u64, u64) {
    let counts = events.counts();
    let count = |name| counts.iter().find(|(other, _)| *other == name).unwrap().1;
    (count("store_down"), count("store_up"))
}

/// Without replicas, which start faster.
async fn three_primaries() -> RedisCluster {
    RedisCluster::builder().replicas(0).start().await
}

fn all(cluster: &RedisCluster) -> Vec<SocketAddr> {
    cluster.members().into_iter().map(|node| cluster.addr(node)).collect()
}

fn get(key: &str) -> Cmd {
    let mut get = redis::cmd("GET");
    let _ = get.arg(key);
    get
}

async fn set(connection: &mut MultiplexedConnection, keys: &[String]) {
    let mut sets = redis::pipe();
    for key in keys {
        let _ = sets.cmd("SET").arg(key).arg("1").ignore();
    }
    let () = sets.query_async(connection).await.unwrap();
}

/// A script of the tests' own, in the place of one of the store's.
fn eval(text: &str, keys: &[&str]) -> Result<Call, Error> {
    let mut command = redis::cmd("EVAL");
    let _ = command.arg(text).arg(keys.len()).arg(keys);
    Ok(Call { script: Script::Kill, command })
}

fn increment(key: &str) -> impl Fn(&Connection) -> Result<Call, Error> {
    move |_: &Connection| eval("return redis.call('INCR', KEYS[1])", &[key])
}

async fn incremented(router: &Router, key: &str) -> Result<Answer, Error> {
    router.call(Slot::of_key(key.as_bytes()), Follow::One, increment(key)).await
}

async fn read(router: &Router, key: &str) -> Result<Value, Error> {
    router.read(Slot::of_key(key.as_bytes()), &get(key)).await
}

fn one() -> Value {
    Value::BulkString(b"1".to_vec())
}

/// A key of a slot that the node serves.
async fn key_at(cluster: &RedisCluster, node: usize) -> String {
    let slot = *cluster.slots_of(node).await.first().unwrap();
    format!("key{{{}}}", Slot::new(slot).unwrap().tag())
}
