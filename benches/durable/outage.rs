//! Latencies while Redis stands still, beside those of the database alone at the same time.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::load::{Answer, Load};
use crate::site::{Site, database_only, durable, sqlite};
use test_support::RedisServer;

/// What is told apart, and how long it takes. Redis stops between the first two, and goes on after
/// the third.
const PHASES: [(&str, Duration); 4] = [
    ("before", Duration::from_secs(3)),
    ("at the moment", Duration::from_secs(1)),
    ("during", Duration::from_secs(5)),
    ("after", Duration::from_secs(4)),
];

pub async fn measure(redis: &RedisServer, folder: &Path) {
    for path in ["/read", "/update"] {
        println!("\n{path}: latency in ms, and the p99 as a multiple of the database alone");
        let alone = database_only(sqlite(folder, "outage-alone.db"));
        let alone = scenario(redis, Site::on("sqlite", alone).await, path).await;
        let both = durable(&redis.admin_url(), "o:", sqlite(folder, "outage.db"));
        let both = scenario(redis, Site::on("redis + sqlite", both).await, path).await;
        for (phase, (alone, both)) in PHASES.iter().zip(alone.iter().zip(&both)) {
            println!("{:<14} alone {alone}", phase.0);
            println!("{:<14} both  {both}   p99 x {:.2}", "", both.p99 / alone.p99);
        }
    }
}

/// The same load and the same faults for each.
async fn scenario(redis: &RedisServer, site: Site, path: &str) -> Vec<Latencies> {
    let mut load = Load::connect(site.addr()).await;
    site.is_well().await;
    load.run(path, 20).await;
    let start = Instant::now();
    let ends: Vec<Instant> = PHASES
        .iter()
        .scan(start, |at, (_, length)| {
            *at += *length;
            Some(*at)
        })
        .collect();
    let faults = async {
        tokio::time::sleep_until(ends[0].into()).await;
        redis.hang();
        tokio::time::sleep_until(ends[2].into()).await;
        redis.resume();
    };
    let (answers, ()) = tokio::join!(load.run_until(path, ends[3]), faults);
    let mut from = start;
    let phases = ends.iter().map(|end| {
        let within = answers.iter().filter(|answer| (from..*end).contains(&answer.at));
        let latencies = Latencies::of(within);
        from = *end;
        latencies
    });
    phases.collect()
}

struct Latencies {
    p50: f64,
    p99: f64,
    max: f64,
    count: usize,
    bad: usize,
}

impl Latencies {
    fn of<'a>(answers: impl Iterator<Item = &'a Answer>) -> Self {
        let (mut took, mut bad) = (Vec::new(), 0);
        for answer in answers {
            took.push(answer.took.as_secs_f64() * 1e3);
            bad += usize::from(!answer.good);
        }
        took.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = took.len().saturating_sub(1);
            took.get((took.len() as f64 * share) as usize).or(took.get(last)).copied()
        };
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| at(share).unwrap_or(f64::NAN));
        Self { p50, p99, max, count: took.len(), bad }
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { p50, p99, max, count, bad } = self;
        write!(f, "p50 {p50:>7.2}  p99 {p99:>7.2}  max {max:>7.1}  n {count:>6}  not 200: {bad}")
    }
}
