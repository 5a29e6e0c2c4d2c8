//! What is done to whom, and when: pure, from a seed.

mod choices;

use super::history::Place;
use super::seeded_rng::SeededRng;
use super::servers::Bed;
pub use choices::USERS;
use choices::choose;

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
    /// A replica takes over as planned.
    Switch,
    /// It takes over since the primary was killed, which starts again then, or hangs, and goes on.
    KillPrimary,
    HangPrimary,
    /// It takes over without a vote, and the primary hears of it, or of nobody for a while.
    TakeOver,
    CutOff,
    /// Nothing confirms the end of a session.
    HangReplica,
    /// A slot goes to another primary, key by key, some of them much later; or stays in the end.
    Move,
    HalfWay,
    GiveUp,
    /// The target hangs, so that the source sees no end of a move, and the keys are at both.
    LateCopy,
}

impl Deed {
    /// A replica takes over.
    pub fn is_failover(self) -> bool {
        use Deed::{CutOff, HangPrimary, KillPrimary, Switch, TakeOver};
        matches!(self, Switch | KillPrimary | HangPrimary | TakeOver | CutOff)
    }

    /// By its name in `NEMESIS_ONLY`.
    pub fn name(self) -> String {
        format!("{self:?}").split('(').next().unwrap_or_default().to_owned()
    }
}

impl Step {
    /// What nothing else may be done to meanwhile. In a cluster one primary is replaced at a time,
    /// since the others vote, and none while a slot moves.
    pub fn places(&self) -> Vec<Place> {
        places(self.on, self.deed)
    }
}

fn places(on: Place, deed: Deed) -> Vec<Place> {
    let all = deed.is_failover() || matches!(on, Place::Slot(_));
    let mut places: Vec<_> = (0..3).map(Place::Redis).filter(|_| all).collect();
    places.push(on);
    places.sort_unstable();
    places.dedup();
    places
}

/// Two lanes of faults, one after the other in each, never two at the same place at a time. With
/// names in `only` no others.
pub fn plan(bed: Bed, seed: u64, length: u64, only: &[String]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    // One, so that what it may cost is over while clients still work; and some runs without.
    let mut failovers = match bed {
        _ if bed.is_durable() => 2,
        _ => usize::from(!seed.is_multiple_of(3) || !only.is_empty()),
    };
    for lane in 0..2 {
        let mut rng = SeededRng::new(seed, 1_000 + lane);
        let mut at = 200 + rng.below(500);
        while at + 100 < length {
            let Some(chosen) = choose_of(bed, &mut rng, failovers, only) else { break };
            let lasts = rng.between(60, 900).min(length - at);
            let span = |deed: Deed| match bed {
                // Its replica copies it again when all is over.
                Bed::Sentinels { is_durable: false } if deed.is_failover() => 100_000,
                _ if deed.is_failover() => 3_000,
                _ => 0,
            };
            // What takes a while to undo keeps its place to itself for longer.
            let end = |at: u64, lasts: u64, deed: Deed| at + lasts.max(span(deed)) + 600;
            let is_taken = |step: &Step| {
                chosen.iter().any(|&(on, deed)| {
                    let meets =
                        step.at < end(at, lasts, deed) && at < end(step.at, step.lasts, step.deed);
                    meets && places(on, deed).iter().any(|place| step.places().contains(place))
                })
            };
            if steps.iter().any(is_taken) {
                at += 50;
                continue;
            }
            failovers -= chosen.iter().filter(|(_, deed)| deed.is_failover()).count();
            steps.extend(chosen.iter().map(|&(on, deed)| Step { deed, on, at, lasts }));
            // At times a calm, in which all has to be well again.
            let gap = if rng.percent(25) { rng.between(900, 1_900) } else { rng.below(350) };
            at += lasts + 600 + gap;
        }
    }
    steps.sort_by_key(|step| step.at);
    steps
}

fn choose_of(
    bed: Bed,
    rng: &mut SeededRng,
    failovers: usize,
    only: &[String],
) -> Option<Vec<(Place, Deed)>> {
    let is_meant = |deed: Deed| only.is_empty() || only.contains(&deed.name());
    // Some are chosen seldom.
    let mut choices = (0..10_000).map(|_| choose(bed, rng));
    choices.find(|chosen| {
        let count = chosen.iter().filter(|(_, deed)| deed.is_failover()).count();
        count <= failovers && chosen.iter().all(|(_, deed)| is_meant(*deed))
    })
}

#[cfg(test)]
const BEDS: [Bed; 4] = [
    Bed::One,
    Bed::Sentinels { is_durable: true },
    Bed::Sentinels { is_durable: false },
    Bed::Cluster,
];

#[test]
fn a_seed_gives_one_plan_and_another_seed_another() {
    for bed in BEDS {
        let text = |seed| format!("{:?}", plan(bed, seed, 4_000, &[]));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }
}

#[test]
fn no_place_has_two_faults_at_a_time() {
    for (bed, seed) in BEDS.into_iter().flat_map(|bed| (0..200).map(move |seed| (bed, seed))) {
        let steps = plan(bed, seed, 4_000, &[]);
        assert!(!steps.is_empty(), "seed {seed}");
        for (index, one) in steps.iter().enumerate() {
            for other in &steps[index + 1..] {
                let meet = one.places().iter().any(|place| other.places().contains(place));
                // Those of one choice begin together, at different places.
                let apart = !meet || one.at + one.lasts < other.at;
                assert!(apart, "{bed:?}, seed {seed}: {one:?} {other:?}");
            }
        }
    }
}

#[test]
fn redis_alone_is_replaced_once_in_a_run_and_in_some_not_at_all() {
    for bed in &BEDS[2..] {
        let count = |seed| {
            let steps = plan(*bed, seed, 4_000, &[]);
            steps.iter().filter(|step| step.deed.is_failover()).count()
        };
        let counts: Vec<_> = (1..100).map(count).collect();
        assert!(counts.iter().all(|count| *count <= 1), "{counts:?}");
        assert!(counts.iter().filter(|count| **count == 1).count() > 30, "{counts:?}");
        assert!(counts.contains(&0));
    }
}
