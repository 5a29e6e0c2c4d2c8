//! What is done to whom, and when: pure, from a seed.

use super::history::{Place, SITES};
use super::seeded_rng::SeededRng;

/// Times in milliseconds.
#[derive(Debug, Clone)]
pub struct Step {
    pub deed: Deed,
    pub on: Place,
    pub at: u64,
    pub lasts: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Killed, and started again without data, or with those of the beginning.
    Empty,
    Snapshot,
    /// `SIGSTOP`, and `SIGCONT`.
    Hang,
    Flush,
    /// Half of the copies go.
    Evict,
    /// `OOM`, `MISCONF`.
    Full,
    FailToSave,
    /// `CLIENT PAUSE`, `CLIENT KILL`.
    Pause,
    CutClients,
    /// A replica for a while, and promoted again.
    Demote,
    Refuse,
    Reset,
    BlackHole,
    /// The connection closes in the place of each so-manieth reply.
    CutEvery(u64),
    /// One command or statement is late.
    Delay(&'static str),
    /// Killed, and started again.
    Kill,
    /// The database is far away: each statement is late.
    Slow,
    /// Its connections end, and those that come find a server that only reads.
    Failover,
    /// The wall clock of an instance is so many minutes beside the time for a while.
    ClockStep(i64),
    /// Strangers and their hang-ups, one after the other.
    HangUps,
}

const REDIS: &[Deed] = &[
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

/// Two lanes of faults, one after the other in each, never two at the same place at a time. With
/// names in `only` no others.
pub fn plan(seed: u64, length: u64, only: &[String]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for lane in 0..2 {
        let mut rng = SeededRng::new(seed, 1_000 + lane);
        let mut at = 200 + rng.below(500);
        while at + 100 < length {
            let chosen = choose_of(&mut rng, only);
            let lasts = rng.between(60, 900).min(length - at);
            // What takes a while to undo keeps its place to itself for longer.
            let is_taken = |step: &Step| {
                let meets = step.at < at + lasts + 600 && at < step.at + step.lasts + 600;
                meets && chosen.iter().any(|(on, _)| *on == step.on)
            };
            if steps.iter().any(is_taken) {
                at += 50;
                continue;
            }
            steps.extend(chosen.iter().map(|&(on, deed)| Step { deed, on, at, lasts }));
            // At times a calm, in which all has to be well again.
            let gap = if rng.percent(25) { rng.between(900, 1_900) } else { rng.below(350) };
            at += lasts + 600 + gap;
        }
    }
    steps.sort_by_key(|step| step.at);
    steps
}

fn choose_of(rng: &mut SeededRng, only: &[String]) -> Vec<(Place, Deed)> {
    let name = |deed: &Deed| format!("{deed:?}").split('(').next().unwrap_or_default().to_owned();
    let is_meant = |(_, deed): &(Place, Deed)| only.is_empty() || only.contains(&name(deed));
    // Some are chosen seldom.
    let mut choices = (0..10_000).map(|_| choose(rng));
    let chosen = choices.find(|chosen| chosen.iter().all(is_meant));
    chosen.expect("the name of a fault in NEMESIS_ONLY")
}

fn choose(rng: &mut SeededRng) -> Vec<(Place, Deed)> {
    let site = *rng.pick(&SITES);
    let other = SITES[1 - site.index()];
    let (place, deeds) = match rng.below(100) {
        0..30 => (Place::Redis, REDIS),
        30..50 => (Place::ToRedis(site), TO_REDIS),
        50..65 => (Place::ToDatabase(site), TO_DATABASE),
        65..72 => (Place::Postgres, POSTGRES),
        72..80 => (Place::Instance(site), INSTANCE),
        // Those that are worse together: each store is away for one of the two.
        80..93 => {
            let (one, two) = (*rng.pick(AWAY), *rng.pick(AWAY));
            return vec![(Place::ToRedis(site), one), (Place::ToDatabase(other), two)];
        }
        // Nobody who saw it is there to tell that Redis went back.
        _ => {
            let killed = (Place::Instance(site), Deed::Kill);
            return vec![
                (Place::Redis, Deed::Snapshot),
                killed,
                (Place::Instance(other), Deed::Kill),
            ];
        }
    };
    vec![(place, *rng.pick(deeds))]
}

#[test]
fn a_seed_gives_one_plan_and_another_seed_another() {
    let text = |seed| format!("{:?}", plan(seed, 4_000, &[]));
    assert_eq!(text(7), text(7));
    assert_ne!(text(7), text(8));
}

#[test]
fn no_place_has_two_faults_at_a_time() {
    for seed in 0..200 {
        let steps = plan(seed, 4_000, &[]);
        assert!(!steps.is_empty(), "seed {seed}");
        for (index, one) in steps.iter().enumerate() {
            for other in &steps[index + 1..] {
                let apart = one.on != other.on || one.at + one.lasts < other.at;
                assert!(apart, "seed {seed}: {one:?} {other:?}");
            }
        }
    }
}
