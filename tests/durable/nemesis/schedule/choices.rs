//! Which faults there are in which bed, and how often.

use super::super::history::{Place, REDIS, SITES};
use super::super::seeded_rng::SeededRng;
use super::super::servers::Bed;
use super::Deed;

const ONE_REDIS: &[Deed] = &[
    Deed::Empty,
    Deed::Empty,
    Deed::Snapshot,
    Deed::Snapshot,
    Deed::Hang,
    Deed::Flush,
    Deed::Evict,
    Deed::Full,
    Deed::FailToSave,
    Deed::Pause,
    Deed::CutClients,
    Deed::Demote,
];

const BEHIND_SENTINELS: &[Deed] = &[
    Deed::Switch,
    Deed::Switch,
    Deed::KillPrimary,
    Deed::HangPrimary,
    Deed::HangReplica,
    Deed::Pause,
    Deed::CutClients,
];

const FAILOVERS: &[Deed] = &[Deed::Switch, Deed::KillPrimary, Deed::HangPrimary];

const OF_A_CLUSTER: &[Deed] =
    &[Deed::Switch, Deed::KillPrimary, Deed::HangPrimary, Deed::TakeOver, Deed::CutOff];

const OF_A_NODE: &[Deed] = &[Deed::HangReplica, Deed::Pause, Deed::CutClients];

const OF_A_SLOT: &[Deed] =
    &[Deed::Move, Deed::HalfWay, Deed::HalfWay, Deed::GiveUp, Deed::LateCopy];

const TO_REDIS: &[Deed] = &[
    Deed::Refuse,
    Deed::Refuse,
    Deed::Reset,
    Deed::BlackHole,
    Deed::BlackHole,
    Deed::CutEvery(7),
    Deed::CutEvery(3),
    Deed::Delay("EVALSHA"),
    Deed::Delay("DEL"),
    Deed::Delay("SET"),
    Deed::Delay("INFO"),
];

/// Without a database there are neither copies nor questions who the server is.
const TO_REDIS_ALONE: &[Deed] = &[
    Deed::Refuse,
    Deed::Reset,
    Deed::BlackHole,
    Deed::CutEvery(7),
    Deed::CutEvery(3),
    Deed::CutEvery(3),
    Deed::Delay("EVALSHA"),
    Deed::Delay("GET"),
    Deed::Delay("WAIT"),
];

const TO_DATABASE: &[Deed] = &[
    Deed::Refuse,
    Deed::Reset,
    Deed::BlackHole,
    Deed::BlackHole,
    Deed::CutEvery(9),
    Deed::CutEvery(4),
    Deed::Delay("trs_"),
    Deed::Slow,
    Deed::Slow,
];

const AWAY: &[Deed] = &[Deed::Refuse, Deed::Reset, Deed::BlackHole];
const POSTGRES: &[Deed] = &[Deed::Kill, Deed::Hang, Deed::Failover];
const INSTANCE: &[Deed] = &[
    Deed::Kill,
    Deed::Kill,
    Deed::Hang,
    Deed::ClockStep(120),
    Deed::ClockStep(-120),
    Deed::HangUps,
];
const INSTANCE_ALONE: &[Deed] = &[Deed::Kill, Deed::Kill, Deed::Hang, Deed::HangUps];
const SENTINEL: &[Deed] = &[Deed::Kill, Deed::Hang];

/// Users of a run: the slot of each may move.
pub const USERS: usize = 6;

pub fn choose(bed: Bed, rng: &mut SeededRng) -> Vec<(Place, Deed)> {
    match bed {
        Bed::One => before_a_database(rng, ONE_REDIS),
        Bed::Sentinels { is_durable: true } if rng.percent(8) => sentinel(rng),
        Bed::Sentinels { is_durable: true } => before_a_database(rng, BEHIND_SENTINELS),
        Bed::Sentinels { is_durable: false } => behind_sentinels(rng),
        Bed::Cluster => in_a_cluster(rng),
    }
}

fn before_a_database(rng: &mut SeededRng, redis: &[Deed]) -> Vec<(Place, Deed)> {
    let site = *rng.pick(&SITES);
    let other = SITES[1 - site.index()];
    let (place, deeds) = match rng.below(100) {
        0..30 => (REDIS, redis),
        30..50 => (Place::ToRedis(site, 0), TO_REDIS),
        50..65 => (Place::ToDatabase(site), TO_DATABASE),
        65..72 => (Place::Postgres, POSTGRES),
        72..80 => (Place::Instance(site), INSTANCE),
        // Those that are worse together: each store is away for one of the two.
        80..93 => {
            let (one, two) = (*rng.pick(AWAY), *rng.pick(AWAY));
            return vec![(Place::ToRedis(site, 0), one), (Place::ToDatabase(other), two)];
        }
        // Nobody who saw it is there to tell that Redis is another.
        _ => {
            let changed = if redis == ONE_REDIS { Deed::Snapshot } else { Deed::Switch };
            let killed = (Place::Instance(site), Deed::Kill);
            return vec![(REDIS, changed), killed, (Place::Instance(other), Deed::Kill)];
        }
    };
    vec![(place, *rng.pick(deeds))]
}

fn sentinel(rng: &mut SeededRng) -> Vec<(Place, Deed)> {
    vec![(Place::Sentinel(rng.below(3) as usize), *rng.pick(SENTINEL))]
}

fn behind_sentinels(rng: &mut SeededRng) -> Vec<(Place, Deed)> {
    let site = *rng.pick(&SITES);
    let to_redis = Place::ToRedis(site, 0);
    match rng.below(100) {
        0..30 => vec![(REDIS, *rng.pick(BEHIND_SENTINELS))],
        30..42 => sentinel(rng),
        42..62 => vec![(to_redis, *rng.pick(TO_REDIS_ALONE))],
        62..78 => vec![(Place::Instance(site), *rng.pick(INSTANCE_ALONE))],
        // One instance may not hear of the switch by the way to its server.
        _ => vec![(REDIS, *rng.pick(FAILOVERS)), (to_redis, *rng.pick(TO_REDIS_ALONE))],
    }
}

fn in_a_cluster(rng: &mut SeededRng) -> Vec<(Place, Deed)> {
    let site = *rng.pick(&SITES);
    let shard = rng.below(3) as usize;
    let slot = Place::Slot(rng.below(USERS as u64) as usize);
    let to_redis = (Place::ToRedis(site, shard), *rng.pick(TO_REDIS_ALONE));
    match rng.below(100) {
        0..20 => vec![(Place::Redis(shard), *rng.pick(OF_A_CLUSTER))],
        20..29 => vec![(Place::Redis(shard), *rng.pick(OF_A_NODE))],
        29..50 => vec![(slot, *rng.pick(OF_A_SLOT))],
        50..70 => vec![to_redis],
        70..82 => vec![(Place::Instance(site), *rng.pick(INSTANCE_ALONE))],
        82..92 => vec![(slot, *rng.pick(OF_A_SLOT)), to_redis],
        _ => vec![(slot, *rng.pick(OF_A_SLOT)), (Place::Instance(site), Deed::Kill)],
    }
}
