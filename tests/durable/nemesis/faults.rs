//! How each fault is begun and undone.

mod cluster;
mod postgres;
mod redis;
mod sentinels;
mod slots;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::rest;
use super::history::{Fault, MILLI, Place, Recorder, Site};
use super::schedule::{Deed, Step};
use super::seeded_rng::SeededRng;
use super::visit::visit;
use super::world::World;
use test_support::{COOKIE, Gate, Interceptor, Matching, RedisServer};

/// Does what the plan says; returns when all of it is undone.
pub async fn carry_out(steps: Vec<Step>, world: &Arc<World>, recorder: &Arc<Recorder>, seed: u64) {
    let each = steps.into_iter().enumerate().map(async |(number, step)| {
        let wait = (step.at * MILLI).saturating_sub(recorder.now());
        rest(wait / MILLI).await;
        let mut turns = Vec::new();
        for place in step.places() {
            turns.push(world.turn_at(place).await);
        }
        let from = recorder.now();
        let rng = SeededRng::new(seed, 2_000 + number as u64);
        let loses = step.deed.is_failover() && world.loses_by(step.deed);
        let also = perform(world, recorder, &step, rng).await;
        let (what, to) = (step.deed.name(), recorder.now());
        for on in also.into_iter().chain([step.on]) {
            recorder.note_fault(Fault { what: what.clone(), on, from, to, loses });
        }
    });
    futures_util::future::join_all(each).await;
    world.heal_proxies();
}

/// Returns the places that it concerned as well.
async fn perform(
    world: &Arc<World>,
    recorder: &Recorder,
    step: &Step,
    rng: SeededRng,
) -> Vec<Place> {
    match step.on {
        Place::Redis(shard) => redis::perform(world, step, shard, rng).await,
        Place::Sentinel(number) => sentinels::down(world, step, number).await,
        Place::Slot(user) => return slots::perform(world, recorder, step, user, rng).await,
        Place::ToRedis(site, shard) => {
            let ways = world.ways.to(site, shard);
            futures_util::future::join_all(ways.into_iter().map(|way| proxy(way, step))).await;
        }
        Place::ToDatabase(site) => proxy(&world.truth().ways[site.index()], step).await,
        Place::Postgres => postgres::perform(world, step).await,
        Place::Instance(site) => instance(world, step, site).await,
    }
    Vec::new()
}

async fn proxy<W: test_support::Wire>(proxy: &Interceptor<W>, step: &Step) {
    match step.deed {
        Deed::Refuse => proxy.set(Gate::Refuse),
        Deed::Reset => proxy.set(Gate::Reset),
        Deed::BlackHole => proxy.set(Gate::BlackHole),
        Deed::CutEvery(nth) => proxy.cut_every_reply(nth),
        Deed::Slow => return slow(proxy, step.lasts).await,
        Deed::Delay(part) => {
            let held = proxy.hold(Matching::part(part));
            rest(step.lasts).await;
            if held.is_reached() {
                held.release().await;
            }
            return;
        }
        other => panic!("{other:?} is nothing for a proxy"),
    }
    rest(step.lasts).await;
    proxy.cut_every_reply(0);
    proxy.set(Gate::Pass);
}

async fn slow<W: test_support::Wire>(proxy: &Interceptor<W>, lasts: u64) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(lasts) {
        let held = proxy.hold(Matching::part("trs_"));
        rest(40).await;
        if held.is_reached() {
            held.release().await;
        }
    }
}

async fn instance(world: &Arc<World>, step: &Step, site: Site) {
    match step.deed {
        Deed::Kill => {
            blocking(world, move |world| world.kill(site)).await;
            rest(step.lasts / 3).await;
            blocking(world, move |world| world.launch(site)).await;
        }
        Deed::Hang => {
            blocking(world, move |world| world.hang(site, true)).await;
            // Longer than its lease.
            rest(step.lasts + world.settings[0].lease).await;
            blocking(world, move |world| world.hang(site, false)).await;
        }
        Deed::ClockStep(minutes) => {
            for (minutes, lasts) in [(minutes, step.lasts), (0, 0)] {
                if let Some(addr) = world.addr(site) {
                    let _ = visit(addr, &format!("/!shift/{}", minutes * 60_000), None).await;
                }
                rest(lasts).await;
            }
        }
        Deed::HangUps => {
            let (start, mut count) = (Instant::now(), 0_u64);
            while start.elapsed() < Duration::from_millis(step.lasts) {
                count += 1;
                let made_up = format!("{COOKIE}={count:0>42}A");
                if let Some(addr) = world.addr(site) {
                    let asked = visit(addr, "/get:n", Some(&made_up));
                    let _ = tokio::time::timeout(Duration::from_millis(3), asked).await;
                }
                rest(5).await;
            }
        }
        other => panic!("{other:?} is nothing for an instance"),
    }
}

/// What waits for processes, away from those who measure.
async fn blocking(world: &Arc<World>, work: impl FnOnce(&World) + Send + 'static) {
    let world = Arc::clone(world);
    tokio::task::spawn_blocking(move || work(&world)).await.unwrap();
}

/// See [`blocking`].
async fn on_node(world: &Arc<World>, node: usize, work: fn(&RedisServer)) {
    blocking(world, move |world| work(world.servers.nodes()[node])).await;
}

async fn command(server: &RedisServer, words: &[&str]) {
    let mut connection = server.connection().await;
    let mut command = ::redis::cmd(words[0]);
    command.arg(&words[1..]);
    let _: ::redis::RedisResult<::redis::Value> = command.query_async(&mut connection).await;
}
