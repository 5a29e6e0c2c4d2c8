//! Every store that the crate has, each with servers of its own, for tests that say the same of all.

use std::time::Duration;

use tempfile::TempDir;
use test_support::{Database, PostgresServer, RedisServer, patient};
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, RedisSessionLayer, RedisSessionLayerBuilder, RedisStore,
    encryption::UnsealedRecords,
};

use crate::contract::durable;

/// One store's servers.
pub struct Stores {
    pub name: &'static str,
    pub redis: Option<RedisServer>,
    database: Option<Place>,
    sealed: bool,
}

enum Place {
    Sqlite(TempDir),
    Postgres(Database),
}

impl Place {
    fn sqlite() -> Option<Self> {
        Some(Self::Sqlite(tempfile::tempdir().unwrap()))
    }

    async fn postgres() -> Option<Self> {
        Some(Self::Postgres(PostgresServer::shared().await.database().await))
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}/sessions.db", folder.path().display()),
            Self::Postgres(database) => database.url(),
        }
    }
}

impl Stores {
    pub async fn all() -> Vec<Self> {
        let redis = async || Some(RedisServer::start().await);
        let mut all = vec![
            Self::new("redis", redis().await, None),
            Self::new("sqlite", None, Place::sqlite()),
            Self::new("postgres", None, Place::postgres().await),
        ];
        all.push(Self { sealed: true, ..Self::new("redis, sealed", redis().await, None) });
        all.extend(Self::durable().await);
        all
    }

    pub async fn durable() -> Vec<Self> {
        let redis = async || Some(RedisServer::start().await);
        vec![
            Self::new("redis before sqlite", redis().await, Place::sqlite()),
            Self::new("redis before postgres", redis().await, Place::postgres().await),
        ]
    }

    fn new(name: &'static str, redis: Option<RedisServer>, database: Option<Place>) -> Self {
        Self { name, redis, database, sealed: false }
    }

    /// One more instance of a service, with connections and a memory of its own.
    pub async fn instance(
        &self,
        with: impl FnOnce(RedisSessionLayerBuilder) -> RedisSessionLayerBuilder,
    ) -> RedisSessionLayer {
        let mut builder = match (&self.redis, &self.database) {
            (Some(redis), None) => {
                RedisSessionLayer::builder(RedisStore::new(patient(&redis.url())).unwrap())
            }
            (None, Some(place)) => {
                let config = DatabaseConfig::new(place.url()).timeout(Duration::from_secs(10));
                RedisSessionLayer::builder(DatabaseStore::new(config).unwrap())
            }
            (Some(redis), Some(place)) => {
                RedisSessionLayer::builder(durable(redis, &place.url()).await)
            }
            (None, None) => unreachable!("no store"),
        };
        if self.sealed {
            builder = builder.seal_records(UnsealedRecords::Reject);
        }
        let layer = with(builder.budget(Duration::from_secs(20))).build().unwrap();
        layer.migrate().await.unwrap();
        layer
    }

    /// How many rows of failed attempts there are.
    pub async fn attempts(&self) -> u64 {
        const COUNT: &str = "SELECT count(*) FROM trs_attempts";
        let rows = match (&self.database, &self.redis) {
            (Some(Place::Postgres(database)), _) => database.sql(COUNT).await,
            (Some(Place::Sqlite(folder)), _) => {
                let mut command = tokio::process::Command::new("sqlite3");
                let command = command.arg(folder.path().join("sessions.db")).arg(COUNT);
                String::from_utf8(command.output().await.expect("starting sqlite3").stdout).unwrap()
            }
            (None, Some(redis)) => {
                let dump = redis.dump().await.into_iter().filter(|(key, _)| key.contains(":a:"));
                // A tag of 16 bytes and a row of 28.
                return dump.map(|(_, bytes)| bytes.len() as u64 / 44).sum();
            }
            (None, None) => unreachable!("no store"),
        };
        rows.trim().parse().unwrap()
    }

    pub async fn two_instances(&self) -> [RedisSessionLayer; 2] {
        // What a session was before it moved is not read any more.
        let with = |builder: RedisSessionLayerBuilder| builder.renewal_grace(Duration::ZERO);
        [self.instance(with).await, self.instance(with).await]
    }
}
