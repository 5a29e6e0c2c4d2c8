//! What is run on the model of a cluster.

use super::report::{explore_and_print, print_trace};
use crate::{
    cluster::{
        Bind, Change, Cluster, FAULTS, Fault,
        Fault::{Abort, Crash, Cut, Failover, LateMigrate, Timeout},
        Label, PROMISES, Protocol, recommended, words,
    },
    explore::Report,
};

const GENERATIONS: u8 = 4;
type Writer = (Change, u8);

const LOGOUT_A: Writer = (Change::Logout, 0);
const LOGOUT_B: Writer = (Change::Logout, 1);
const SAVE_A: Writer = (Change::Save(0), 0);
/// Another save than A's.
const SAVE_B: Writer = (Change::Save(1), 1);
/// B saves what A saves elsewhere.
const SAVE_0_B: Writer = (Change::Save(0), 1);

fn configuration(
    protocol: Protocol,
    writes: &[Writer],
    faults: &[(Fault, u8)],
    moves: u8,
) -> Cluster {
    let mut caps = [0; FAULTS];
    for (fault, times) in faults {
        caps[*fault as usize] = *times;
    }
    Cluster {
        writes: writes.to_vec(),
        fill_starts: 1,
        caps,
        total: faults.iter().map(|(_, times)| times).sum(),
        moves,
        generations: GENERATIONS,
        slow: false,
        lean: true,
        protocol,
    }
}

fn print_traces(model: &Cluster, report: &Report<Label>) {
    for violation in report.violations.iter().filter(|v| PROMISES.contains(&v.invariant)) {
        let steps: Vec<_> = violation.trace.iter().map(|label| words(model, label)).collect();
        print_trace(violation.invariant, &steps);
    }
}

/// The candidates for what a generation is bound to.
pub fn print_binds(limit: usize, traces: bool) {
    let r = recommended();
    let old = Protocol { notice: false, ..r };
    let bind = |bind| Protocol { bind, moved_push: true, ..old };
    let shard_epoch = bind(Bind::ShardEpoch);
    for (name, protocol) in [
        ("one for the set of primaries", bind(Bind::Set)),
        ("one a primary", bind(Bind::Shard)),
        ("one a primary and config epoch", shard_epoch),
        (
            "the same, pushes remove the key of every generation",
            Protocol { all_generations: true, ..shard_epoch },
        ),
        ("one a slot and owner", Protocol { bind: Bind::Slot, ..old }),
        ("the same, noticed at polls", Protocol { bind: Bind::Slot, ..r }),
        ("one a slot, owner and config epoch, noticed at polls (recommended)", r),
    ] {
        print_bind(name, protocol, limit, traces);
    }
}

fn print_bind(name: &str, protocol: Protocol, limit: usize, traces: bool) {
    for (fault, faults, moves, generations) in [
        ("no fault", vec![], 2, 4),
        ("a failover", vec![(Failover, 1)], 0, 3),
        ("a late MIGRATE", vec![(LateMigrate, 1)], 1, 4),
        ("a late MIGRATE", vec![(LateMigrate, 1)], 2, 4),
        ("a move given up", vec![(Abort, 1)], 3, 4),
    ] {
        for (write, writer) in [("logout", LOGOUT_A), ("save", SAVE_A)] {
            let model = Cluster {
                slow: true,
                fill_starts: u8::from(moves < 2),
                generations,
                ..configuration(protocol, &[writer], &faults, moves)
            };
            let name = format!("{name} | {write} | {fault}, {moves} moves");
            let report = explore_and_print(&name, &model, &PROMISES, limit);
            if traces {
                print_traces(&model, &report);
            }
        }
    }
}

/// A part that is taken out, and what has to happen for it to be missed.
struct Ablation {
    name: &'static str,
    protocol: Protocol,
    writes: Vec<Writer>,
    faults: Vec<(Fault, u8)>,
    moves: u8,
    slow: bool,
}

/// The recommended protocol without one of its parts.
pub fn print_ablations(limit: usize, traces: bool) {
    for ablation in slot_ablations().into_iter().chain(durable_ablations()) {
        let Ablation { name, protocol, writes, faults, moves, slow } = ablation;
        let model = Cluster {
            slow,
            fill_starts: u8::from(moves != 3),
            ..configuration(protocol, &writes, &faults, moves)
        };
        let report = explore_and_print(&format!("without: {name}"), &model, &PROMISES, limit);
        if traces {
            print_traces(&model, &report);
        }
    }
}

fn without(
    name: &'static str,
    protocol: Protocol,
    writes: &[Writer],
    faults: &[(Fault, u8)],
    moves: u8,
) -> Ablation {
    let (writes, faults) = (writes.to_vec(), faults.to_vec());
    Ablation { name, protocol, writes, faults, moves, slow: true }
}

/// Parts that are for the slot.
fn slot_ablations() -> Vec<Ablation> {
    let r = recommended();
    let slot = Protocol { bind: Bind::Slot, ..r };
    let probed = Protocol { probe: true, evidence: true, ..r };
    let (late, abort) = ((LateMigrate, 1), (Abort, 1));
    let lo = &[LOGOUT_A];
    let quick = |ablation| Ablation { slow: false, ..ablation };
    vec![
        without("nothing (for comparison)", r, lo, &[late, abort], 3),
        without("the config epoch in the identity", slot, lo, &[late, abort], 3),
        without(
            "a poll's look at the slot map",
            Protocol { notice: false, ..r },
            lo,
            &[late, abort],
            3,
        ),
        without("both", Protocol { notice: false, ..slot }, lo, &[abort], 3),
        quick(without("a slot stays for a lease (handed on twice within one)", r, lo, &[late], 2)),
        quick(without("the same, with a probe and evidence", probed, lo, &[late], 2)),
        quick(without(
            "the same, with a probe and evidence, after a move given up",
            probed,
            lo,
            &[abort],
            3,
        )),
        quick(without("a slot stays for a lease, no fault", r, lo, &[], 3)),
    ]
    .into_iter()
    .chain(redirect_ablations())
    .collect()
}

fn redirect_ablations() -> Vec<Ablation> {
    let r = recommended();
    let read = Protocol { ask_read: true, ..r };
    let push = Protocol { ask_push: true, ..r };
    let unconfirmed = Protocol { confirm: false, ..r };
    let (late, abort) = ((LateMigrate, 1), (Abort, 1));
    let lo = &[LOGOUT_A];
    vec![
        without("ASK is no answer (followed, and believed)", read, lo, &[], 1),
        without("ASK is no answer (followed, and believed), late MIGRATE", read, lo, &[late], 1),
        without("ASK is no push (followed)", push, lo, &[], 2),
        without("ASK is no push (followed), late MIGRATE", push, lo, &[late], 1),
        without(
            "ASK is no push (followed), late MIGRATE, move given up",
            push,
            lo,
            &[late, abort],
            2,
        ),
        without("ASK is no push (followed), save, late MIGRATE", push, &[SAVE_A], &[late], 1),
        without("only a node that claims the slot is vouched for", unconfirmed, lo, &[], 2),
        without(
            "only a node that claims the slot is vouched for, late MIGRATE",
            unconfirmed,
            lo,
            &[late],
            2,
        ),
    ]
}

/// Parts that the durable store has without a cluster too.
fn durable_ablations() -> Vec<Ablation> {
    let r = recommended();
    let clears = Protocol { bump_clears: true, ..r };
    let known = Protocol { generation_after: false, ..r };
    let creates = Protocol { push_creates: true, ..r };
    let lo = &[LOGOUT_A];
    vec![
        without("the journal outlives a bump", clears, lo, &[], 2),
        without("the journal outlives a bump, failover", clears, lo, &[(Failover, 1)], 0),
        without("the journal outlives a bump, app dies", clears, lo, &[(Crash, 1)], 1),
        without("journal", Protocol { journal: false, ..r }, lo, &[], 1),
        without("setting aside", Protocol { sets_aside: false, ..r }, lo, &[], 1),
        without(
            "trust lease, B cut from the database",
            Protocol { trust_lease: false, ..r },
            lo,
            &[(Cut, 1)],
            1,
        ),
        without("lease on fills", Protocol { leased_fill: false, ..r }, lo, &[], 0),
        without("a push never creates, time-out", creates, &[SAVE_A, LOGOUT_B], &[(Timeout, 1)], 0),
        without("the generation read after the commit, failover", known, lo, &[(Failover, 1)], 0),
        without("the generation read after the commit, a move", known, lo, &[], 1),
        without(
            "push although dead already, app dies",
            Protocol { push_when_dead: false, ..r },
            &[LOGOUT_A, LOGOUT_B],
            &[(Crash, 1)],
            0,
        ),
    ]
}

/// The recommended protocol with every single fault, or every pair.
pub fn print_verification(limit: usize, writes: &str, moves: u8, faults: u8) -> Result<(), String> {
    let writers = writers(writes)?;
    let mut jobs: Vec<(String, Vec<(Fault, u8)>)> = vec![("no fault".into(), vec![])];
    for (at, a) in Fault::ALL.into_iter().enumerate() {
        if faults == 1 {
            jobs.push((a.name().into(), vec![(a, 1)]));
            continue;
        }
        jobs.push((format!("two of {}", a.name()), vec![(a, 2)]));
        for b in Fault::ALL.into_iter().skip(at + 1) {
            jobs.push((format!("{} and {}", a.name(), b.name()), vec![(a, 1), (b, 1)]));
        }
    }
    let (mut states, mut transitions, mut exhausted) = (0, 0, 0);
    for (name, faults) in &jobs {
        let model = configuration(recommended(), &writers, faults, moves);
        let name = format!("{writes}, {moves} moves, {name}");
        let report = explore_and_print(&name, &model, &[], limit);
        states += report.states;
        transitions += report.transitions;
        exhausted += usize::from(report.exhausted);
        print_traces(&model, &report);
    }
    println!(
        "TOTAL {writes}, {moves} moves, degree {faults}: {} explorations, {exhausted} exhausted, \
         {states} states, {transitions} transitions",
        jobs.len()
    );
    Ok(())
}

fn writers(writes: &str) -> Result<Vec<Writer>, String> {
    Ok(match writes {
        "logout" => vec![LOGOUT_A],
        "save" => vec![SAVE_A],
        "logout-logout" => vec![LOGOUT_A, LOGOUT_B],
        "saveB-logoutA" => vec![SAVE_0_B, LOGOUT_A],
        "saveA-logoutA" => vec![SAVE_A, LOGOUT_A],
        "save-save" => vec![SAVE_A, SAVE_B],
        other => return Err(format!("no such writes: {other}")),
    })
}
