//! How each fault is begun and undone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::rest;
use super::history::{Fault, MILLI, Place, Recorder, Site};
use super::schedule::{Deed, Step};
use super::seeded_rng::SeededRng;
use super::visit::visit;
use super::world::World;
use test_support::{COOKIE, Gate, Interceptor, Matching};

/// Does what the plan says; returns when all of it is undone.
pub async fn carry_out(steps: Vec<Step>, world: &Arc<World>, recorder: &Arc<Recorder>, seed: u64) {
    let each = steps.into_iter().enumerate().map(async |(number, step)| {
        let wait = (step.at * MILLI).saturating_sub(recorder.now());
        rest(wait / MILLI).await;
        let _turn = world.turn_at(step.on).await;
        let from = recorder.now();
        let rng = SeededRng::new(seed, 2_000 + number as u64);
        perform(world, &step, rng).await;
        let (what, on) = (format!("{:?}", step.deed), step.on);
        recorder.note_fault(Fault { what, on, from, to: recorder.now() });
    });
    futures_util::future::join_all(each).await;
    world.heal_proxies();
}

async fn perform(world: &Arc<World>, step: &Step, rng: SeededRng) {
    match step.on {
        Place::Redis => redis(world, step, rng).await,
        Place::ToRedis(site) => proxy(&world.to_redis[site.index()], step).await,
        Place::ToDatabase(site) => proxy(&world.to_database[site.index()], step).await,
        Place::Postgres => postgres(world, step).await,
        Place::Instance(site) => instance(world, step, site).await,
    }
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

async fn redis(world: &Arc<World>, step: &Step, mut rng: SeededRng) {
    let redis = &world.redis;
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
            blocking(world, |world| world.redis.hang()).await;
            rest(step.lasts).await;
            blocking(world, |world| world.redis.resume()).await;
        }
        Deed::Flush => command(world, &["FLUSHALL"]).await,
        Deed::Evict => {
            for (key, _) in redis.keys().await {
                if rng.percent(50) {
                    command(world, &["DEL", &key]).await;
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
        Deed::Pause => {
            command(world, &["CLIENT", "PAUSE", &step.lasts.to_string(), "ALL"]).await;
            rest(step.lasts).await;
        }
        Deed::CutClients => command(world, &["CLIENT", "KILL", "TYPE", "normal"]).await,
        Deed::Demote => {
            command(world, &["REPLICAOF", "127.0.0.1", "1"]).await;
            rest(step.lasts).await;
            command(world, &["REPLICAOF", "NO", "ONE"]).await;
        }
        other => panic!("{other:?} is nothing for Redis"),
    }
}

async fn postgres(world: &Arc<World>, step: &Step) {
    match step.deed {
        Deed::Kill => {
            blocking(world, |world| world.postgres.kill()).await;
            rest(step.lasts).await;
            world.postgres.restart().await;
        }
        Deed::Hang => {
            blocking(world, |world| world.postgres.hang()).await;
            rest(step.lasts).await;
            blocking(world, |world| world.postgres.resume()).await;
        }
        Deed::Failover => {
            let url = world.database.url();
            let name = url.rsplit('/').next().and_then(|name| name.split('?').next()).unwrap();
            let maintenance = world.postgres.maintenance();
            let set = async |mode: &str| {
                let _ = maintenance.try_sql(&format!("ALTER DATABASE {name} {mode}")).await;
            };
            set("SET default_transaction_read_only = on").await;
            let cut = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            );
            let _ = maintenance.try_sql(&cut).await;
            rest(step.lasts).await;
            // Those that came meanwhile stay as they are: whoever made them has to notice.
            set("RESET default_transaction_read_only").await;
        }
        other => panic!("{other:?} is nothing for PostgreSQL"),
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

async fn command(world: &Arc<World>, words: &[&str]) {
    let mut connection = world.redis.connection().await;
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    let _: redis::RedisResult<redis::Value> = command.query_async(&mut connection).await;
}
