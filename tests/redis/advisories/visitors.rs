//! Sites on other stores than Redis.

use std::time::Duration;

use tempfile::TempDir;
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, DurableStore, MemoryStore,
    clock::{Clock, ManualClock},
    store::Store as _,
};

use test_support::{NOBODY, RedisServer, Site, eventually, patient, who};

/// Sites whose clock the test moves: on memory and on a SQLite file.
pub async fn with_a_clock() -> Vec<(&'static str, Site, ManualClock, TempDir)> {
    let mut sites = Vec::new();
    for name in ["memory", "sqlite"] {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new();
        let site = match name {
            "memory" => Site::on_store(MemoryStore::with_clock(clock.clock()), |b| b).await,
            _ => Site::on_store(sqlite(&folder, clock.clock()).await, |b| b).await,
        };
        sites.push((name, site, clock, folder));
    }
    sites
}

async fn sqlite(folder: &TempDir, clock: Clock) -> DatabaseStore {
    let config = DatabaseConfig::new(address(folder)).timeout(Duration::from_secs(20));
    let store = DatabaseStore::with_clock(config, clock).unwrap();
    store.migrate().await.unwrap();
    store
}

/// A site on Redis in front of a SQLite file in `folder`, that believes Redis.
pub async fn durable(redis: &RedisServer, folder: &TempDir) -> Site {
    let long = Duration::from_secs(4);
    let database = DatabaseConfig::new(address(folder)).timeout(long);
    let store = DurableStore::builder(patient(&redis.durable_url()), database)
        .redis_timeout(long)
        .lease(Duration::from_secs(20))
        .build()
        .unwrap();
    store.migrate().await.unwrap();
    let site = Site::on_store(store, |builder| builder.budget(Duration::from_secs(15))).await;
    let nobody = "A".repeat(43);
    eventually("the store believes redis", async || {
        assert_eq!(who(&site, &nobody).await, NOBODY);
        site.layer.admin().health().copies.is_some_and(|copies| copies.trusted)
    })
    .await;
    site
}

fn address(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("sessions.db").display())
}
