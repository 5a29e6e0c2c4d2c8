//! What the tests share: real servers, proxies that misbehave, clients that tell what arrived, and
//! a store that fails as a test tells it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::len_without_is_empty,
    clippy::new_without_default,
    reason = "test code: a panic is the report"
)]

mod authority;
mod bed;
mod browser;
mod child;
mod example;
pub mod faulty_store;
mod free_port;
mod gate;
mod held_requests;
mod http_client;
mod intercept;
pub mod leak_monitor;
mod log_capture;
mod matching;
mod monitor;
mod outage;
mod pg_proxy;
mod postgres;
mod process;
mod promtool;
mod proxy;
mod raw_connection;
mod redis_cluster;
mod redis_contents;
mod redis_faults;
mod redis_keys;
mod redis_launch;
mod redis_program;
mod redis_rights;
mod redis_server;
mod replication;
mod resp_proxy;
mod scripted_handler;
mod secrets;
mod sentinels;
mod server;
mod site;
pub mod take_over;
mod teardown_checks;
mod visitors;

pub use authority::{Authority, Identity};
pub use bed::{AnyRedis, Bed, patient_at};
pub use browser::Browser;
pub use child::Child;
pub use example::{Example, walk_example};
pub use gate::Gates;
pub use held_requests::{Cut, Held, HeldAll};
pub use http_client::{Client, Reply, get_h2};
pub use intercept::{Gate, Interceptor, Part, Request, Wire};
pub use log_capture::{Captured, LogCapture, prints_its_log};
pub use matching::Matching;
pub use monitor::{Command, Monitor, Source, names};
pub use outage::Outage;
pub use pg_proxy::PgProxy;
pub use postgres::{Database, PgBouncer, PostgresBuilder, PostgresServer};
pub use process::{ServerProcess, announce, asked_to_serve, faketime};
pub use promtool::promtool;
pub use proxy::{FaultProxy, Mode};
pub use raw_connection::{RawConnection, get as raw_get, raw};
pub use redis_cluster::{ClusterBuilder, ClusterMonitor, Move, RedisCluster, slot_of};
pub use redis_faults::Snapshot;
pub use redis_keys::{entries_key, index_key, key_end, record_key};
pub use redis_rights::{
    CONFIRMED, DURABLE, PASSWORD, SESSIONS, documented, documented_in_cluster,
    documented_with_replicas,
};
pub use redis_server::{Builder, RedisServer};
pub use replication::{copying, move_to, replica_of};
pub use resp_proxy::{Resp, RespProxy};
pub use scripted_handler::handle;
pub use secrets::Secrets;
pub use sentinels::{Sentinels, SentinelsBuilder};
pub use server::{Running, serve};
pub use site::{COOKIE, Inside, REMOVED, Site, patient, records};
pub use visitors::{NOBODY, signed_in, token, who};

use std::future::Future;
use std::time::Duration;

/// The longest that anything in a test may take. Nothing is measured with it: it turns a hang into
/// a failure that names the place.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `future`, and panics with `what` when it does not end.
#[track_caller]
pub fn bounded<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("{what} took more than {PATIENCE:?} ({place})"),
        }
    }
}

/// Asks again and again until `condition` holds, and panics with `what` when it never does.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = tokio::time::Instant::now();
    while !condition().await {
        assert!(started.elapsed() < PATIENCE, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
