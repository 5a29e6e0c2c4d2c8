//! What the durable store promises, under faults that a seed chooses: clients work at two
//! instances and write down what they see, and a checker judges it afterwards.
//!
//! `NEMESIS_SEEDS=200 NEMESIS_FROM=1 cargo test --test durable random_faults -- --nocapture` runs
//! more of it, and `NEMESIS_ONLY=Slow,Failover` with no other faults than these.

mod checker;
mod client;
mod faults;
mod history;
mod run;
mod schedule;
mod seeded_rng;
mod visit;
mod world;

use run::{Totals, run};
use test_support::PostgresServer;

/// In the ordinary test command: strict and not, with Redis serving alone and not.
const SEEDS: u64 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_holds_under_random_faults() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let from: u64 = number("NEMESIS_FROM").unwrap_or(1);
    let seeds = number("NEMESIS_SEEDS").unwrap_or(SEEDS);
    // Killed at times, so it is nobody else's; the runs come one after the other.
    let postgres = Box::leak(Box::new(PostgresServer::own().await));
    let only = std::env::var("NEMESIS_ONLY").unwrap_or_default();
    let only: Vec<String> = only.split_terminator(',').map(str::to_owned).collect();
    let (mut totals, mut broken) = (Totals::default(), Vec::new());
    for seed in from..from + seeds {
        let report = run(postgres, seed, &only).await;
        println!("{report}");
        totals += report.totals();
        if !report.violations.is_empty() {
            broken.push(seed);
        }
    }
    println!("{seeds} seeds: {totals}");
    assert!(broken.is_empty(), "promises were broken with the seeds {broken:?}, see above");
}
