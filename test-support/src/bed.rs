//! One Redis server, a cluster, or servers behind sentinels, for tests that say the same of all of
//! them. Stores connect with the documented rights.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use redis::{Cmd, FromRedisValue};
use tower_redis_session::RedisConfig;

use super::redis_cluster::RedisCluster;
use super::redis_rights::{CONFIRMED, DURABLE, PASSWORD};
use super::redis_server::RedisServer;
use super::sentinels::Sentinels;
use super::site::patient;

/// Limits that no healthy Redis reaches, however busy the machine is.
const LONG: Duration = Duration::from_secs(10);

/// Where a site keeps sessions.
pub trait AnyRedis {
    /// For a store, with limits that no healthy Redis reaches.
    fn patient(&self) -> RedisConfig;

    /// Every key with the bytes of its value: see [`RedisServer::dump`].
    fn dump(&self) -> impl Future<Output = Vec<(String, Vec<u8>)>>;

    /// The server that has the key.
    fn server_of(&self, key: &str) -> impl Future<Output = &RedisServer>;

    /// The reply to a command of this key.
    fn query<T: FromRedisValue>(&self, key: &str, command: &Cmd) -> impl Future<Output = T> {
        async move {
            let mut connection = self.server_of(key).await.connection().await;
            command.query_async(&mut connection).await.unwrap()
        }
    }
}

/// The guard of what runs. Keys of a cluster's bed are looked for where its slots are: they do not
/// move.
#[derive(Debug)]
pub enum Bed {
    One(Box<RedisServer>),
    Cluster(Box<RedisCluster>),
    Sentinel(Box<Sentinels>),
}

impl Bed {
    pub async fn one() -> Self {
        Self::One(Box::new(RedisServer::start().await))
    }

    /// Three primaries.
    pub async fn cluster() -> Self {
        Self::Cluster(Box::new(RedisCluster::builder().replicas(0).start().await))
    }

    /// A primary, a replica and three sentinels.
    pub async fn sentinel() -> Self {
        Self::Sentinel(Box::new(Sentinels::start().await))
    }

    /// A server and a cluster.
    pub async fn both() -> [Self; 2] {
        let (one, cluster) = tokio::join!(Self::one(), Self::cluster());
        [one, cluster]
    }

    /// The server of a bed that has one, for what is about processes.
    pub fn server(&self) -> &RedisServer {
        match self {
            Self::One(server) => server,
            _ => panic!("{self} is not one server"),
        }
    }

    /// As [`AnyRedis::patient`], for a store that has to know who the server is.
    pub fn patient_durable(&self) -> RedisConfig {
        match self {
            Self::One(server) => patient(&server.durable_url()),
            Self::Cluster(cluster) => long(RedisConfig::cluster(cluster.durable_seeds())),
            Self::Sentinel(sentinels) => by(sentinels, DURABLE),
        }
    }

    /// The addresses, with commas between them, for another process: see [`patient_at`].
    pub fn urls(&self) -> String {
        match self {
            Self::One(server) => server.url(),
            Self::Cluster(cluster) => cluster.seeds().join(","),
            Self::Sentinel(_) => panic!("sentinels have no URL"),
        }
    }

    /// The servers that have keys.
    pub async fn primaries(&self) -> Vec<&RedisServer> {
        match self {
            Self::One(server) => vec![server],
            Self::Cluster(cluster) => {
                cluster.primaries().await.into_iter().map(|node| cluster.node(node)).collect()
            }
            Self::Sentinel(sentinels) => vec![sentinels.server(sentinels.primary().await)],
        }
    }

    /// Every key and its remaining milliseconds: see [`RedisServer::keys`].
    pub async fn keys(&self) -> Vec<(String, i64)> {
        let mut all = Vec::new();
        for server in self.primaries().await {
            all.extend(server.keys().await);
        }
        all.sort();
        all
    }

    #[track_caller]
    pub fn assert_every_key_has_a_ttl(&self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let mut eternal = self.keys().await;
            eternal.retain(|(_, ttl)| *ttl < 0);
            assert!(eternal.is_empty(), "keys without a TTL ({place}): {eternal:?}");
        }
    }

    /// Removes every key, for the next case of a table.
    pub async fn empty(&self) {
        for server in self.primaries().await {
            let mut connection = server.connection().await;
            let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
        }
    }
}

impl AnyRedis for Bed {
    fn patient(&self) -> RedisConfig {
        match self {
            Self::One(server) => AnyRedis::patient(&**server),
            Self::Cluster(cluster) => long(RedisConfig::cluster(cluster.seeds())),
            // Its user has to find out which server is the primary.
            Self::Sentinel(sentinels) => by(sentinels, CONFIRMED).confirm(1, LONG / 2),
        }
    }

    async fn dump(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for server in self.primaries().await {
            all.extend(server.dump().await);
        }
        all.sort();
        all
    }

    async fn server_of(&self, key: &str) -> &RedisServer {
        match self {
            Self::One(server) => server,
            Self::Cluster(cluster) => cluster.node(cluster.node_of(key).await),
            Self::Sentinel(sentinels) => sentinels.server(sentinels.primary().await),
        }
    }
}

impl AnyRedis for RedisServer {
    fn patient(&self) -> RedisConfig {
        patient(&self.url())
    }

    async fn dump(&self) -> Vec<(String, Vec<u8>)> {
        self.dump().await
    }

    async fn server_of(&self, _: &str) -> &RedisServer {
        self
    }
}

impl fmt::Display for Bed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "one server",
            Self::Cluster(_) => "a cluster",
            Self::Sentinel(_) => "a primary behind sentinels",
        })
    }
}

/// For a store at what [`Bed::urls`] returned.
pub fn patient_at(urls: &str) -> RedisConfig {
    match urls.contains(',') {
        true => long(RedisConfig::cluster(urls.split(','))),
        false => patient(urls),
    }
}

fn by(sentinels: &Sentinels, user: &str) -> RedisConfig {
    let addrs = sentinels.addrs().into_iter().map(|addr| format!("redis://{addr}"));
    long(RedisConfig::sentinel(sentinels.name(), addrs)).username(user).password(PASSWORD)
}

fn long(config: RedisConfig) -> RedisConfig {
    config.connect_timeout(LONG).command_timeout(LONG)
}
