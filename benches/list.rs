//! What the list of a user with ten thousand sessions costs, beside one GET of a record; a sign-in at
//! that limit, and a revocation of all.
//!
//! `cargo bench --bench list --features redis,sqlite`; needs redis-server.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use test_support::{RedisServer, patient};
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, RedisStore, SessionId,
    store::{LoginWrite, Record, UserStore},
};

const SESSIONS: usize = 10_000;
const ROUNDS: usize = 30;

#[tokio::main]
async fn main() {
    let redis = RedisServer::start().await;
    let store = RedisStore::new(patient(&redis.url())).unwrap();
    measure("redis", &store, None).await;
    measure("redis, a single session", &store, Some(1)).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("sessions.db").display());
    let store = DatabaseStore::new(DatabaseConfig::new(url)).unwrap();
    store.migrate().await.unwrap();
    measure("sqlite", &store, None).await;
}

/// Ids that count up, for a record of the crate's own example.
fn id(number: usize) -> SessionId {
    format!("{number:042}A").parse().unwrap()
}

async fn measure(name: &str, store: &dyn UserStore, only: Option<usize>) {
    let count = only.unwrap_or(SESSIONS);
    let example = Record::example();
    // Alive for as long as this runs, whatever the example's own times are.
    let mut bytes = example.to_bytes();
    let now = store.clock().now().as_millis();
    for (at, time) in [(4, now), (12, now), (20, now + 3_600_000), (60, now)] {
        bytes[at..at + 8].copy_from_slice(&time.to_be_bytes());
    }
    let record = Record::from_bytes(1, bytes.into()).unwrap();
    let user = record.user().unwrap();
    store.revoke_all(user, None).await.unwrap();
    let first = if only.is_some() { SESSIONS } else { 0 };
    for number in first..first + count {
        store.login(LoginWrite::new(&id(number), &record)).await.unwrap();
    }
    let (mut gets, mut lists) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        assert!(store.load(&id(first)).await.unwrap().is_some());
        gets.push(start.elapsed());
        let start = Instant::now();
        assert_eq!(store.sessions_of(user).await.unwrap().len(), count);
        lists.push(start.elapsed());
    }
    let (get, list) = (median(gets), median(lists));
    let ratio = list.as_secs_f64() / get.as_secs_f64();
    println!("{name}: {count} sessions in {list:?}, one GET in {get:?}: {ratio:.0} x");
    let (mut limited, limit) = (Vec::new(), NonZeroU32::new(u32::try_from(count).unwrap()));
    for number in 0..ROUNDS {
        let new = id(2 * SESSIONS + number);
        let mut login = LoginWrite::new(&new, &record);
        login.limit = limit;
        let start = Instant::now();
        store.login(login).await.unwrap();
        limited.push(start.elapsed());
    }
    let start = Instant::now();
    assert_eq!(store.revoke_all(user, None).await.unwrap(), count as u64);
    let (limited, revoked) = (median(limited), start.elapsed());
    println!("{name}: a sign-in at a limit of {count} in {limited:?}, all revoked in {revoked:?}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
