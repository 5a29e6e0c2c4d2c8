//! A take-over with a database behind Redis: claim and session are rows, whatever Redis does.
//!
//! To see it fail: keep the claim in memory, or in Redis alone.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use test_support::{
    COOKIE, RedisServer, eventually,
    take_over::{ALICE, KEY, ask, importer, logout, old, user},
};
use tower_redis_session::{
    DatabaseConfig, DurableStore, RedisConfig, RedisSessionLayer,
    hooks::Hooks,
    import::{OldSession, OldSessions, StoredSession, TakeOver},
    store::StoreFuture,
};

use crate::two_instances::SqliteFile;

/// The old store, in memory.
#[derive(Clone)]
struct Shelf(Arc<Mutex<Option<&'static str>>>);

impl OldSessions for Shelf {
    fn load<'a>(&'a self, _: &'a OldSession) -> StoreFuture<'a, Option<StoredSession>> {
        let found = *self.0.lock().unwrap();
        Box::pin(async move { Ok(found.map(StoredSession::new)) })
    }

    fn delete<'a>(&'a self, _: &'a OldSession) -> StoreFuture<'a, ()> {
        *self.0.lock().unwrap() = None;
        Box::pin(async { Ok(()) })
    }
}

async fn instance(
    redis: &RedisServer,
    file: &SqliteFile,
    shelf: &Shelf,
    hooks: &Hooks,
) -> RedisSessionLayer {
    let second = Duration::from_secs(1);
    let database = DatabaseConfig::new(file.url()).timeout(5 * second);
    let store = DurableStore::builder(RedisConfig::new(redis.durable_url()), database);
    let import = TakeOver::new(importer(), shelf.clone()).take_over_key(KEY).grace(second);
    let builder = RedisSessionLayer::builder(store.hooks(hooks).build().unwrap());
    let layer = builder.import(import).budget(15 * second).build().unwrap();
    layer.migrate().await.unwrap();
    layer
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_be_killed_between_claim_and_session_and_restarted_empty() {
    let (redis, file) = (RedisServer::start().await, SqliteFile::fresh());
    let (shelf, hooks) = (Shelf(Arc::new(Mutex::new(Some(ALICE)))), Hooks::default());
    let layer = instance(&redis, &file, &shelf, &hooks).await;
    eventually("it believes redis", async || {
        let unknown = format!("{COOKIE}={}", "A".repeat(43));
        assert_eq!(ask(&layer, &unknown, user).await.text, "-");
        layer.admin().health().copies.is_some_and(|copies| copies.trusted)
    })
    .await;

    // The first commit is that of the claim.
    hooks.hold("after-commit");
    let first = {
        let layer = layer.clone();
        tokio::spawn(async move { ask(&layer, &old(), user).await })
    };
    hooks.reached("after-commit").await;
    redis.kill();
    hooks.release("after-commit");
    let new = first.await.unwrap().taken_over();
    assert_eq!(ask(&layer, &new, user).await.text, "alice");

    redis.restart().await;
    let restarted = instance(&redis, &file, &shelf, &Hooks::default()).await;
    for layer in [&layer, &restarted] {
        assert_eq!(ask(layer, &new, user).await.text, "alice");
        *shelf.0.lock().unwrap() = Some(ALICE);
        eventually("the grace ends", async || ask(layer, &old(), user).await.is_rejected()).await;
        assert!(shelf.0.lock().unwrap().is_some(), "the old session is not even read");
    }
    assert_eq!(restarted.admin().sessions_of("alice").await.unwrap().len(), 1);
    assert_eq!(ask(&restarted, &new, logout).await.text, "bye");
    for layer in [&layer, &restarted] {
        assert!(ask(layer, &old(), user).await.is_rejected());
        assert_eq!(ask(layer, &new, user).await.text, "-");
    }
}
