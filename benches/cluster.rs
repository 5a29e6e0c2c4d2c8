//! What a read and an update cost through the router of a cluster, in CPU time of this process:
//! with 1, 3 and 6 primaries, beside the same store on one server, in one run.
//!
//! `cargo bench --bench cluster --features redis`; needs redis-server. Limits: 1.05, 1.15 and 1.30.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use test_support::{RedisCluster, RedisServer, patient};
use tower_redis_session::{
    RedisConfig, RedisStore, SessionId,
    store::{Expected, Record, SaveOutcome, Store},
};

const TASKS: usize = 64;
const SESSIONS: usize = 1_024;
const ROUNDS: usize = 15;
const READS: usize = 100;
const PRIMARIES: [(usize, f64); 3] = [(1, 1.05), (3, 1.15), (6, 1.30)];

/// A store, and sessions in it.
struct Bed {
    name: String,
    store: Arc<RedisStore>,
    limit: f64,
    reads: Vec<f64>,
    updates: Vec<f64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let one = RedisServer::start().await;
    let mut beds = vec![Bed::new("one server", patient(&one.url()).pool_size(2), 0.0).await];
    let mut clusters = Vec::new();
    for (primaries, limit) in PRIMARIES {
        let cluster = RedisCluster::builder().primaries(primaries).replicas(0).start().await;
        let long = Duration::from_secs(10);
        let config = RedisConfig::cluster(cluster.seeds());
        let config = config.connect_timeout(long).command_timeout(long);
        beds.push(Bed::new(&format!("{primaries} primaries"), config, limit).await);
        clusters.push(cluster);
    }
    for _ in 0..ROUNDS {
        for bed in &mut beds {
            bed.round().await;
        }
    }
    let [read, update] = [median(&beds[0].reads), median(&beds[0].updates)];
    println!("one server: read {read:.2} us, update {update:.2} us of CPU");
    for bed in &beds[1..] {
        let [reads, updates] =
            [ratio(&bed.reads, &beds[0].reads), ratio(&bed.updates, &beds[0].updates)];
        let verdict = if reads <= bed.limit && updates <= bed.limit { "within" } else { "ABOVE" };
        println!(
            "{}: read {reads:.3}, update {updates:.3}; {verdict} the limit of {:.2}",
            bed.name, bed.limit
        );
    }
}

impl Bed {
    async fn new(name: &str, config: RedisConfig, limit: f64) -> Self {
        let store = Arc::new(RedisStore::new(config).unwrap());
        for number in 0..SESSIONS {
            let saved = store.save(&id(number), Expected::Absent, &record(1)).await.unwrap();
            assert!(matches!(saved, SaveOutcome::Saved), "{saved:?}");
        }
        Self { name: name.to_owned(), store, limit, reads: Vec::new(), updates: Vec::new() }
    }

    async fn round(&mut self) {
        let each = (TASKS * READS) as f64;
        let before = cpu();
        join_all((0..TASKS).map(|task| {
            let store = Arc::clone(&self.store);
            tokio::spawn(async move {
                for number in 0..READS {
                    let id = id((task * 131 + number) % SESSIONS);
                    assert!(store.load(&id).await.unwrap().is_some());
                }
            })
        }))
        .await;
        self.reads.push((cpu() - before) / each);
        let before = cpu();
        join_all((0..TASKS).map(|task| {
            let store = Arc::clone(&self.store);
            tokio::spawn(async move {
                // Sessions of its own.
                for number in 0..READS {
                    let id = id(task * (SESSIONS / TASKS) + number % (SESSIONS / TASKS));
                    let found = store.load(&id).await.unwrap().unwrap();
                    let version = found.version();
                    let next = record(version + 1);
                    let saved = store.save(&id, Expected::Version(version), &next).await.unwrap();
                    assert!(matches!(saved, SaveOutcome::Saved), "{saved:?}");
                }
            })
        }))
        .await;
        self.updates.push((cpu() - before) / each);
    }
}

/// Ids in all slots.
fn id(number: usize) -> SessionId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[30..].copy_from_slice(&((number * 64) as u16).to_be_bytes());
    SessionId::from(bytes)
}

/// A visitor's record that is alive for as long as this runs.
fn record(version: u64) -> Record {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = u64::try_from(now.as_millis()).unwrap();
    let mut bytes = Record::example().to_bytes();
    for (at, time) in [(4, now), (12, now), (20, now + 3_600_000), (60, now)] {
        bytes[at..at + 8].copy_from_slice(&time.to_be_bytes());
    }
    Record::from_bytes(version, bytes.into()).unwrap()
}

/// CPU time of this process in microseconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    let nanos: f64 = stat.split(' ').next().unwrap().parse().unwrap();
    nanos / 1_000.0
}

fn ratio(of: &[f64], to: &[f64]) -> f64 {
    median(&of.iter().zip(to).map(|(of, to)| of / to).collect::<Vec<_>>())
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
