//! Faults of servers behind sentinels, and of sentinels.

use std::sync::Arc;

use super::super::client::rest;
use super::super::schedule::{Deed, Step};
use super::super::servers::Servers;
use super::super::world::World;
use super::{blocking, on_node};
use test_support::{RedisServer, Sentinels};

pub async fn perform(world: &Arc<World>, sentinels: &Sentinels, step: &Step) {
    let primary = sentinels.primary().await;
    match step.deed {
        Deed::Switch => {
            sentinels.fail_over().await;
        }
        Deed::KillPrimary => {
            on_node(world, primary, RedisServer::kill).await;
            sentinels.switched_from(primary).await;
            // Empty, and a primary to itself.
            sentinels.server(primary).restart().await;
        }
        Deed::HangPrimary => {
            on_node(world, primary, RedisServer::hang).await;
            sentinels.switched_from(primary).await;
            rest(step.lasts / 2).await;
            on_node(world, primary, RedisServer::resume).await;
        }
        Deed::HangReplica => {
            on_node(world, 1 - primary, RedisServer::hang).await;
            rest(step.lasts).await;
            on_node(world, 1 - primary, RedisServer::resume).await;
            sentinels.server(1 - primary).has_all_of(sentinels.server(primary)).await;
            return sentinels.wait_until_ok().await;
        }
        other => panic!("{other:?} is nothing for servers behind sentinels"),
    }
    world.replaced(0, 1 - primary);
    // The database knows what a replica misses, and the next failover may come.
    if world.bed.is_durable() {
        world.servers.settle().await;
    }
}

/// One of three.
pub async fn down(world: &Arc<World>, step: &Step, number: usize) {
    let Servers::Sentinels(sentinels) = &world.servers else { panic!("no sentinels") };
    let on_sentinel = |deed: fn(&RedisServer)| {
        blocking(world, move |world| {
            let Servers::Sentinels(sentinels) = &world.servers else { return };
            deed(sentinels.sentinel(number));
        })
    };
    match step.deed {
        Deed::Kill => {
            on_sentinel(RedisServer::kill).await;
            rest(step.lasts).await;
            sentinels.sentinel(number).restart().await;
        }
        Deed::Hang => {
            on_sentinel(RedisServer::hang).await;
            rest(step.lasts).await;
            on_sentinel(RedisServer::resume).await;
        }
        other => panic!("{other:?} is nothing for a sentinel"),
    }
}
