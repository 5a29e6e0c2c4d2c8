//! Faults of a Redis server.

use std::sync::Arc;

use super::super::client::rest;
use super::super::schedule::{Deed, Step};
use super::super::seeded_rng::SeededRng;
use super::super::servers::Servers;
use super::super::world::World;
use super::{command, on_node};
use test_support::RedisServer;

pub async fn perform(world: &Arc<World>, step: &Step, shard: usize, rng: SeededRng) {
    match (&world.servers, step.deed) {
        (Servers::One(server), _) => one(world, server, step, rng).await,
        // Shorter than a failover takes to begin.
        (_, Deed::Pause) => pause(world.servers.primary(shard).await, step.lasts.min(200)).await,
        (_, Deed::CutClients) => cut_clients(world.servers.primary(shard).await).await,
        (Servers::Sentinels(sentinels), _) => {
            super::sentinels::perform(world, sentinels, step).await
        }
        (Servers::Cluster(cluster), _) => {
            super::cluster::perform(world, cluster, step, shard).await
        }
    }
}

async fn pause(server: &RedisServer, millis: u64) {
    command(server, &["CLIENT", "PAUSE", &millis.to_string(), "ALL"]).await;
    rest(millis).await;
}

async fn cut_clients(server: &RedisServer) {
    command(server, &["CLIENT", "KILL", "TYPE", "normal"]).await;
}

async fn one(world: &Arc<World>, redis: &RedisServer, step: &Step, mut rng: SeededRng) {
    match step.deed {
        Deed::Empty => {
            redis.kill();
            rest(step.lasts).await;
            redis.restart().await;
        }
        Deed::Snapshot => {
            let snapshot = redis.snapshot().await;
            rest(step.lasts).await;
            redis.restart_from(&snapshot).await;
        }
        Deed::Hang => {
            on_node(world, 0, RedisServer::hang).await;
            rest(step.lasts).await;
            on_node(world, 0, RedisServer::resume).await;
        }
        Deed::Flush => command(redis, &["FLUSHALL"]).await,
        Deed::Evict => {
            for (key, _) in redis.keys().await {
                if rng.percent(50) {
                    command(redis, &["DEL", &key]).await;
                }
            }
        }
        Deed::Full => {
            redis.fill_up().await;
            rest(step.lasts).await;
            redis.make_room().await;
        }
        Deed::FailToSave => {
            redis.config_set("stop-writes-on-bgsave-error", "yes").await;
            redis.fail_to_save().await;
            rest(step.lasts).await;
            redis.save_again().await;
        }
        Deed::Pause => pause(redis, step.lasts).await,
        Deed::CutClients => cut_clients(redis).await,
        Deed::Demote => {
            command(redis, &["REPLICAOF", "127.0.0.1", "1"]).await;
            rest(step.lasts).await;
            command(redis, &["REPLICAOF", "NO", "ONE"]).await;
        }
        other => panic!("{other:?} is nothing for Redis"),
    }
}
