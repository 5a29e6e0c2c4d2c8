//! The stores that are looked at: each with a password wherever it can have one.

use std::time::Duration;

use tempfile::TempDir;
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, DurableStore, RedisSessionLayerBuilder, RedisStore,
    store::{Store as _, UserStore},
};

use test_support::{
    Database, Monitor, PostgresServer, RedisServer, Site, eventually, leak_monitor, patient,
};

/// A value that a session holds.
pub const VALUE: &str = "canaryofavaluethatonlythestoreholds";
/// What a user types as the own password.
pub const TYPED: &str = "canary-of-what-a-user-typed-as-password";
pub const DATABASE_PASSWORD: &str = "canary-of-the-password-of-the-database";

/// Short, since stores hang on purpose; on a busy machine more requests fail, and no secret shows.
const LIMIT: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub struct Setup {
    pub name: &'static str,
    pub site: Site,
    pub redis: Option<RedisServer>,
    pub postgres: Option<(PostgresServer, Database)>,
    pub folder: TempDir,
    /// Its settings, as they print.
    pub printed: String,
}

impl Setup {
    pub async fn redis() -> Self {
        let redis = RedisServer::builder().log_every_command().start().await;
        let config = patient(&redis.url()).command_timeout(LIMIT).connect_timeout(LIMIT);
        let printed = format!("{config:?} {config:#?}");
        let site = site(RedisStore::new(config).unwrap()).await;
        Self::of("redis", site, Some(redis), None, tempfile::tempdir().unwrap(), printed)
    }

    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = file_in(&folder);
        let printed = format!("{config:?} {config:#?}");
        let store = DatabaseStore::new(config).unwrap();
        store.migrate().await.unwrap();
        Self::of("sqlite", site(store).await, None, None, folder, printed)
    }

    pub async fn redis_before_sqlite() -> Self {
        let redis = RedisServer::builder().log_every_command().start().await;
        let folder = tempfile::tempdir().unwrap();
        let (site, printed) = durable(&redis, file_in(&folder)).await;
        Self::of("redis before sqlite", site, Some(redis), None, folder, printed)
    }

    pub async fn redis_before_postgres() -> Self {
        let redis = RedisServer::builder().log_every_command().start().await;
        let server = PostgresServer::builder()
            .password(DATABASE_PASSWORD)
            .setting("log_statement", "all")
            .setting("log_min_error_statement", "error")
            .start()
            .await;
        let database = server.database().await;
        let config = DatabaseConfig::new(database.url()).timeout(LIMIT * 2);
        let (site, printed) = durable(&redis, config).await;
        let folder = tempfile::tempdir().unwrap();
        let name = "redis before postgresql";
        Self::of(name, site, Some(redis), Some((server, database)), folder, printed)
    }

    fn of(
        name: &'static str,
        site: Site,
        redis: Option<RedisServer>,
        postgres: Option<(PostgresServer, Database)>,
        folder: TempDir,
        printed: String,
    ) -> Self {
        Self { name, site, redis, postgres, folder, printed }
    }

    pub async fn monitor(&self) -> Option<Monitor<'_>> {
        match &self.redis {
            Some(redis) => Some(redis.monitor().await),
            None => None,
        }
    }

    /// Every key, value and row, and the slow log.
    pub async fn look_at_what_is_stored(&self) {
        if let Some(redis) = &self.redis {
            for (key, value) in redis.dump().await {
                leak_monitor::stored("the name of a key", key.as_bytes());
                leak_monitor::stored(&key, &value);
            }
            let mut connection = redis.connection().await;
            let mut log = redis::cmd("SLOWLOG");
            let log: redis::Value =
                log.arg("GET").arg(-1).query_async(&mut connection).await.unwrap();
            leak_monitor::stored("the slow log", format!("{log:?}").as_bytes());
        }
        if let Some((_, database)) = &self.postgres {
            let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'";
            let mut rows = 0;
            for table in database.sql(tables).await.lines() {
                let text = database.sql(&format!("SELECT t::text FROM {table} t")).await;
                rows += text.lines().count();
                leak_monitor::stored(table, text.as_bytes());
            }
            assert!(rows > 3, "the tables are looked through");
        }
    }

    /// What has gathered meanwhile.
    pub fn look_at_files_and_logs(&self) {
        let mut files = 0;
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            leak_monitor::stored("a file", &std::fs::read(entry.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files > 0 || !self.name.ends_with("sqlite"));
        if let Some((server, _)) = &self.postgres {
            leak_monitor::said("the log of postgresql", &server.log());
        }
    }
}

fn file_in(folder: &TempDir) -> DatabaseConfig {
    let file = folder.path().join("sessions.db");
    DatabaseConfig::new(format!("sqlite:{}", file.display())).timeout(LIMIT * 2)
}

async fn site(store: impl UserStore) -> Site {
    let limits =
        |builder: RedisSessionLayerBuilder| builder.budget(LIMIT * 3).max_record_size(4_096);
    Site::on_store(store, limits).await
}

async fn durable(redis: &RedisServer, database: DatabaseConfig) -> (Site, String) {
    let config = patient(&redis.durable_url()).command_timeout(LIMIT).connect_timeout(LIMIT);
    let builder = DurableStore::builder(config, database).redis_timeout(LIMIT);
    let printed = format!("{builder:?} {builder:#?}");
    let store = builder.build().unwrap();
    store.migrate().await.unwrap();
    let printed = format!("{printed} {store:?}");
    let site = site(store).await;
    let mut browser = site.browser().await;
    browser.get("/insert:a:1").await;
    eventually("the store believes redis", async || {
        browser.get("/get:a").await;
        site.layer.admin().health().copies.is_some_and(|copies| copies.trusted)
    })
    .await;
    (site, printed)
}
