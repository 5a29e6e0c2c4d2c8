//! A cluster in a configuration: its seeds, and the addresses of its nodes.

use std::fmt;

use crate::{
    error::ConfigError,
    store::redis::client::{
        address::{self, Address, Login},
        cluster::{
            address::{Announced, NodeAddress},
            seeds::{HostMap, Seeds},
        },
        config::{Place, RedisConfig},
        limits::Limits,
    },
};

/// Connections to each node, unless configured.
const POOL_SIZE: u32 = 2;
/// Maximum number of seeds.
const SEEDS_MAX: usize = 64;

/// A validated cluster.
pub(in crate::store::redis) struct Cluster {
    pub(in crate::store::redis) seeds: Vec<NodeAddress>,
    host_map: Option<HostMap>,
    /// The configuration of each node, but for its address.
    node: RedisConfig,
}

impl RedisConfig {
    /// Redis Cluster or Valkey Cluster, by the URLs of some of its nodes, the seeds, as for
    /// [`new`](Self::new): at least one that is reachable, from 1 to 64. All other nodes are
    /// discovered, also when nodes are replaced while the service runs. TLS, user name and password
    /// of the first URL, or those that the methods set, are for every node; the others must not
    /// contradict it. A cluster has the database 0 alone.
    ///
    /// For a [`RedisStore`](crate::RedisStore) and a
    /// [`CachedDirectory`](crate::directory::CachedDirectory); a store with a database and an
    /// import reject it. [`pool_size`](Self::pool_size) is the number of connections to each node
    /// and defaults to 2 here.
    ///
    /// ```
    /// # use tower_redis_session::RedisConfig;
    /// let config = RedisConfig::cluster(["redis://sessions:secret@a:6379", "redis://b:6379"]);
    /// # drop(config);
    /// ```
    pub fn cluster<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Self {
        let urls = urls.into_iter().map(Into::into).collect();
        Self::with_place(Place::Cluster(Seeds(urls))).pool_size(POOL_SIZE)
    }

    /// Where a node of a [`cluster`](Self::cluster) is, by the host and port that the cluster
    /// announces for it: for clusters that announce addresses which are unreachable from here, or
    /// which are not in the certificates of their nodes. A node that announces no host is reached
    /// at the host of the node that named it, without a call. Seeds are used as configured.
    /// Defaults to the announced host and port.
    ///
    /// ```
    /// # use tower_redis_session::RedisConfig;
    /// let config = RedisConfig::cluster(["rediss://redis.example:10000"])
    ///     .host_map(|_address, port| ("redis.example".to_owned(), port));
    /// # drop(config);
    /// ```
    pub fn host_map(
        mut self,
        map: impl Fn(&str, u16) -> (String, u16) + Send + Sync + 'static,
    ) -> Self {
        self.host_map = Some(HostMap::new(map));
        self
    }

    /// Whether it is the configuration of a cluster's node.
    pub(in crate::store::redis) fn is_of_a_cluster(&self) -> bool {
        matches!(self.place, Place::Node(_))
    }

    /// The cluster; `None` for another configuration.
    ///
    /// # Errors
    ///
    /// The first invalid seed, or what contradicts the first one; never a part of a URL.
    pub(in crate::store::redis) fn seeds(&self) -> Result<Option<Cluster>, ConfigError> {
        let Place::Cluster(Seeds(urls)) = &self.place else { return Ok(None) };
        if !(1..=SEEDS_MAX).contains(&urls.len()) {
            return Err(fault("has not 1 to 64 seeds"));
        }
        let parsed = urls.iter().map(|url| Seed::parse(url));
        let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
        let Some(first) = parsed.first() else { return Err(fault("has no seed")) };
        if parsed.iter().any(|seed| !seed.agrees_with(first)) {
            return Err(fault("has seeds that differ in TLS, user name or password"));
        }
        let database = self.database.or(first.login.database);
        if database.is_some_and(|database| database != 0) {
            return Err(ConfigError::new("redis database", "is not 0, and a cluster has no other"));
        }
        let mut node = Self { place: Place::Node(first.address.clone()), ..self.clone() };
        node.tls |= first.tls;
        node.username = node.username.or_else(|| first.login.username.clone());
        node.password = node.password.or_else(|| first.login.password.clone());
        let seeds = parsed.into_iter().map(|seed| seed.address).collect();
        Ok(Some(Cluster { seeds, host_map: node.host_map.take(), node }))
    }
}

impl Cluster {
    /// # Errors
    ///
    /// The first limit that is out of its range, or an invalid prefix.
    pub(in crate::store::redis) fn limits(&self) -> Result<Limits, ConfigError> {
        self.node.limits()
    }

    /// The configuration of one node.
    pub(in crate::store::redis) fn at(&self, address: &NodeAddress) -> RedisConfig {
        RedisConfig { place: Place::Node(address.clone()), ..self.node.clone() }
    }

    /// Where an announced node is; `asked` is the node that announced it.
    pub(in crate::store::redis) fn resolve(
        &self,
        announced: &Announced,
        asked: &NodeAddress,
    ) -> NodeAddress {
        let port = announced.port;
        match (announced.host.as_deref(), &self.host_map) {
            (None, _) => NodeAddress { port, ..asked.clone() },
            (Some(host), None) => NodeAddress::new(host, port),
            (Some(host), Some(map)) => map.map(host, port),
        }
    }
}

struct Seed {
    address: NodeAddress,
    tls: bool,
    login: Login,
}

impl Seed {
    fn parse(url: &str) -> Result<Self, ConfigError> {
        // The error omits the URL, which may hold the password.
        let url = address::parse(url).map_err(fault)?;
        match url.address {
            Address::Tcp { host, port } => {
                let address = NodeAddress::new(host, port);
                Ok(Self { address, tls: url.tls, login: url.login })
            }
            Address::Socket(_) => Err(fault("is a Unix socket, which no cluster has")),
        }
    }

    /// What it leaves out is the same.
    fn agrees_with(&self, first: &Self) -> bool {
        let same = |own: &Option<String>, first: &Option<String>| own.is_none() || own == first;
        let (own, other) = (&self.login, &first.login);
        self.tls == first.tls
            && same(&own.username, &other.username)
            && same(&own.password, &other.password)
            && own.database.unwrap_or(0) == other.database.unwrap_or(0)
    }
}

fn fault(fault: &'static str) -> ConfigError {
    ConfigError::new("redis cluster", fault)
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("seeds", &self.seeds).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::config::cluster::*;

    fn cluster(urls: &[&str]) -> Result<Cluster, String> {
        let config = RedisConfig::cluster(urls.iter().copied());
        seeds(&config)
    }

    fn seeds(config: &RedisConfig) -> Result<Cluster, String> {
        config.seeds().map(Option::unwrap).map_err(|error| error.to_string())
    }

    #[test]
    fn every_node_is_configured_as_the_first_seed() {
        let cluster =
            cluster(&["redis://user:secret@a:6380/0", "redis://b", "redis://user@[::1]:1"]);
        let cluster = cluster.unwrap();
        let named: Vec<_> = cluster.seeds.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["a:6380", "b:6379", "[::1]:1"]);
        let node = cluster.at(&NodeAddress::new("c", 7));
        assert!(node.is_of_a_cluster() && node.target().is_ok());
        assert_eq!(node.limits().unwrap().pool_size, POOL_SIZE);
        assert_eq!(
            (node.username.as_deref(), node.password.as_deref()),
            (Some("user"), Some("secret"))
        );
        let config = RedisConfig::cluster(["redis://user:secret@a"]).username("other").pool_size(7);
        let node = seeds(&config).unwrap().at(&NodeAddress::new("c", 7));
        assert_eq!(
            (node.username.as_deref(), node.password.as_deref()),
            (Some("other"), Some("secret"))
        );
        assert_eq!(node.limits().unwrap().pool_size, 7);
        assert!(RedisConfig::new("redis://a").seeds().unwrap().is_none());
    }

    #[test]
    fn a_cluster_that_cannot_be_meant_is_rejected() {
        for (name, urls, expected) in [
            ("no seed", vec![], "1 to 64"),
            ("many seeds", vec!["redis://a"; 65], "1 to 64"),
            ("no URL", vec!["redis://a", "b:6379"], "is not a redis://"),
            ("a socket", vec!["unix:///run/redis.sock"], "Unix socket"),
            ("a database", vec!["redis://a/1"], "is not 0"),
            ("a database in one", vec!["redis://a", "redis://b/1"], "differ"),
            ("TLS in one", vec!["redis://a", "rediss://b"], "differ"),
            ("another user", vec!["redis://u:p@a", "redis://v:p@b"], "differ"),
            ("a password in the second", vec!["redis://a", "redis://:p@b"], "differ"),
        ] {
            let error = cluster(&urls).map(|_| ()).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
        let error = seeds(&RedisConfig::cluster(["redis://a"]).database(1)).map(|_| ());
        assert_eq!(error.unwrap_err(), "redis database: is not 0, and a cluster has no other");
        let mapped = RedisConfig::new("redis://a").host_map(|host, port| (host.to_owned(), port));
        assert!(mapped.target().is_err_and(|error| error.setting() == "redis host map"));
        // Of what needs one server.
        let error = RedisConfig::cluster(["redis://a"]).target().map(|_| ()).unwrap_err();
        assert_eq!(error.setting(), "redis cluster");
    }

    #[test]
    fn an_announced_address_is_mapped_and_one_without_a_host_is_that_of_the_asked_node() {
        let asked = NodeAddress::new("seed.example", 1);
        let announced = |text| Announced::parse(text).unwrap();
        let plain = cluster(&["redis://a"]).unwrap();
        assert_eq!(plain.resolve(&announced("10.0.0.1:2"), &asked).to_string(), "10.0.0.1:2");
        assert_eq!(plain.resolve(&announced(":2"), &asked).to_string(), "seed.example:2");
        let config = RedisConfig::cluster(["redis://a"])
            .host_map(|host, port| (format!("{host}.example"), port + 1));
        let mapped = seeds(&config).unwrap();
        assert_eq!(mapped.resolve(&announced("n:2"), &asked).to_string(), "n.example:3");
        assert_eq!(mapped.resolve(&announced(":2"), &asked).to_string(), "seed.example:2");
    }
}
