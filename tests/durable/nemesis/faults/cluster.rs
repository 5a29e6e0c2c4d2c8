//! Faults of the nodes of a cluster.

use std::sync::Arc;

use super::super::client::rest;
use super::super::schedule::{Deed, Step};
use super::super::servers::{Servers, primary_of};
use super::super::world::World;
use super::blocking;
use test_support::{RedisCluster, eventually};

pub async fn perform(world: &Arc<World>, cluster: &RedisCluster, step: &Step, shard: usize) {
    let primary = primary_of(cluster, shard).await;
    let replica = if primary < 3 { primary + 3 } else { primary - 3 };
    match step.deed {
        Deed::Switch => {
            cluster.fail_over(primary).await;
        }
        Deed::KillPrimary => {
            on_cluster(world, move |cluster| cluster.kill(primary)).await;
            is_promoted(cluster, replica).await;
            rest(step.lasts / 3).await;
            cluster.restart(primary).await;
        }
        Deed::HangPrimary => {
            on_cluster(world, move |cluster| cluster.hang(primary)).await;
            is_promoted(cluster, replica).await;
            rest(step.lasts / 2).await;
            on_cluster(world, move |cluster| cluster.resume(primary)).await;
        }
        Deed::TakeOver => cluster.take_over(replica).await,
        Deed::CutOff => {
            // It serves for as long as a node is waited for, and has been replaced.
            cluster.cut_off(&[primary]);
            cluster.take_over(replica).await;
            rest(step.lasts).await;
            cluster.heal();
        }
        Deed::HangReplica => {
            on_cluster(world, move |cluster| cluster.hang(replica)).await;
            rest(step.lasts).await;
            on_cluster(world, move |cluster| cluster.resume(replica)).await;
        }
        other => panic!("{other:?} is nothing for a node of a cluster"),
    }
    if step.deed.is_failover() {
        world.replaced(shard, replica);
    }
    cluster.wait_until_ok().await;
}

async fn is_promoted(cluster: &RedisCluster, replica: usize) {
    eventually("a replica that takes over", async || cluster.primaries().await.contains(&replica))
        .await;
}

async fn on_cluster(world: &Arc<World>, work: impl FnOnce(&RedisCluster) + Send + 'static) {
    blocking(world, |world| {
        let Servers::Cluster(cluster) = &world.servers else { return };
        work(cluster);
    })
    .await;
}
