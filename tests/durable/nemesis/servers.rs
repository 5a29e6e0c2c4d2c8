//! The Redis of a run: one server, two behind sentinels, or a cluster; each node behind a proxy for
//! each instance.

use std::collections::BTreeMap;

use super::history::{SITES, Site};
use super::sentinel_view::SentinelView;
use crate::two_instances::Deployment;
use test_support::{
    CONFIRMED, PASSWORD, RedisCluster, RedisServer, RespProxy, Sentinels, eventually, slot_of,
};

/// What a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bed {
    /// One Redis before a database.
    One,
    Sentinels {
        is_durable: bool,
    },
    Cluster,
}

#[derive(Debug)]
pub enum Servers {
    One(RedisServer),
    Sentinels(Sentinels),
    Cluster(RedisCluster),
}

/// The way of each instance to each node, and to each sentinel.
#[derive(Debug)]
pub struct Ways {
    by_node: Vec<[RespProxy; 2]>,
    sentinels: Vec<[SentinelView; 2]>,
    /// Primaries that share the slots; none where there is one.
    shards: usize,
}

impl Bed {
    pub fn is_durable(self) -> bool {
        matches!(self, Self::One | Self::Sentinels { is_durable: true })
    }

    /// Primaries that share the slots; none where there is one.
    pub fn shards(self) -> usize {
        if self == Self::Cluster { 3 } else { 0 }
    }

    pub async fn start(self) -> Servers {
        match self {
            Self::One => Servers::One(RedisServer::start().await),
            Self::Sentinels { .. } => {
                let sentinels = Sentinels::start().await;
                confirms(sentinels.server(0), sentinels.server(1), "key").await;
                Servers::Sentinels(sentinels)
            }
            Self::Cluster => {
                let cluster = RedisCluster::builder().with_partitions().start().await;
                for primary in 0..3 {
                    let replica = cluster.replica_of(primary).await;
                    let slots = cluster.slots_of(primary).await;
                    let is_there = |key: &String| slots.contains(&slot_of(key));
                    let key = (0..).map(|number| format!("key{number}")).find(is_there).unwrap();
                    confirms(cluster.node(primary), cluster.node(replica), &key).await;
                }
                Servers::Cluster(cluster)
            }
        }
    }
}

/// Waits until the primary counts its replica: it has acknowledged a key that does not stay.
async fn confirms(primary: &RedisServer, replica: &RedisServer, key: &str) {
    replica.has_all_of(primary).await;
    let mut connection = primary.connection().await;
    let mut set = redis::cmd("SET");
    let () = set.arg(key).arg(1).arg("PX").arg(50).query_async(&mut connection).await.unwrap();
    eventually("a replica that acknowledges", async || {
        let mut info = redis::cmd("INFO");
        let info: String = info.arg("replication").query_async(&mut connection).await.unwrap();
        info.lines().any(|line| line.starts_with("slave0:") && !line.contains("offset=0,"))
    })
    .await;
}

impl Servers {
    pub fn nodes(&self) -> Vec<&RedisServer> {
        match self {
            Self::One(server) => vec![server],
            Self::Sentinels(sentinels) => (0..2).map(|node| sentinels.server(node)).collect(),
            Self::Cluster(cluster) => (0..6).map(|node| cluster.node(node)).collect(),
        }
    }

    /// The server that has the sessions of a shard.
    pub async fn primary(&self, shard: usize) -> &RedisServer {
        match self {
            Self::One(server) => server,
            Self::Sentinels(sentinels) => sentinels.server(sentinels.primary().await),
            Self::Cluster(cluster) => cluster.node(primary_of(cluster, shard).await),
        }
    }

    /// Replicas copy their primaries again.
    pub async fn settle(&self) {
        match self {
            Self::One(_) => {}
            Self::Sentinels(sentinels) => {
                let primary = sentinels.primary().await;
                let (new, old) = (sentinels.server(primary), sentinels.server(1 - primary));
                // Sentinels do that too, within ten seconds.
                old.become_replica_of(new).await;
                confirms(new, old, "key").await;
                sentinels.wait_until_ok().await;
            }
            Self::Cluster(cluster) => cluster.wait_until_ok().await,
        }
    }

    /// A key without an end, if there is one.
    pub async fn eternal(&self) -> Option<String> {
        let keys = match self {
            Self::Cluster(cluster) => {
                cluster.keys().await.into_iter().map(|(_, key, ttl)| (key, ttl)).collect()
            }
            _ => self.primary(0).await.keys().await,
        };
        keys.into_iter().find(|(_, ttl)| *ttl < 0).map(|(key, _)| key)
    }
}

/// The node of the two that is primary. In a failover both may say so: the younger counts.
pub async fn primary_of(cluster: &RedisCluster, shard: usize) -> usize {
    let primaries = cluster.primaries().await;
    let pair = [shard, shard + 3];
    let of_pair = primaries.into_iter().find(|node| pair.contains(node));
    of_pair.expect("a primary of the shard")
}

impl Ways {
    pub async fn start(servers: &Servers) -> Self {
        let mut by_node = Vec::new();
        for node in servers.nodes() {
            let addr = node.addr();
            by_node.push([RespProxy::start(addr).await, RespProxy::start(addr).await]);
        }
        let shards = if matches!(servers, Servers::Cluster(_)) { 3 } else { 0 };
        let mut ways = Self { by_node, sentinels: Vec::new(), shards };
        if let Servers::Sentinels(sentinels) = servers {
            for sentinel in sentinels.addrs() {
                let [a, b] = SITES.map(|site| ways.ports(servers, site));
                let a = SentinelView::start(sentinel, a).await;
                ways.sentinels.push([a, SentinelView::start(sentinel, b).await]);
            }
        }
        ways
    }

    /// Those to a primary and to its replica.
    pub fn to(&self, site: Site, shard: usize) -> Vec<&RespProxy> {
        let is_of = |node: &usize| self.shards == 0 || node % self.shards == shard;
        let nodes = (0..self.by_node.len()).filter(is_of);
        nodes.map(|node| &self.by_node[node][site.index()]).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = &RespProxy> {
        self.by_node.iter().flatten()
    }

    /// What an instance is started with: an address, and how it is used.
    pub fn deployment(&self, servers: &Servers, site: Site) -> (String, Deployment) {
        let port = |node: usize| self.by_node[node][site.index()].port();
        match servers {
            Servers::One(server) => (server.durable_url_at(port(0)), Deployment::One),
            Servers::Sentinels(_) => {
                let views = self.sentinels.iter().map(|views| &views[site.index()]);
                let urls = views.map(|view| format!("redis://{}", view.addr())).collect();
                (String::new(), Deployment::Sentinels(urls))
            }
            Servers::Cluster(cluster) => {
                let seed = |node| cluster.node(node).url_as(CONFIRMED, PASSWORD, port(node));
                let seeds = (0..self.by_node.len()).map(seed).collect();
                (String::new(), Deployment::Cluster(seeds, self.ports(servers, site)))
            }
        }
    }

    /// The ports of the servers, and those of the proxies.
    fn ports(&self, servers: &Servers, site: Site) -> BTreeMap<u16, u16> {
        let ports = servers.nodes().into_iter().map(RedisServer::port);
        ports.zip(self.by_node.iter().map(|proxies| proxies[site.index()].port())).collect()
    }
}
