//! What a database behind Redis costs, and what a Redis that hangs costs then.
//!
//! ```text
//! cargo bench --all-features --bench durable              both parts
//! cargo bench --all-features --bench durable -- cost      reads and writes, side by side
//! cargo bench --all-features --bench durable -- outage    latencies around a SIGSTOP of Redis
//! ```
//!
//! All servers and the load are in this process, and Redis and PostgreSQL are its children, so only
//! ratios within one run mean anything: of the wall-clock time of the same requests, in turns, as
//! medians over the rounds; and of latencies in the same phase. Disks are asked as in production:
//! SQLite syncs each commit, PostgreSQL too.
//!
//! Needs `redis-server` and `postgres`.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is the report of a run that cannot go on"
)]

mod cost;
mod load;
mod outage;
mod site;
use test_support::{PostgresServer, RedisServer};

fn main() {
    let part = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // In a task, as connections are: the thread that blocks on a future is not a worker.
    runtime.block_on(async { tokio::spawn(measure(part)).await.unwrap() });
}

async fn measure(part: Option<String>) {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    if part.as_deref() != Some("outage") {
        let postgres = PostgresServer::builder().fsync().start().await;
        let database = postgres.database().await;
        cost::measure(&redis, folder.path(), &database.url()).await;
    }
    if part.as_deref() != Some("cost") {
        outage::measure(&redis, folder.path()).await;
    }
}
