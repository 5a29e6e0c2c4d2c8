//! A store on the pool that the application has already.
//!
//! To see these fail: take, or allow, as many connections as the pool has; set timeouts for a
//! connection; write values into statements; let a caller wait as long as the pool does.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use sqlx::{
    PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use test_support::{Database, LogCapture, PostgresServer, RedisServer, bounded, eventually};
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, DurableStore, ErrorKind, RedisConfig,
    clock::ManualClock,
    store::{Expected, Record, ServerCredentials, Store},
};

use super::{at_the_time_of_the_records, create, fresh};

/// A durable store allows no more.
const LONG: Duration = Duration::from_secs(4);

/// The pool of an application, which names itself.
async fn pool_of(database: &Database, size: u32) -> PgPool {
    let options = PgPoolOptions::new().max_connections(size).acquire_timeout(LONG);
    let url = format!("{}?application_name=shop", database.url());
    options.connect(&url).await.unwrap()
}

async fn store_on(pool: &PgPool, size: u32) -> Arc<DatabaseStore> {
    let config = DatabaseConfig::from_pool(pool.clone()).pool_size(size).timeout(LONG);
    let store = Arc::new(at_the_time_of_the_records(config));
    store.migrate().await.unwrap();
    store
}

#[tokio::test]
async fn sessions_share_the_connections_and_leave_some_to_the_application() {
    let database = PostgresServer::shared().await.database().await;
    let pool = pool_of(&database, 4).await;
    let store = store_on(&pool, 2).await;
    let id = create(&store).await;
    // Somebody holds the table: every connection that sessions may have waits for it.
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE trs_sessions IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let reads = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { join_all((0..32).map(|_| store.load(&id))).await })
    };
    let count = |what: &str| {
        format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {what}"
        )
    };
    eventually("a read waits for the table", async || {
        database.sql(&count("wait_event_type = 'Lock'")).await == "1"
    })
    .await;
    let own = bounded("the application's", sqlx::query("SELECT 1").execute(&pool)).await;
    own.unwrap();
    lock.commit().await.unwrap();
    for loaded in bounded("the reads", reads).await.unwrap() {
        assert!(loaded.unwrap().is_some());
    }
    let ours = database.sql(&count("application_name = 'tower-redis-session'")).await;
    let shared: u32 = database.sql(&count("application_name = 'shop'")).await.parse().unwrap();
    assert!(ours == "0" && shared <= 4, "{ours} {shared}");
    // All of them are returned: without, the pool could not be closed.
    bounded("the pool", pool.close()).await;
    let error = store.load(&id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("has closed its pool"), "{error:?}");
}

#[tokio::test]
async fn a_connection_is_returned_as_it_was_taken() {
    let database = PostgresServer::shared().await.database().await;
    let pool = pool_of(&database, 2).await;
    let settings = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name), \
        (SELECT count(*) FROM pg_listening_channels()) \
        FROM pg_settings WHERE name LIKE '%timeout%' OR name LIKE 'transaction%'";
    // Of all connections.
    let read = async || -> [(String, i64); 2] {
        let mut held = [
            bounded("a connection", pool.acquire()).await.unwrap(),
            bounded("the other", pool.acquire()).await.unwrap(),
        ];
        let [one, two] = &mut held;
        [
            sqlx::query_as(settings).fetch_one(&mut **one).await.unwrap(),
            sqlx::query_as(settings).fetch_one(&mut **two).await.unwrap(),
        ]
    };
    let (captured, _guard) = LogCapture::on_this_thread();
    let before = read().await;
    let store = store_on(&pool, 1).await;
    store.check().await.unwrap();
    let id = create(&store).await;
    store.load(&id).await.unwrap();
    store.delete(&id).await.unwrap();
    assert_eq!(read().await, before);
    // The pool logs statements.
    assert!(captured.contains("trs_") && !captured.contains("decode("));
}

#[tokio::test]
async fn a_pool_without_a_free_connection_is_an_error_in_time_and_named() {
    let database = PostgresServer::shared().await.database().await;
    let pool = pool_of(&database, 2).await;
    let _ = store_on(&pool, 1).await;
    let config = DatabaseConfig::from_pool(pool.clone()).timeout(Duration::from_millis(200));
    let store = DatabaseStore::new(config).unwrap();
    let held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    let error = bounded("an error", store.load(&fresh())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("application's pool became free"), "{error:?}");
    drop(held);
    eventually("it is served again", async || store.load(&fresh()).await.is_ok()).await;
}

#[tokio::test]
async fn what_a_pool_lacks_is_named() {
    let (captured, _guard) = LogCapture::on_this_thread();
    let database = PostgresServer::shared().await.database().await;
    let pool = pool_of(&database, 3).await;
    let store = store_on(&pool, 2).await;
    store.check().await.unwrap();
    assert!(captured.contains("statement_timeout of the application's pool missing"));
    captured.clear();
    let role = format!("ALTER DATABASE {} SET statement_timeout = '5s'", database.name());
    database.sql(&role).await;
    let pool = pool_of(&database, 3).await;
    store_on(&pool, 2).await.check().await.unwrap();
    assert!(!captured.contains("statement_timeout of"));

    let config = || DatabaseConfig::from_pool(pool.clone());
    let credentials = || std::future::ready(Ok::<_, String>(ServerCredentials::new("x")));
    let single = PgPoolOptions::new().max_connections(1).connect_lazy(&database.url()).unwrap();
    let memory = SqlitePool::connect_lazy("sqlite::memory:").unwrap();
    for (config, setting) in [
        (config().pool_size(3), "database pool size"),
        (DatabaseConfig::from_pool(single), "database pool size"),
        (config().credentials(credentials), "database credentials"),
        (config().ca_pem(""), "database credentials"),
        (DatabaseConfig::from_pool(memory), "database address"),
    ] {
        assert_eq!(DatabaseStore::new(config).unwrap_err().setting(), setting);
    }

    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("x.db"));
    let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Delete);
    let pool = SqlitePoolOptions::new().connect_lazy_with(options);
    let store = DatabaseStore::from_pool(pool).unwrap();
    store.migrate().await.unwrap();
    let error = store.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
    assert!(error.to_string().contains("journal_mode"), "{error}");
}

#[tokio::test]
async fn a_durable_store_on_a_pool_sees_changes_of_other_instances() {
    let database = PostgresServer::shared().await.database().await;
    let redis = RedisServer::start().await;
    let pool = pool_of(&database, 4).await;
    let durable = |config: DatabaseConfig| {
        let redis = RedisConfig::new(redis.durable_url());
        let builder = DurableStore::builder(redis, config.timeout(LONG));
        builder.clock(ManualClock::new().clock()).build().unwrap()
    };
    let shared = durable(DatabaseConfig::from_pool(pool));
    let other = durable(DatabaseConfig::new(database.url()));
    shared.migrate().await.unwrap();
    shared.check().await.unwrap();
    let id = fresh();
    other.save(&id, Expected::Absent, &Record::example()).await.unwrap();
    assert!(shared.load(&id).await.unwrap().is_some());
    other.delete(&id).await.unwrap();
    eventually("the other's logout is seen", async || shared.load(&id).await.unwrap().is_none())
        .await;
}
