//! Reports in text.

use std::{fmt::Debug, time::Instant};

use crate::{
    durable::{Durable, Label, words},
    explore::{Model, Report, explore},
};

/// Explores, and prints one line, and the traces of the invariants in `show`.
pub fn print(name: &str, model: &Durable, stop: &[&str], limit: usize, show: &[&str]) {
    let report = explore_and_print(name, model, stop, limit);
    for violation in report.violations.iter().filter(|v| show.contains(&v.invariant)) {
        print_trace(violation.invariant, &trace(model, &violation.trace));
    }
}

/// Explores, and prints one line.
pub fn explore_and_print<M: Model>(
    name: &str,
    model: &M,
    stop: &[&str],
    limit: usize,
) -> Report<M::Label> {
    let start = Instant::now();
    let report = explore(model, limit, stop);
    println!(
        "{name}: {} states, {} transitions, depth {}, {:.1}s{}; broken: {:?}",
        report.states,
        report.transitions,
        report.depth,
        start.elapsed().as_secs_f32(),
        if report.exhausted { "" } else { " (not exhausted)" },
        report.violations.iter().map(|v| (v.invariant, v.depth)).collect::<Vec<_>>()
    );
    report
}

/// Explores, and prints one line and all traces, by the labels' own names.
pub fn print_all<M: Model>(name: &str, model: &M)
where
    M::Label: Debug,
{
    let report = explore_and_print(name, model, &[], 20_000_000);
    for violation in &report.violations {
        let steps: Vec<_> = violation.trace.iter().map(|label| format!("{label:?}")).collect();
        print_trace(violation.invariant, &steps);
    }
}

pub fn trace(model: &Durable, labels: &[Label]) -> Vec<String> {
    labels.iter().map(|label| words(model, label)).collect()
}

pub fn print_trace(invariant: &str, steps: &[String]) {
    println!("   [{invariant}]");
    for (number, step) in steps.iter().enumerate() {
        println!("     {:2}. {step}", number + 1);
    }
}
