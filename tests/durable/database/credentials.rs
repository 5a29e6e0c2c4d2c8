//! PostgreSQL with credentials by a function.
//!
//! To see these fail: reuse the result of a call for an hour; open the connection that listens with
//! the address alone; call the function only if the pool has no idle connection.

use std::{
    future::pending,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use test_support::{Database, PostgresServer, RedisServer, eventually};
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, DurableStore, ErrorKind, RedisConfig,
    store::{ServerCredentials, Store as _},
};

use super::{config, fresh};

/// A server that checks passwords, and a database of the role `rotating`.
async fn server() -> (PostgresServer, Database, String) {
    let server = PostgresServer::builder().password("a-password-of-postgres").start().await;
    let database = server.database().await;
    let name = database.name();
    let role = format!(
        "CREATE ROLE rotating LOGIN PASSWORD 'the-first-secret'; \
        ALTER DATABASE {name} OWNER TO rotating"
    );
    database.sql(&role).await;
    let url = format!("postgres://rotating@127.0.0.1:{}/{name}", server.port());
    (server, database, url)
}

#[derive(Clone)]
struct Secret(Arc<Mutex<Option<&'static str>>>);

impl Secret {
    fn config(&self, url: &str) -> DatabaseConfig {
        let secret = self.clone();
        config(url).credentials(move || {
            let secret = *secret.0.lock().unwrap();
            async move {
                let secret = secret.ok_or_else(|| io::Error::other("the vault is sealed"))?;
                Ok::<_, io::Error>(ServerCredentials::new(secret))
            }
        })
    }

    fn set(&self, secret: Option<&'static str>) {
        *self.0.lock().unwrap() = secret;
    }
}

async fn change(database: &Database, to: &str) {
    database.sql(&format!("ALTER ROLE rotating PASSWORD '{to}'")).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotating'";
    database.sql(end).await;
}

#[tokio::test]
async fn a_password_that_changes_is_obtained_for_each_new_connection() {
    let (_server, database, url) = server().await;
    let secret = Secret(Arc::new(Mutex::new(Some("the-first-secret"))));
    let store = DatabaseStore::new(secret.config(&url)).unwrap();
    store.migrate().await.unwrap();
    store.check().await.unwrap();
    store.load(&fresh()).await.unwrap();
    change(&database, "the-second-secret").await;
    let mut rejected = None;
    eventually("the old password is rejected", async || {
        rejected = store.load(&fresh()).await.err();
        rejected.as_ref().is_some_and(|error| error.kind() == ErrorKind::Misconfigured)
    })
    .await;
    assert!(rejected.unwrap().to_string().contains("password"));
    secret.set(None);
    eventually("the function fails", async || {
        let error = store.load(&fresh()).await.unwrap_err();
        error.kind() == ErrorKind::Unavailable
            && format!("{error:?}").contains("the vault is sealed")
            && error.to_string() == "the function for the postgresql credentials failed"
    })
    .await;
    secret.set(Some("the-second-secret"));
    eventually("the next one is used", async || store.load(&fresh()).await.is_ok()).await;
    let printed = format!("{store:?} {:?} {:?}", store.health(), secret.config(&url));
    assert!(!printed.contains("-secret"), "{printed}");
}

#[tokio::test]
async fn the_connection_that_listens_has_them_too() {
    let (_server, database, url) = server().await;
    let secret = Secret(Arc::new(Mutex::new(Some("the-first-secret"))));
    let redis = RedisServer::start().await;
    let redis = RedisConfig::new(redis.durable_url());
    let config = secret.config(&url).timeout(Duration::from_secs(4));
    let store = DurableStore::builder(redis, config).build().unwrap();
    store.migrate().await.unwrap();
    store.check().await.unwrap();
    for next in ["the-second-secret", "the-third-secret", ""] {
        eventually("it listens", async || {
            let _ = store.load(&fresh()).await;
            let listens = "SELECT count(*) FROM pg_stat_activity \
                WHERE usename = 'rotating' AND query LIKE 'LISTEN %'";
            database.sql(listens).await == "1"
        })
        .await;
        secret.set(Some(next));
        change(&database, next).await;
    }
}

#[tokio::test]
async fn a_function_that_hangs_is_named() {
    let (_server, _database, url) = server().await;
    let config = DatabaseConfig::new(&url).timeout(Duration::from_millis(200));
    let hangs = config.credentials(pending::<io::Result<ServerCredentials>>);
    let store = DatabaseStore::new(hangs).unwrap();
    let error = store.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("credentials did not return in time"), "{error:?}");
}
