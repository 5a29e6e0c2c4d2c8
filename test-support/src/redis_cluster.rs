//! A real cluster for one test: primaries with their replicas, gone when dropped. A node is named
//! by its number: the primaries first, then the first replica of each, then the second.
//!
//! ```ignore
//! let cluster = RedisCluster::start().await;
//! let slot = slot_of(b"session:u:{b3c}alice");
//! let x = cluster.owner_of(slot).await;
//! let moving = cluster.begin_move(slot, (x + 1) % 3).await;
//! moving.migrate(&[b"session:u:{b3c}alice"], Duration::from_secs(1)).await.unwrap();
//! moving.give_up().await;
//! cluster.kill(x);
//! cluster.wait_until_ok().await;
//! ```

mod failover;
mod formation;
mod keys;
mod members;
mod monitors;
mod moves;
mod partition;
mod view;

use std::net::SocketAddr;
use std::sync::Mutex;

use redis::aio::MultiplexedConnection;

use self::partition::Bus;
use super::{RedisServer, RespProxy, Snapshot};

pub use self::keys::slot_of;
pub use self::monitors::ClusterMonitor;
pub use self::moves::Move;

/// The guard of a cluster.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Node>,
    builder: ClusterBuilder,
    bus: Bus,
}

/// One process, and what is in front of it.
#[derive(Debug)]
struct Node {
    server: RedisServer,
    /// The address that the node announces to clients and to the others, if any but its own.
    proxy: Option<RespProxy>,
    id: String,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Runs,
    Hangs,
    IsDead,
}

/// What a cluster is started with.
#[derive(Debug, Clone)]
#[must_use]
pub struct ClusterBuilder {
    version: Option<String>,
    primaries: usize,
    replicas: usize,
    args: Vec<(String, String)>,
    users: Vec<(String, String)>,
    password: Option<String>,
    snapshot: Option<Snapshot>,
    behind_proxies: bool,
    with_partitions: bool,
}

impl ClusterBuilder {
    /// See [`Builder::version`](super::Builder::version).
    pub fn version(mut self, name: &str) -> Self {
        self.version = Some(name.to_owned());
        self
    }

    /// Defaults to 3.
    pub fn primaries(mut self, count: usize) -> Self {
        self.primaries = count;
        self
    }

    /// Of each primary. Defaults to 1.
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// See [`Builder::arg`](super::Builder::arg); for every node.
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.push((name.to_owned(), value.to_owned()));
        self
    }

    /// See [`Builder::user`](super::Builder::user).
    pub fn user(mut self, name: &str, prefix: &str) -> Self {
        self.users.push((name.to_owned(), prefix.to_owned()));
        self
    }

    /// See [`Builder::requirepass`](super::Builder::requirepass); nodes know it of each other.
    pub fn requirepass(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// The first primary starts with what a server of its own held, and with all slots; the others
    /// have none.
    pub fn snapshot(mut self, snapshot: Snapshot) -> Self {
        self.snapshot = Some(snapshot);
        self
    }

    /// Each node announces a proxy, by which clients and replicas come: see
    /// [`RedisCluster::proxy`]. What nodes tell each other about the cluster takes another way, so
    /// that a proxy that is shut is no failure to them.
    pub fn behind_proxies(mut self) -> Self {
        self.behind_proxies = true;
        self
    }

    /// For [`RedisCluster::cut_off`]. Not on Redis 6.2.
    pub fn with_partitions(mut self) -> Self {
        self.with_partitions = true;
        self
    }
}

impl RedisCluster {
    /// Three primaries with a replica each, of the system's version.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// See [`ClusterBuilder::version`].
    pub async fn start_version(name: &str) -> Self {
        Self::builder().version(name).start().await
    }

    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            version: None,
            primaries: 3,
            replicas: 1,
            args: Vec::new(),
            users: Vec::new(),
            password: None,
            snapshot: None,
            behind_proxies: false,
            with_partitions: false,
        }
    }

    pub fn node(&self, node: usize) -> &RedisServer {
        &self.nodes[node].server
    }

    /// In front of a node of a cluster [`ClusterBuilder::behind_proxies`].
    pub fn proxy(&self, node: usize) -> &RespProxy {
        self.nodes[node].proxy.as_ref().expect("a cluster that is started behind_proxies()")
    }

    /// Where clients find the node: its proxy, if it has one.
    pub fn addr(&self, node: usize) -> SocketAddr {
        match &self.nodes[node].proxy {
            Some(proxy) => proxy.addr(),
            None => self.node(node).addr(),
        }
    }

    /// Those of all nodes that run or hang, for a store: see [`RedisServer::url`].
    pub fn seeds(&self) -> Vec<String> {
        let url = |node: usize| self.node(node).url_at(self.addr(node).port());
        self.members().into_iter().map(url).collect()
    }

    /// As [`RedisCluster::seeds`], for a store that has to know who the servers are.
    pub fn durable_seeds(&self) -> Vec<String> {
        let url = |node: usize| self.node(node).durable_url_at(self.addr(node).port());
        self.members().into_iter().map(url).collect()
    }

    /// As [`RedisCluster::seeds`], for a store whose ends of sessions replicas confirm.
    pub fn confirmed_seeds(&self) -> Vec<String> {
        let url = |node: usize| self.node(node).confirmed_url_at(self.addr(node).port());
        self.members().into_iter().map(url).collect()
    }

    /// See [`RedisServer::connection`]: past the proxy.
    pub async fn connection(&self, node: usize) -> MultiplexedConnection {
        self.node(node).connection().await
    }

    /// The nodes that run or hang.
    pub fn members(&self) -> Vec<usize> {
        self.those(|state| state != State::IsDead)
    }

    /// The nodes that answer.
    pub fn running(&self) -> Vec<usize> {
        self.those(|state| state == State::Runs)
    }

    fn those(&self, are: impl Fn(State) -> bool) -> Vec<usize> {
        let states = self.nodes.iter().map(|node| *node.state.lock().unwrap());
        states.enumerate().filter(|(_, state)| are(*state)).map(|(node, _)| node).collect()
    }

    fn set_state(&self, node: usize, state: State) {
        *self.nodes[node].state.lock().unwrap() = state;
    }
}
