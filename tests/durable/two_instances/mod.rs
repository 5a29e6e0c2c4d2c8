//! Two instances of one service, each behind proxies of its own to one Redis and one database.

use std::time::{Duration, Instant};

mod any_database;
mod held_polls;
mod instance;
mod steps;

pub use any_database::{AnyDatabase, Lock, SqliteFile};
pub use held_polls::{learn_again, learn_nothing, learn_what_is_held};
pub use instance::{
    Deployment, Instance, Settings, Status, hasty, instance_process, layer, soon_without_redis,
};
pub use steps::{Statement, answer, asking, end_of, fill, put, value, write_of};
use test_support::{Browser, PgProxy, PostgresServer, RedisServer, RespProxy, eventually, key_end};
pub use test_support::{copying, move_to, replica_of};

/// Where the copy of a session stands, whatever the generation.
pub const COPY: &str = ":s:";

/// The whole set-up: `a` and `b`, each behind a proxy to Redis (`pa`, `pb`) and to the
/// database (`da`, `db`), which pass nothing where the database is a file.
#[derive(Debug)]
pub struct TwoInstances {
    pub redis: RedisServer,
    pub database: AnyDatabase,
    pub pa: RespProxy,
    pub pb: RespProxy,
    pub da: PgProxy,
    pub db: PgProxy,
    pub a: Instance,
    pub b: Instance,
}

impl TwoInstances {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings than usual, the same for both.
    pub async fn with(change: impl Fn(&mut Settings)) -> Self {
        Self::on(RedisServer::start().await, change).await
    }

    /// On a Redis of the test's own.
    pub async fn on(redis: RedisServer, change: impl Fn(&mut Settings)) -> Self {
        Self::beside(redis, PostgresServer::shared().await, change).await
    }

    /// On a PostgreSQL of the test's own.
    pub async fn beside(
        redis: RedisServer,
        server: &PostgresServer,
        change: impl Fn(&mut Settings),
    ) -> Self {
        let truth = AnyDatabase::Postgres(server.database().await);
        let duo = Self::unsettled(redis, truth, server.addr(), change).await;
        duo.both_believe().await;
        duo
    }

    /// On a SQLite file that both share.
    pub async fn on_file(file: SqliteFile, change: impl Fn(&mut Settings)) -> Self {
        let redis = RedisServer::start().await;
        let nowhere = ([127, 0, 0, 1], 9).into();
        let duo = Self::unsettled(redis, AnyDatabase::Sqlite(file), nowhere, change).await;
        duo.both_believe().await;
        duo
    }

    /// Which nobody has asked anything yet.
    pub async fn unsettled(
        redis: RedisServer,
        database: AnyDatabase,
        server: std::net::SocketAddr,
        change: impl Fn(&mut Settings),
    ) -> Self {
        let (pa, pb) = (RespProxy::start(redis.addr()).await, RespProxy::start(redis.addr()).await);
        let (da, db) = (PgProxy::start(server).await, PgProxy::start(server).await);
        migrate(&database.url()).await;
        let settings = |way: &RespProxy, proxy: &PgProxy| {
            let redis = redis.durable_url_at(way.addr().port());
            let mut settings = Settings::new(redis, database.url_through(proxy.port()));
            change(&mut settings);
            settings
        };
        let (a, b) = (settings(&pa, &da), settings(&pb, &db));
        let (a, b) = (Instance::start(&a), Instance::start(&b));
        Self { redis, database, pa, pb, da, db, a, b }
    }

    /// Waits until both instances read from Redis.
    pub async fn both_believe(&self) {
        // The first request starts what goes on in the background.
        for instance in [&self.a, &self.b] {
            let _ = instance.browser().await.get("/").await;
            let mut nobody = instance.browser().await;
            nobody.set_cookie(test_support::COOKIE, &"A".repeat(43));
            let _ = nobody.get("/get:x").await;
        }
        self.a.believes().await;
        self.b.believes().await;
    }

    /// Somebody who signed in at `a`, with `n` = 1, and whose copy is in Redis.
    pub async fn signed_in(&self) -> Browser {
        let mut browser = self.a.browser().await;
        browser.get("/update:n,login:alice").await.expect(200);
        self.is_copied(&mut browser).await;
        browser
    }

    /// Reads until the session's copy is in Redis.
    pub async fn is_copied(&self, browser: &mut Browser) {
        let id = browser.get("/id").await.expect(200).text();
        eventually("the copy is in redis", async || {
            browser.get("/get:n").await.expect(200);
            self.copy(&id).await.is_some_and(|value| value.first() == Some(&b'R'))
        })
        .await;
    }

    /// What stands in Redis under the session's key in the generation that counts.
    pub async fn copy(&self, id: &str) -> Option<Vec<u8>> {
        let generation = self.database.sql("SELECT generation FROM trs_cache").await;
        let generation: i64 = generation.trim().parse().unwrap();
        let end = format!("{:016x}{COPY}{}", generation.cast_unsigned(), key_end(id));
        let dump = self.redis.dump().await;
        dump.into_iter().find(|(key, _)| key.ends_with(&end)).map(|(_, value)| value)
    }

    /// Removes the copy, as an eviction does.
    pub async fn evict(&self, id: &str) {
        for (key, _) in self.redis.dump().await {
            if key.ends_with(&format!("{COPY}{}", key_end(id))) {
                let mut connection = self.redis.connection().await;
                let _: u64 =
                    redis::cmd("DEL").arg(&key).query_async(&mut connection).await.unwrap();
            }
        }
    }

    pub async fn journal(&self) -> usize {
        let count = self.database.sql("SELECT count(*) FROM trs_journal").await;
        count.trim().parse().unwrap()
    }

    pub async fn journal_is_empty(&self) {
        eventually("the journal is empty", async || self.journal().await == 0).await;
    }

    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.a.settings.lease)
    }

    /// 39: what has to hold after each schedule.
    pub async fn is_at_rest(&self) {
        self.journal_is_empty().await;
        self.redis.assert_every_key_has_a_ttl().await;
    }
}

pub async fn migrate(database: &str) {
    let database = tower_redis_session::DatabaseConfig::new(database);
    tower_redis_session::DatabaseStore::new(database).unwrap().migrate().await.unwrap();
}

/// Whether the session of these cookies is signed out at this instance: a new request, by the
/// session's answer and not by an error.
pub async fn is_dead(instance: &Instance, browser: &Browser) -> bool {
    let reply = instance.with_cookies_of(browser).await.get("/user").await;
    assert_eq!(reply.status, 200, "a read that no store serves: {}", reply.text());
    reply.text() == "-"
}

/// Waits until the session is signed out at this instance: whoever asks after `limit` finds it so.
/// Slow answers of a busy machine do not count, since the question was asked before.
pub async fn dies_within(instance: &Instance, browser: &Browser, limit: Duration) {
    let start = Instant::now();
    loop {
        let asked = start.elapsed();
        if is_dead(instance, browser).await {
            return;
        }
        // Clocks that count in milliseconds.
        let slack = Duration::from_millis(20);
        assert!(asked < limit + slack, "still alive when asked after {asked:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
