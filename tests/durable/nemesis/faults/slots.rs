//! A slot that goes to another primary, with the sessions of a user.

use std::sync::Arc;
use std::time::Duration;

use super::super::client::rest;
use super::super::history::{Place, Recorder};
use super::super::schedule::{Deed, Step};
use super::super::seeded_rng::SeededRng;
use super::super::servers::{Servers, primary_of};
use super::super::world::World;
use super::on_node;
use test_support::{Move, RedisServer, slot_of};

/// How long the source waits for a target that is well, and for one that hangs.
const LONG: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(30);

/// Returns the places that it concerned as well.
pub async fn perform(
    world: &Arc<World>,
    recorder: &Recorder,
    step: &Step,
    user: usize,
    mut rng: SeededRng,
) -> Vec<Place> {
    let Servers::Cluster(cluster) = &world.servers else { panic!("no cluster") };
    let tag = world.tags()[user].clone();
    let slot = slot_of(format!("{{{tag}}}"));
    let from = cluster.owner_of(slot).await % 3;
    let shard = (from + 1 + rng.below(2) as usize) % 3;
    let target = primary_of(cluster, shard).await;
    recorder.note_arrival(&tag, &[from, shard]);
    let moving = cluster.begin_move(slot, target).await.replacing();
    let mut also = Vec::new();
    match step.deed {
        Deed::Move => key_by_key(&moving, 100, &mut rng).await,
        Deed::HalfWay => {
            key_by_key(&moving, 50, &mut rng).await;
            rest(step.lasts).await;
        }
        Deed::GiveUp => {
            // What would have left could not be seen.
            rest(step.lasts).await;
            moving.give_up().await;
            recorder.note_arrival(&tag, &[from]);
            return also;
        }
        Deed::LateCopy => {
            key_by_key(&moving, 30, &mut rng).await;
            on_node(world, target, RedisServer::hang).await;
            let _late = moving.migrate(&moving.keys().await, SHORT).await;
            rest(step.lasts.min(150)).await;
            on_node(world, target, RedisServer::resume).await;
            rest(step.lasts).await;
            // Ends of sessions wait for the target.
            also.push(Place::Redis(shard));
        }
        other => panic!("{other:?} is nothing for a slot"),
    }
    moving.migrate_rest().await;
    moving.finish().await;
    recorder.note_arrival(&tag, &[shard]);
    also
}

async fn key_by_key(moving: &Move<'_>, percent: u64, rng: &mut SeededRng) {
    for key in moving.keys().await {
        if rng.percent(percent) {
            // It may have ended meanwhile.
            moving.migrate(&[key], LONG).await.unwrap();
            rest(1).await;
        }
    }
}
