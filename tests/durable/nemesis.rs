//! What the stores promise, under faults that a seed chooses: clients work at two instances and
//! write down what they see, and a checker judges it afterwards.
//!
//! Four beds: one Redis before a database, servers behind sentinels before a database, the same
//! without a database, and a cluster without one. In the last two a failover may cost
//! the writes of its last moments, which are counted, and no end of a session.
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
mod sentinel_view;
mod servers;
mod visit;
mod world;

use run::{Totals, run};
use servers::Bed;
use test_support::PostgresServer;

/// The seeds from 1 on, or those that the environment names: one after the other.
async fn every_promise_holds(bed: Bed, seeds: u64, postgres: Option<PostgresServer>) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let from: u64 = number("NEMESIS_FROM").unwrap_or(1);
    let seeds = number("NEMESIS_SEEDS").unwrap_or(seeds);
    let postgres = postgres.map(|server| &*Box::leak(Box::new(server)));
    let only = std::env::var("NEMESIS_ONLY").unwrap_or_default();
    let only: Vec<String> = only.split_terminator(',').map(str::to_owned).collect();
    let (mut totals, mut broken) = (Totals::default(), Vec::new());
    for seed in from..from + seeds {
        let report = run(bed, postgres, seed, &only).await;
        println!("{report}");
        totals += report.totals();
        if !report.violations.is_empty() && !report.is_void {
            broken.push(seed);
        }
    }
    println!("{bed:?}, {seeds} seeds: {totals}\n{:?}", totals.faults);
    assert!(broken.is_empty(), "promises were broken with the seeds {broken:?}, see above");
}

/// Strict and not, with Redis serving alone and not.
#[tokio::test(flavor = "multi_thread")]
async fn every_promise_holds_under_random_faults() {
    // Killed at times, so it is nobody else's.
    every_promise_holds(Bed::One, 6, Some(PostgresServer::own().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_holds_under_random_faults_and_failovers() {
    let bed = Bed::Sentinels { is_durable: true };
    every_promise_holds(bed, 3, Some(PostgresServer::own().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_alone_keeps_what_it_promises_under_random_faults_and_failovers() {
    every_promise_holds(Bed::Sentinels { is_durable: false }, 3, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_keeps_what_it_promises_under_random_faults_moves_and_failovers() {
    every_promise_holds(Bed::Cluster, 3, None).await;
}
