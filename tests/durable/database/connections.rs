//! Connections to PostgreSQL: how many there are, what becomes of them when requests are given up,
//! servers fail over and runtimes end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::{Connection, PgConnection, Row};
use test_support::{
    Database, FaultProxy, Matching, Mode, PgProxy, PostgresServer, RedisServer, bounded, eventually,
};
use tokio::task::JoinSet;
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, DurableStore, ErrorKind, RedisConfig,
    clock::ManualClock,
    store::{Expected, Record, Store},
};

use super::{at_the_time_of_the_records, create, failure, fresh, hasty, patient};

/// The most connections of ours that were ever seen at the server.
struct Watcher {
    most: Arc<AtomicU64>,
    waiting: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Watcher {
    async fn start(server: &PostgresServer, database: &Database) -> Self {
        let mut own = PgConnection::connect(&server.maintenance().url()).await.unwrap();
        let (most, waiting) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (seen, name) = (Arc::clone(&most), database.name().to_owned());
        let waits = Arc::clone(&waiting);
        let task = tokio::spawn(async move {
            let query = "SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'Lock') \
                FROM pg_stat_activity \
                WHERE datname = $1 AND application_name = 'tower-redis-session'";
            loop {
                let row = sqlx::query(query).bind(&name).fetch_one(&mut own).await.unwrap();
                seen.fetch_max(row.get::<i64, _>(0).cast_unsigned(), Ordering::SeqCst);
                waits.store(row.get::<i64, _>(1).cast_unsigned(), Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Self { most, waiting, task }
    }

    fn most(&self) -> u64 {
        self.most.load(Ordering::SeqCst)
    }

    /// How many wait for a lock just now.
    fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::SeqCst)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn store_of(url: &str, size: u32, timeout: Duration) -> Arc<DatabaseStore> {
    let config = DatabaseConfig::new(url).pool_size(size).timeout(timeout);
    Arc::new(at_the_time_of_the_records(config))
}

async fn saves(store: &impl Store) -> bool {
    let saved = store.save(&fresh(), Expected::Absent, &Record::example()).await;
    failure(saved).is_none()
}

fn durable(redis: &RedisServer, config: DatabaseConfig) -> DurableStore {
    let builder = DurableStore::builder(RedisConfig::new(redis.durable_url()), config);
    builder.clock(ManualClock::new().clock()).build().unwrap()
}

/// Somebody holds the whole table, as a `VACUUM FULL` or an `ALTER TABLE` does.
async fn lock(database: &Database, seconds: f32) -> tokio::task::JoinHandle<String> {
    let held = database.clone();
    let sql = format!(
        "BEGIN; LOCK TABLE trs_sessions IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT"
    );
    let holds = tokio::spawn(async move { held.sql(&sql).await });
    eventually("the table is locked", async || {
        let locks = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%' \
            AND wait_event = 'PgSleep' AND datname = current_database()";
        database.sql(locks).await == "1"
    })
    .await;
    holds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_table_holds_no_more_connections_than_there_may_be_and_they_wait_no_longer() {
    let server = PostgresServer::own().await;
    let database = server.database().await;
    let id = create(&patient(&database.url()).await).await;
    let store = store_of(&database.url(), 4, Duration::from_millis(300));
    let watcher = Watcher::start(&server, &database).await;
    let seconds = if std::env::var_os("LONG").is_some() { 15.0 } else { 3.0 };
    let holds = lock(&database, seconds).await;
    let mut tasks = JoinSet::new();
    let mut was_ready = true;
    // Fifty reads a second, and a write beside every tenth.
    while !holds.is_finished() {
        for place in 0..5 {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                if place == 0 {
                    store.delete(&fresh()).await.err()
                } else {
                    store.load(&id).await.err()
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        was_ready &= store.health().is_ready();
    }
    assert!(!was_ready, "it is not ready while requests wait for connections that do not come");
    let mut refused = 0;
    while let Some(error) = tasks.join_next().await {
        refused += usize::from(error.unwrap().is_some_and(|e| e.kind() == ErrorKind::Unavailable));
    }
    assert!(refused > 50, "{refused}");
    assert!(watcher.most() <= 4, "{} connections for a pool of 4", watcher.most());
    assert!(store.load(&id).await.unwrap().is_some());
    eventually("it is ready again", async || {
        let _ = store.load(&id).await;
        store.health().is_ready()
    })
    .await;
    let holds = lock(&database, 2.0).await;
    assert!(store.load(&id).await.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(watcher.waiting(), 0, "the server waits on for somebody who has given up");
    let _ = holds.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_hundred_requests_whose_client_hangs_up_cost_no_connection() {
    let server = PostgresServer::shared().await;
    let database = server.database().await;
    let id = create(&patient(&database.url()).await).await;
    let proxy = FaultProxy::start(server.addr()).await;
    let store = store_of(&database.url_through(proxy.port()), 8, Duration::from_secs(20));
    let warm = (0..16).map(|_| store.load(&id));
    assert!(join_all(warm).await.iter().all(Result::is_ok));
    let before = proxy.connections();
    assert!(before <= 8, "{before}");
    proxy.set(Mode::Delay(Duration::from_millis(6)));
    for _ in 0..70 {
        // Given up while they wait, while they are under way and when they are all but done.
        let all = (0..10).map(|place| {
            let store = Arc::clone(&store);
            let limit = Duration::from_millis(place);
            async move { tokio::time::timeout(limit, store.load(&id)).await.is_err() }
        });
        let _ = join_all(all).await;
    }
    proxy.set(Mode::Pass);
    assert!(store.load(&id).await.unwrap().is_some());
    assert_eq!(proxy.connections(), before, "new connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_connections_than_the_pool_may_have_with_poll_and_listener() {
    let server = PostgresServer::own().await;
    for size in [1, 2, 3, 8] {
        let database = server.database().await;
        let watcher = Watcher::start(&server, &database).await;
        let redis = RedisServer::start().await;
        let config = DatabaseConfig::new(database.url()).pool_size(size);
        let config = config.timeout(Duration::from_secs(4));
        let builder = DurableStore::builder(RedisConfig::new(redis.durable_url()), config);
        let builder = builder.poll_interval(Duration::from_millis(100));
        let store = builder.clock(ManualClock::new().clock()).build().unwrap();
        store.migrate().await.unwrap();
        store.check().await.unwrap();
        for _ in 0..4 {
            let saved = join_all((0..20).map(|_| saves(&store))).await;
            assert!(saved.into_iter().all(|saved| saved), "{size}");
        }
        eventually("the copies are believed", async || {
            store.health().copies.is_some_and(|copies| copies.trusted)
        })
        .await;
        // A few polls, after the first of which somebody listens.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let told = store.health().database.unwrap();
        assert!(watcher.most() <= u64::from(size), "{} of {size}", watcher.most());
        assert!(told.connections <= told.pool_size, "{told:?}");
    }
}

/// The address leads to a server that only reads for a while, as after a failover whose name is
/// late, and then to the primary again; connections that were made meanwhile stay open.
async fn fails_over(server: &PostgresServer, database: &Database, store: &impl Store) {
    let url = database.name();
    database.sql(&format!("ALTER DATABASE {url} SET default_transaction_read_only = on")).await;
    server
        .maintenance()
        .sql(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{url}'"
        ))
        .await;
    for _ in 0..4 {
        let written = join_all((0..12).map(|_| saves(store))).await;
        assert!(!written.into_iter().any(|written| written));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let back = format!(
        "SET default_transaction_read_only = off; \
         ALTER DATABASE {url} SET default_transaction_read_only = off"
    );
    database.sql(&back).await;
    let (started, mut streak) = (Instant::now(), 0);
    while streak < 20 {
        streak = if saves(store).await { streak + 1 } else { 0 };
        let took = started.elapsed();
        assert!(took < Duration::from_secs(5), "no lasting write {took:?} after the failover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let all = join_all((0..12).map(|_| saves(store))).await;
    assert!(all.into_iter().all(|saved| saved), "a connection that only reads is still there");
}

fn rounds() -> usize {
    if std::env::var_os("LONG").is_some() { 10 } else { 2 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_within_seconds_of_a_failover_that_the_name_was_late_for() {
    let server = PostgresServer::own().await;
    let database = server.database().await;
    let store = store_of(&database.url(), 8, Duration::from_millis(600));
    store.migrate().await.unwrap();
    let watcher = Watcher::start(&server, &database).await;
    for _ in 0..rounds() {
        fails_over(&server, &database, &*store).await;
    }
    assert!(watcher.most() <= 8, "{}", watcher.most());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_a_durable_store_go_on_within_seconds_of_such_a_failover() {
    let server = PostgresServer::own().await;
    let database = server.database().await;
    let redis = RedisServer::start().await;
    let config = DatabaseConfig::new(database.url());
    let store = durable(&redis, config);
    store.migrate().await.unwrap();
    let watcher = Watcher::start(&server, &database).await;
    for _ in 0..rounds() {
        fails_over(&server, &database, &store).await;
    }
    assert!(watcher.most() <= 10, "{}", watcher.most());
}

/// Makes connections wait for half a second until it is aborted.
/// What the clocks are compared by is locked; sessions are not.
#[tokio::test(flavor = "multi_thread")]
async fn reads_are_served_while_the_clock_of_the_database_cannot_be_asked() {
    let server = PostgresServer::shared().await;
    let database = server.database().await;
    let maker = store_of(&database.url(), 4, Duration::from_secs(4));
    maker.migrate().await.unwrap();
    let id = fresh();
    assert!(failure(maker.save(&id, Expected::Absent, &Record::example()).await).is_none());
    let mut holder = PgConnection::connect(&database.url()).await.unwrap();
    let lock = sqlx::raw_sql("BEGIN; LOCK TABLE trs_cache IN ACCESS EXCLUSIVE MODE");
    lock.execute(&mut holder).await.unwrap();
    let config = DatabaseConfig::new(database.url()).pool_size(4).timeout(Duration::from_secs(4));
    let store = DatabaseStore::new(config).unwrap();
    let start = Instant::now();
    for burst in [32, 32] {
        let loads = join_all((0..burst).map(|_| store.load(&id))).await;
        assert!(loads.into_iter().all(|found| found.unwrap().is_some()));
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(store.health().database.unwrap().clock_ahead, None);
    holder.close().await.unwrap();
}

fn slow_to_connect(proxy: &Arc<PgProxy>) -> tokio::task::JoinHandle<()> {
    let proxy = Arc::clone(proxy);
    tokio::spawn(async move {
        loop {
            let held = proxy.hold_all(Matching::command("STARTUP"));
            held.reached(1).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            held.release().await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_to_connect_outlives_the_request_that_asked_for_it() {
    let server = PostgresServer::shared().await;
    let database = server.database().await;
    let id = create(&patient(&database.url()).await).await;
    let proxy = Arc::new(PgProxy::start(server.addr()).await);
    let store = store_of(&database.url_through(proxy.port()), 1, Duration::from_millis(600));
    let slow = slow_to_connect(&proxy);
    let error = store.load(&id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    for _ in 0..3 {
        assert!(store.load(&id).await.unwrap().is_some(), "the next request has the connection");
    }
    assert_eq!(proxy.connections(), 1);
    slow.abort();
}

/// As where the key of SCRAM takes long to compute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bursts_on_a_cold_pool_are_served_once_it_is_connected() {
    let server = PostgresServer::builder().password("s3cr3t").start().await;
    let database = server.database().await;
    let id = create(&patient(&database.url()).await).await;
    let proxy = Arc::new(PgProxy::start(server.addr()).await);
    let slow = slow_to_connect(&proxy);
    let watcher = Watcher::start(&server, &database).await;
    let store = hasty(&database.url_through(proxy.port()));
    let started = Instant::now();
    loop {
        let burst = join_all((0..20).map(|_| store.load(&id))).await;
        if burst.iter().all(Result::is_ok) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", burst[0]);
    }
    slow.abort();
    for _ in 0..3 {
        let burst = join_all((0..20).map(|_| store.load(&id))).await;
        assert!(burst.iter().all(Result::is_ok), "served as long as the pool is warm");
    }
    assert!(watcher.most() <= 8, "{}", watcher.most());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_fell_silent_are_replaced_within_two_budgets() {
    let server = PostgresServer::shared().await;
    let database = server.database().await;
    let id = create(&patient(&database.url()).await).await;
    let proxy = FaultProxy::start(server.addr()).await;
    let store = hasty(&database.url_through(proxy.port()));
    assert!(join_all((0..16).map(|_| store.load(&id))).await.iter().all(Result::is_ok));
    proxy.set(Mode::HalfOpen);
    let started = Instant::now();
    while store.load(&id).await.is_err() {}
    assert!(started.elapsed() < super::LIMIT * 4, "{:?}", started.elapsed());
    let all = join_all((0..16).map(|_| store.load(&id))).await;
    assert!(all.iter().all(Result::is_ok), "one silent connection is a reason to ask the others");
}

/// The first of them leave in the middle of an attempt to connect.
#[test]
fn a_pool_outlives_runtimes_that_end_while_they_connect() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime().block_on(PostgresServer::own());
    let (store, id) = runtime().block_on(async {
        let database = server.database().await;
        let id = create(&patient(&database.url()).await).await;
        (store_of(&database.url(), 2, Duration::from_secs(5)), id)
    });
    for yields in 1..8 {
        runtime().block_on(async {
            let asks = tokio::spawn({
                let store = Arc::clone(&store);
                async move { store.load(&id).await.map(drop) }
            });
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            drop(asks);
        });
    }
    for _ in 0..3 {
        let found = runtime().block_on(async { bounded("a read", store.load(&id)).await });
        assert!(found.unwrap().is_some());
    }
}

/// A server whose connections are all taken is asked again now and then, not by every request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_connection_left_is_not_stormed() {
    let server = PostgresServer::builder()
        .setting("max_connections", "12")
        .setting("superuser_reserved_connections", "3")
        .start()
        .await;
    let database = server.database().await;
    let id = create(&patient(&database.url()).await).await;
    database
        .sql("CREATE ROLE guest LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
        .await;
    let mut others = Vec::new();
    let guest = |port| format!("postgres://guest@127.0.0.1:{port}/{}", database.name());
    while let Ok(other) = PgConnection::connect(&guest(server.port())).await {
        others.push(other);
    }
    let proxy = FaultProxy::start(server.addr()).await;
    let store = Arc::new(hasty(&guest(proxy.port())));
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    let mut causes = Vec::new();
    while started.elapsed() < Duration::from_secs(4) {
        for _ in 0..10 {
            let store = Arc::clone(&store);
            tasks.spawn(async move { store.load(&id).await });
        }
        while let Some(done) = tasks.join_next().await {
            causes.push(done.unwrap().unwrap_err());
        }
    }
    let (asked, tried) = (causes.len(), proxy.connections());
    println!("{asked} requests, {tried} attempts to connect");
    assert!(tried < 150, "{tried} attempts for {asked} requests");
    assert!(causes.iter().all(|error| error.kind() == ErrorKind::Unavailable));
    let told = causes.last().unwrap().to_string();
    assert!(told.contains("no connection left"), "{told}");
    drop(others);
    eventually("it is served again", async || store.load(&id).await.is_ok()).await;
}

/// So far away is the database, and so long does it stand still.
async fn stalls(distance: Duration, stall: Duration) {
    let name = format!("{distance:?} away, a stall of {stall:?}");
    let server = PostgresServer::own().await;
    let database = server.database().await;
    let id = create(&patient(&database.url()).await).await;
    let proxy = FaultProxy::start(server.addr()).await;
    proxy.set(Mode::Delay(distance));
    let config = DatabaseConfig::new(database.url_through(proxy.port()));
    let store = Arc::new(at_the_time_of_the_records(config));
    eventually("the pool is warm", async || {
        join_all((0..14).map(|_| store.load(&id))).await.iter().all(Result::is_ok)
    })
    .await;
    let started = Instant::now();
    let (refused, last) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    let (mut hangs, mut resumed) = (false, None);
    let over = Duration::from_millis(500) + stall;
    // Forty requests a second, until three seconds after the stall: nine connections to a server
    // that is 100 ms away can do no more than ninety.
    for tick in 0.. {
        let now = started.elapsed();
        if !hangs && now >= Duration::from_millis(500) {
            server.hang();
            hangs = true;
        }
        if resumed.is_none() && now >= over {
            server.resume();
            resumed = Some(Instant::now());
        }
        if now >= over + Duration::from_secs(3) {
            break;
        }
        let (store, refused, last) = (Arc::clone(&store), Arc::clone(&refused), Arc::clone(&last));
        tasks.spawn(async move {
            let asked = started.elapsed();
            let fine = match tick % 10 {
                0 => saves(&*store).await,
                _ => store.load(&id).await.is_ok(),
            };
            if !fine {
                refused.fetch_add(1, Ordering::SeqCst);
                last.fetch_max(u64::try_from(asked.as_millis()).unwrap(), Ordering::SeqCst);
            }
        });
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    while tasks.join_next().await.is_some() {}
    let last = Duration::from_millis(last.load(Ordering::SeqCst));
    let after = last.saturating_sub(over);
    println!("{name}: {} refused, the last asked {after:?} after", refused.load(Ordering::SeqCst));
    assert!(after < Duration::from_secs(2), "{name}: refused {after:?} after the stall");
    let watcher = Watcher::start(&server, &database).await;
    assert!(join_all((0..30).map(|_| store.load(&id))).await.iter().all(Result::is_ok));
    assert!(watcher.most() <= 10, "{name}: {}", watcher.most());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_of_a_database_that_is_far_away_is_over_when_it_is_over() {
    let millis = Duration::from_millis;
    let all =
        [0, 20, 60, 100].into_iter().flat_map(|far| [500, 1500, 5000].map(|long| (far, long)));
    let long = std::env::var_os("LONG").is_some();
    for (far, stall) in all.filter(|pair| long || [(20, 500), (100, 1500)].contains(pair)) {
        stalls(millis(far), millis(stall)).await;
    }
}
