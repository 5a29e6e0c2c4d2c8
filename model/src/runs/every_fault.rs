//! A configuration with every single fault, or every pair of faults, one exploration each.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use super::{
    case::Case,
    report::{print_trace, trace},
};
use crate::{
    durable::{FAULTS, Fault, Label},
    explore::{Report, explore},
};

/// Explorations at the same time. Each may need gigabytes.
const THREADS: usize = 2;

#[derive(Default)]
struct Sums {
    states: usize,
    transitions: u64,
    depth: u32,
    found: Vec<Found>,
    cut: Vec<String>,
}

struct Found {
    invariant: &'static str,
    depth: u32,
    faults: String,
    trace: Vec<String>,
}

/// `faults`: one or two. The same kind twice counts as a pair.
pub fn run(case: &Case, faults: u8, limit: usize) {
    let pairs: Vec<(usize, usize)> = if faults == 1 {
        (0..FAULTS).map(|a| (a, a)).collect()
    } else {
        (0..FAULTS).flat_map(|a| (a..FAULTS).map(move |b| (a, b))).collect()
    };
    let jobs: Vec<Vec<(Fault, u8)>> = pairs
        .iter()
        .map(|&(a, b)| match (Fault::ALL[a], Fault::ALL[b]) {
            (a, _) if faults == 1 => vec![(a, 1)],
            (a, b) => vec![(a, 1), (b, 1)],
        })
        .collect();
    let (next, sums, start) = (AtomicUsize::new(0), Mutex::new(Sums::default()), Instant::now());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    explore_one(case, job, limit, &sums);
                }
            });
        }
    });
    let sums = sums.into_inner().expect("no thread panicked");
    println!(
        "{} (attempts {}): {} explorations of {faults} fault(s), {} states, {} transitions, \
         depth {}, {:.0}s; not exhausted: {:?}",
        case.name,
        case.protocol.attempts,
        jobs.len(),
        sums.states,
        sums.transitions,
        sums.depth,
        start.elapsed().as_secs_f32(),
        sums.cut
    );
    print_found(&sums.found);
}

fn explore_one(case: &Case, faults: &[(Fault, u8)], limit: usize, sums: &Mutex<Sums>) {
    let model = case.lean_model(faults);
    let report: Report<Label> = explore(&model, limit, &[]);
    let names: Vec<&str> = faults.iter().map(|(fault, _)| fault.name()).collect();
    let names = names.join("+");
    println!(
        "  {} | {names} | {} states | depth {} | {} | {:?}",
        case.name,
        report.states,
        report.depth,
        if report.exhausted { "exhausted" } else { "CUT" },
        report.broken()
    );
    let mut sums = sums.lock().expect("no thread panicked");
    sums.states += report.states;
    sums.transitions += report.transitions;
    sums.depth = sums.depth.max(report.depth);
    if !report.exhausted {
        sums.cut.push(names.clone());
    }
    sums.found.extend(report.violations.iter().map(|violation| Found {
        invariant: violation.invariant,
        depth: violation.depth,
        faults: names.clone(),
        trace: trace(&model, &violation.trace),
    }));
}

/// Of each invariant the faults that break it, and the shortest trace.
fn print_found(found: &[Found]) {
    let mut invariants: Vec<&str> = found.iter().map(|f| f.invariant).collect();
    invariants.sort_unstable();
    invariants.dedup();
    for invariant in invariants {
        let of_it = || found.iter().filter(|f| f.invariant == invariant);
        let faults: Vec<&str> = of_it().map(|f| f.faults.as_str()).collect();
        if let Some(shortest) = of_it().min_by_key(|f| f.depth) {
            print_trace(&format!("{invariant} with {faults:?}"), &shortest.trace);
        }
    }
}
