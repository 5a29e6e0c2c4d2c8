//! How processes become a cluster: what `redis-cli --cluster create` does, in two seconds, which
//! are the servers' own.

use std::collections::BTreeSet;
use std::sync::Mutex;

use futures_util::future::join_all;
use redis::RedisResult;

use super::super::redis_launch::Kind;
use super::super::redis_server::Data;
use super::super::{RedisServer, RespProxy, eventually};
use super::keys::SLOTS;
use super::partition::Bus;
use super::{ClusterBuilder, Node, RedisCluster, State};

impl ClusterBuilder {
    /// Returns when every node takes what belongs to it, and every replica has caught up.
    pub async fn start(self) -> RedisCluster {
        let count = self.primaries * (1 + self.replicas);
        let bus = Bus::default();
        let nodes = join_all((0..count).map(|number| self.start_node(number, &bus))).await;
        let cluster = RedisCluster { nodes, builder: self, bus };
        cluster.form().await;
        cluster
    }

    pub(super) async fn start_node(&self, number: usize, bus: &Bus) -> Node {
        let mut builder = RedisServer::builder()
            .kind(Kind::node())
            .arg("--cluster-enabled", "yes")
            .arg("--cluster-node-timeout", "500")
            .arg("--cluster-replica-validity-factor", "0")
            .arg("--cluster-allow-replica-migration", "no")
            .arg("--cluster-require-full-coverage", "no")
            .arg("--repl-diskless-sync", "yes")
            .arg("--repl-diskless-sync-delay", "0");
        if let Some(version) = &self.version {
            builder = builder.version(version);
        }
        if let Some(password) = &self.password {
            builder = builder.requirepass(password).arg("--masterauth", password);
        }
        for (name, prefix) in &self.users {
            builder = builder.user(name, prefix);
        }
        let proxy = match self.behind_proxies {
            true => Some(RespProxy::start(([127, 0, 0, 1], 1).into()).await),
            false => None,
        };
        if let Some(proxy) = &proxy {
            builder = builder.arg("--cluster-announce-port", &proxy.port().to_string());
        }
        let mut way_in = None;
        if self.with_partitions {
            let announced = way_in.insert(Bus::way().await).port().to_string();
            builder = builder
                .arg("--cluster-announce-bus-port", &announced)
                .arg("--cluster-announce-ip", "127.0.0.1")
                // For replicas, whose addresses are other ones on loopback.
                .arg("--protected-mode", "no")
                .arg("--bind-source-addr", &Bus::source(number).to_string());
        }
        for (name, value) in &self.args {
            builder = builder.arg(name, value);
        }
        if let (0, Some(snapshot)) = (number, &self.snapshot) {
            builder = builder.data(Data::Snapshot(snapshot.clone()));
        }
        let server = builder.start().await;
        if let Some(proxy) = &proxy {
            proxy.redirect(server.addr());
        }
        if let Some(way_in) = way_in {
            bus.open(number, way_in, server.port() + 10_000);
        }
        let mut connection = server.connection().await;
        let id = redis::cmd("CLUSTER").arg("MYID").query_async(&mut connection).await.unwrap();
        Node { server, proxy, id, state: Mutex::new(State::Runs) }
    }
}

impl RedisCluster {
    async fn form(&self) {
        let primaries = self.builder.primaries;
        for node in 0..self.nodes.len() {
            let mut ask = redis::pipe();
            let slots = self.first_slots(node).await;
            if !slots.is_empty() {
                ask.cmd("CLUSTER").arg("ADDSLOTS").arg(slots);
            }
            ask.cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(node + 1);
            let () = ask.query_async(&mut self.connection(node).await).await.unwrap();
        }
        for node in 1..self.nodes.len() {
            self.meet(0, node).await;
        }
        for node in primaries..self.nodes.len() {
            self.replicate(node, node % primaries).await;
        }
        self.wait_until_ok().await;
    }

    async fn first_slots(&self, node: usize) -> Vec<u16> {
        match (&self.builder.snapshot, node) {
            (Some(_), 0) => {
                // It has taken those of its keys.
                let own: BTreeSet<_> = self.slots_of(0).await.into_iter().collect();
                (0..SLOTS as u16).filter(|slot| !own.contains(slot)).collect()
            }
            (None, node) if node < self.builder.primaries => {
                let start = |node| (node * SLOTS / self.builder.primaries) as u16;
                (start(node)..start(node + 1)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// `known` greets `node`, and the others hear of it.
    pub(super) async fn meet(&self, known: usize, node: usize) {
        let port = self.node(node).port();
        let mut greet = redis::cmd("CLUSTER");
        // By its own address; what it announces it says itself.
        greet.arg("MEET").arg("127.0.0.1").arg(port).arg(port + 10_000);
        let () = greet.query_async(&mut self.connection(known).await).await.unwrap();
    }

    /// As soon as `node` has heard of `primary`.
    pub(super) async fn replicate(&self, node: usize, primary: usize) {
        let mut connection = self.connection(node).await;
        eventually("a node that knows its primary", async || {
            let replicated: RedisResult<()> = redis::cmd("CLUSTER")
                .arg("REPLICATE")
                .arg(&self.nodes[primary].id)
                .query_async(&mut connection)
                .await;
            replicated.is_ok()
        })
        .await;
    }
}
