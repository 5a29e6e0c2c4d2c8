//! Every store that the crate has, each with servers of its own, for tests that say the same of all.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tempfile::TempDir;
use test_support::{AnyRedis as _, Bed, Database, PostgresServer, RedisServer};
use tokio::sync::OnceCell;
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, RedisConfig, RedisSessionLayer, RedisSessionLayerBuilder,
    RedisStore, encryption::UnsealedRecords,
};

use crate::contract::durable_on;

/// One store's servers.
pub struct Stores {
    pub name: &'static str,
    redis: Option<Redis>,
    database: Option<Place>,
    sealed: bool,
}

enum Redis {
    Own(RedisServer),
    /// Of all tests of the binary: each has a prefix of its own.
    Shared(Shared),
}

/// A bed that takes seconds to start, and a prefix for keys there.
pub struct Shared {
    bed: &'static Bed,
    prefix: String,
}

impl Shared {
    pub async fn cluster() -> Self {
        static CLUSTER: OnceCell<Bed> = OnceCell::const_new();
        Self::on(CLUSTER.get_or_init(Bed::cluster).await)
    }

    pub async fn sentinel() -> Self {
        static SENTINEL: OnceCell<Bed> = OnceCell::const_new();
        Self::on(SENTINEL.get_or_init(Bed::sentinel).await)
    }

    fn on(bed: &'static Bed) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self { bed, prefix: format!("session:{}:", NEXT.fetch_add(1, Ordering::Relaxed)) }
    }

    pub fn config(&self) -> RedisConfig {
        self.bed.patient().key_prefix(&self.prefix)
    }

    pub fn durable_config(&self) -> RedisConfig {
        self.bed.patient_durable().key_prefix(&self.prefix)
    }
}

impl Redis {
    async fn start() -> Option<Self> {
        Some(Self::Own(RedisServer::start().await))
    }

    fn config(&self) -> RedisConfig {
        match self {
            Self::Own(server) => server.patient(),
            Self::Shared(shared) => shared.config(),
        }
    }

    fn durable_config(&self) -> RedisConfig {
        match self {
            Self::Own(server) => test_support::patient(&server.durable_url()),
            Self::Shared(shared) => shared.durable_config(),
        }
    }

    /// What is stored under its prefix.
    async fn dump(&self) -> Vec<(String, Vec<u8>)> {
        match self {
            Self::Own(server) => server.dump().await,
            Self::Shared(Shared { bed, prefix }) => {
                let mut dump = bed.dump().await;
                dump.retain(|(key, _)| key.starts_with(prefix));
                dump
            }
        }
    }
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
        let mut all = vec![
            Self::new("redis", Redis::start().await, None),
            Self::new("sqlite", None, Place::sqlite()),
            Self::new("postgres", None, Place::postgres().await),
        ];
        all.push(Self { sealed: true, ..Self::new("redis, sealed", Redis::start().await, None) });
        all.extend(Self::durable().await);
        all.extend(Self::shared().await);
        all
    }

    /// On a cluster and behind sentinels.
    pub async fn shared() -> Vec<Self> {
        let (cluster, sentinel) = tokio::join!(Shared::cluster(), Shared::sentinel());
        let before = Shared::sentinel().await;
        let new = |name, shared, place| Self::new(name, Some(Redis::Shared(shared)), place);
        vec![
            new("redis cluster", cluster, None),
            new("redis behind sentinel", sentinel, None),
            new("redis behind sentinel before sqlite", before, Place::sqlite()),
        ]
    }

    /// Whether other tests use the same servers.
    pub fn are_shared(&self) -> bool {
        matches!(self.redis, Some(Redis::Shared(_)))
    }

    /// The Redis that no other test uses.
    pub fn server(&self) -> Option<&RedisServer> {
        match &self.redis {
            Some(Redis::Own(server)) => Some(server),
            _ => None,
        }
    }

    pub async fn durable() -> Vec<Self> {
        vec![
            Self::new("redis before sqlite", Redis::start().await, Place::sqlite()),
            Self::new("redis before postgres", Redis::start().await, Place::postgres().await),
        ]
    }

    fn new(name: &'static str, redis: Option<Redis>, database: Option<Place>) -> Self {
        Self { name, redis, database, sealed: false }
    }

    /// One more instance of a service, with connections and a memory of its own.
    pub async fn instance(
        &self,
        with: impl FnOnce(RedisSessionLayerBuilder) -> RedisSessionLayerBuilder,
    ) -> RedisSessionLayer {
        let mut builder = match (&self.redis, &self.database) {
            (Some(redis), None) => {
                RedisSessionLayer::builder(RedisStore::new(redis.config()).unwrap())
            }
            (None, Some(place)) => {
                let config = DatabaseConfig::new(place.url()).timeout(Duration::from_secs(10));
                RedisSessionLayer::builder(DatabaseStore::new(config).unwrap())
            }
            (Some(redis), Some(place)) => {
                let store = durable_on(redis.durable_config(), &place.url()).await;
                RedisSessionLayer::builder(store)
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
