//! `examples/axum.rs`, over HTTP, on a database whose file is not there yet: the first start of a
//! new installation.
//!
//! To see it fail: leave out `migrate()` in the example.

use test_support::{Browser, bounded};
use tokio::{net::TcpListener, sync::oneshot};
use tower_redis_session::EnvConfig;

#[allow(dead_code, reason = "its main is not called")]
#[path = "../../examples/axum.rs"]
mod example;

#[tokio::test]
async fn it_counts_on_a_new_database_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
    // Nobody listens at that port: the database serves behind a Redis that is not there.
    for (storage, redis) in [("database", ""), ("durable", "redis://127.0.0.1:1")] {
        let config = EnvConfig::from_lookup(|name| match name {
            "SESSION_STORAGE" => Some(storage.to_owned()),
            "SESSION_DATABASE_URL" => Some(file.replace("sessions", storage)),
            "REDIS_URL" => Some(redis.to_owned()),
            _ => None,
        });
        let config = config.unwrap();
        let mut before: Option<Browser> = None;
        for expected in ["visit 1\nvisit 2\n", "visit 3\nvisit 4\n"] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (stop, stopped) = oneshot::channel::<()>();
            let config = config.clone();
            let server = tokio::spawn(async move {
                example::serve(&config, listener, async { drop(stopped.await) }).await.unwrap();
            });
            let mut browser = match &before {
                Some(before) => before.on(address).await,
                None => Browser::new(address).await,
            };
            let mut said = browser.get("/").await.expect(200).text();
            said += &browser.get("/").await.expect(200).text();
            assert_eq!(said, expected, "{storage}");
            before = Some(browser);
            drop(stop);
            bounded("the end of the server", server).await.unwrap();
        }
    }
}
