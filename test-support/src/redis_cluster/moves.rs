//! Slots that move, step by step or at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use super::super::{FaultProxy, PATIENCE, eventually};
use super::RedisCluster;

/// A slot on its way: its keys move when a test says so. The cluster stays as it is when this is
/// dropped.
#[derive(Debug)]
#[must_use]
pub struct Move<'a> {
    cluster: &'a RedisCluster,
    pub slot: u16,
    pub from: usize,
    pub to: usize,
    replaces: bool,
}

impl RedisCluster {
    /// The slot is `IMPORTING` at its target and `MIGRATING` at its owner.
    pub async fn begin_move(&self, slot: u16, to: usize) -> Move<'_> {
        let from = self.owner_of(slot).await;
        assert_ne!(from, to, "the slot {slot} is there");
        let moving = Move { cluster: self, slot, from, to, replaces: false };
        moving.set_slot(to, "IMPORTING", Some(from)).await;
        moving.set_slot(from, "MIGRATING", Some(to)).await;
        moving
    }

    /// A slot with all its keys, as `redis-cli --cluster reshard` moves it.
    pub async fn move_slot(&self, slot: u16, to: usize) {
        self.move_slots([slot], to).await;
    }

    /// Slots one by one; those that are there stay.
    pub async fn move_slots(&self, slots: impl IntoIterator<Item = u16>, to: usize) {
        let primaries = self.selves().await.into_iter().filter(|(_, seen)| seen.is("master"));
        let primaries: Vec<_> = primaries.collect();
        let mut connections = BTreeMap::new();
        for (node, _) in &primaries {
            connections.insert(*node, self.connection(*node).await);
        }
        for slot in slots {
            let owner = primaries.iter().find(|(_, seen)| seen.owns(slot));
            let Some((from, _)) = owner else { panic!("nobody serves the slot {slot}") };
            if *from != to {
                let (from, replaces) = (*from, false);
                let moving = Move { cluster: self, slot, from, to, replaces };
                moving.whole(&mut connections).await;
            }
        }
    }

    /// Slots of one owner in one step, by `CLUSTER MIGRATESLOTS` of Valkey 9.
    pub async fn move_atomically(&self, slots: RangeInclusive<u16>, to: usize) {
        let from = self.owner_of(*slots.start()).await;
        let mut connection = self.connection(from).await;
        let mut migrate = redis::cmd("CLUSTER");
        migrate.arg("MIGRATESLOTS").arg("SLOTSRANGE").arg(slots.start()).arg(slots.end());
        migrate.arg("NODE").arg(&self.nodes[to].id);
        let () = migrate.query_async(&mut connection).await.unwrap();
        eventually("slots that have moved", async || {
            let mut ask = redis::cmd("CLUSTER");
            ask.arg("GETSLOTMIGRATIONS");
            let jobs: redis::Value = ask.query_async(&mut connection).await.unwrap();
            let jobs = format!("{jobs:?}");
            assert!(!jobs.contains("failed"), "a move that failed: {jobs}");
            let owner = self.owner_by(|seen| seen.owns(*slots.end())).await;
            owner == Some(to)
        })
        .await;
    }
}

impl Move<'_> {
    /// A key of the source replaces a copy at the target, which a move has left whose end was not
    /// seen: what the source has is younger.
    pub fn replacing(self) -> Self {
        Self { replaces: true, ..self }
    }

    /// Those that are still at the source.
    pub async fn keys(&self) -> Vec<Vec<u8>> {
        let mut connection = self.cluster.connection(self.from).await;
        keys_in(self.slot, 100_000, &mut connection).await
    }

    /// Moves these keys within so long; the source serves nobody else in the meantime.
    pub async fn migrate(&self, keys: &[impl AsRef<[u8]>], within: Duration) -> RedisResult<()> {
        self.migrate_by(self.cluster.node(self.to).addr(), keys, within).await
    }

    /// As [`Move::migrate`], by way of something else that listens at `addr`.
    pub async fn migrate_by(
        &self,
        addr: SocketAddr,
        keys: &[impl AsRef<[u8]>],
        within: Duration,
    ) -> RedisResult<()> {
        let mut connection = self.cluster.connection(self.from).await;
        let keys = keys.iter().map(AsRef::as_ref);
        self.send_keys(addr, keys, within, &mut connection).await
    }

    /// A way to the target for [`Move::migrate_by`]. It holds what it is told to hold before the
    /// first use: a node keeps the connection for ten seconds.
    pub async fn proxy(&self) -> FaultProxy {
        FaultProxy::start(self.cluster.node(self.to).addr()).await
    }

    /// Moves what is still at the source.
    pub async fn migrate_rest(&self) {
        let mut connection = self.cluster.connection(self.from).await;
        self.send_rest(&mut connection).await;
    }

    /// Hands the slot over; the source may hold no key of it.
    pub async fn finish(self) {
        let mut told = vec![self.to, self.from];
        let primaries = self.cluster.primaries().await.into_iter();
        told.extend(primaries.filter(|node| *node != self.to && *node != self.from));
        for node in told {
            self.set_slot(node, "NODE", Some(self.to)).await;
        }
    }

    /// The slot stays where it is. Keys that have moved stay unseen at the target.
    pub async fn give_up(self) {
        self.set_slot(self.from, "STABLE", None).await;
        self.set_slot(self.to, "STABLE", None).await;
    }

    async fn whole(&self, connections: &mut BTreeMap<usize, MultiplexedConnection>) {
        let at = |node| connections.get(&node).expect("a primary").clone();
        let (mut source, mut target) = (at(self.from), at(self.to));
        self.command("IMPORTING", Some(self.from)).exec_async(&mut target).await.unwrap();
        self.command("MIGRATING", Some(self.to)).exec_async(&mut source).await.unwrap();
        self.send_rest(&mut source).await;
        let handed_over = self.command("NODE", Some(self.to));
        handed_over.exec_async(&mut target).await.unwrap();
        handed_over.exec_async(&mut source).await.unwrap();
        for (node, connection) in connections {
            if *node != self.from && *node != self.to {
                handed_over.exec_async(connection).await.unwrap();
            }
        }
    }

    async fn send_rest(&self, source: &mut MultiplexedConnection) {
        loop {
            let keys = keys_in(self.slot, 100, source).await;
            if keys.is_empty() {
                return;
            }
            let addr = self.cluster.node(self.to).addr();
            let keys = keys.iter().map(Vec::as_slice);
            self.send_keys(addr, keys, PATIENCE, source).await.unwrap();
        }
    }

    async fn send_keys<'k>(
        &self,
        addr: SocketAddr,
        keys: impl Iterator<Item = &'k [u8]>,
        within: Duration,
        source: &mut MultiplexedConnection,
    ) -> RedisResult<()> {
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg(addr.ip().to_string()).arg(addr.port());
        migrate.arg("").arg(0).arg(u64::try_from(within.as_millis()).unwrap());
        if self.replaces {
            migrate.arg("REPLACE");
        }
        if let Some(password) = &self.cluster.builder.password {
            migrate.arg("AUTH").arg(password);
        }
        migrate.arg("KEYS");
        for key in keys {
            migrate.arg(key);
        }
        migrate.query_async(source).await
    }

    async fn set_slot(&self, at: usize, what: &str, other: Option<usize>) {
        let mut connection = self.cluster.connection(at).await;
        let set = self.command(what, other).query_async(&mut connection).await;
        let () = set.unwrap_or_else(|error| panic!("SETSLOT {} {what}: {error}", self.slot));
    }

    fn command(&self, what: &str, other: Option<usize>) -> redis::Cmd {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SETSLOT").arg(self.slot).arg(what);
        if let Some(other) = other {
            command.arg(&self.cluster.nodes[other].id);
        }
        command
    }
}

async fn keys_in(slot: u16, most: u32, at: &mut MultiplexedConnection) -> Vec<Vec<u8>> {
    let mut ask = redis::cmd("CLUSTER");
    ask.arg("GETKEYSINSLOT").arg(slot).arg(most);
    ask.query_async(at).await.unwrap()
}
