//! A take-over with a database behind Redis: claim and session are rows, whatever Redis does.
//!
//! To see it fail: keep the claim in memory, or in Redis alone.

use std::time::Duration;

use test_support::{
    COOKIE, RedisServer, eventually,
    take_over::{ALICE, KEY, OLD, Shelf, ask, importer, logout, old, user},
};
use tower_redis_session::{
    DatabaseConfig, DurableStore, RedisConfig, RedisSessionLayer, hooks::Hooks, import::TakeOver,
};

use crate::two_instances::SqliteFile;

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
    let (shelf, hooks) = (Shelf::new(), Hooks::default());
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
        shelf.put(OLD, ALICE);
        eventually("the grace ends", async || ask(layer, &old(), user).await.is_rejected()).await;
        assert!(!shelf.is_empty(), "the old session is not even read");
    }
    assert_eq!(restarted.admin().sessions_of("alice").await.unwrap().len(), 1);
    assert_eq!(ask(&restarted, &new, logout).await.text, "bye");
    for layer in [&layer, &restarted] {
        assert!(ask(layer, &old(), user).await.is_rejected());
        assert_eq!(ask(layer, &new, user).await.text, "-");
    }
}
