//! What the nodes of a cluster say about it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::time::sleep;

use super::super::PATIENCE;
use super::RedisCluster;
use super::keys::SLOTS;

/// A line of `CLUSTER NODES`: one node as another sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: String,
    flags: Vec<String>,
    /// Whose replica it is, by its id.
    pub(super) primary: Option<String>,
    epoch: u64,
    is_connected: bool,
    /// The first and the last slot of each of its ranges.
    pub(super) slots: Vec<(u16, u16)>,
}

impl Seen {
    fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("{line}"));
        let (id, _addr, flags, primary) = (word(), word(), word(), word());
        let (_ping, _pong, epoch, link) = (word(), word(), word(), word());
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{line}"));
        // What moves stands in brackets.
        let slots = words.filter(|word| !word.starts_with('[')).map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            (number(first), number(last))
        });
        Self {
            id: id.to_owned(),
            flags: flags.split(',').map(str::to_owned).collect(),
            primary: (primary != "-").then(|| primary.to_owned()),
            epoch: epoch.parse().unwrap_or_else(|_| panic!("{line}")),
            is_connected: link == "connected",
            slots: slots.collect(),
        }
    }

    pub(super) fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|other| other == flag)
    }

    pub(super) fn owns(&self, slot: u16) -> bool {
        self.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }

    fn size(&self) -> usize {
        self.slots.iter().map(|(first, last)| usize::from(last - first) + 1).sum()
    }

    fn is_well(&self) -> bool {
        self.is_connected && !["fail", "fail?", "handshake"].iter().any(|flag| self.is(flag))
    }
}

impl RedisCluster {
    /// The primary that serves a slot: the youngest of those that say so.
    pub async fn owner_of(&self, slot: u16) -> usize {
        let owner = self.owner_by(|seen| seen.owns(slot)).await;
        owner.unwrap_or_else(|| panic!("no node says that it serves the slot {slot}"))
    }

    /// The primary that serves a key: see [`RedisCluster::owner_of`].
    pub async fn node_of(&self, key: impl AsRef<[u8]>) -> usize {
        self.owner_of(super::slot_of(key)).await
    }

    /// The nodes that call themselves primaries, and answer.
    pub async fn primaries(&self) -> Vec<usize> {
        let selves = self.selves().await.into_iter();
        selves.filter(|(_, seen)| seen.is("master")).map(|(node, _)| node).collect()
    }

    /// The replicas of a node, which may be dead, that answer.
    pub async fn replicas_of(&self, node: usize) -> Vec<usize> {
        let id = Some(&self.nodes[node].id);
        let selves = self.selves().await.into_iter();
        selves.filter(|(_, seen)| seen.primary.as_ref() == id).map(|(node, _)| node).collect()
    }

    /// The first of [`RedisCluster::replicas_of`].
    pub async fn replica_of(&self, node: usize) -> usize {
        let replicas = self.replicas_of(node).await;
        *replicas.first().unwrap_or_else(|| panic!("the node {node} has no replica that answers"))
    }

    /// The slots that a node serves.
    pub async fn slots_of(&self, node: usize) -> Vec<u16> {
        let seen = self.seen_by(node).await.expect("a node that answers");
        let own = seen.into_iter().find(|seen| seen.is("myself"));
        own.into_iter().flat_map(|own| own.slots).flat_map(|(first, last)| first..=last).collect()
    }

    /// Waits until all nodes that run agree, all slots are served by one of them, and every replica
    /// has caught up with its primary.
    pub async fn wait_until_ok(&self) {
        let running = self.running();
        let mut connections: Vec<_> =
            join_all(running.iter().map(|node| self.connection(*node))).await;
        let started = Instant::now();
        loop {
            let views = join_all(connections.iter_mut().map(view)).await;
            if self.all_is_well(&views) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "the nodes do not agree: {views:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn all_is_well(&self, views: &[RedisResult<View>]) -> bool {
        let views: Vec<_> = views.iter().flatten().collect();
        let running = self.running();
        let ids: Vec<_> = running.iter().map(|node| &self.nodes[*node].id).collect();
        let of_those_that_run = |view: &View| -> Vec<_> {
            ids.iter().filter_map(|id| view.nodes.get(*id).cloned()).collect()
        };
        let Some(first) = views.first().map(|view| of_those_that_run(view)) else { return false };
        let served = first.iter().map(Seen::size).sum::<usize>();
        views.len() == ids.len()
            && served == SLOTS
            && views.iter().all(|view| {
                let seen = of_those_that_run(view);
                let agrees = || {
                    let pairs = seen.iter().zip(&first);
                    pairs.clone().all(|(a, b)| (a.slots == b.slots) && a.primary == b.primary)
                };
                let are_well = seen.len() == ids.len() && seen.iter().all(Seen::is_well);
                are_well && agrees() && view.is_ok && view.is_in_step()
            })
    }

    /// What one node sees, itself included.
    pub(super) async fn seen_by(&self, node: usize) -> RedisResult<Vec<Seen>> {
        nodes(&mut self.connection(node).await).await
    }

    /// What the nodes that answer say of themselves.
    pub(super) async fn selves(&self) -> Vec<(usize, Seen)> {
        let asked = join_all(self.running().into_iter().map(|node| async move {
            let seen = self.seen_by(node).await.ok()?;
            seen.into_iter().find(|seen| seen.is("myself")).map(|seen| (node, seen))
        }));
        asked.await.into_iter().flatten().collect()
    }

    pub(super) async fn owner_by(&self, is_owner: impl Fn(&Seen) -> bool) -> Option<usize> {
        let selves = self.selves().await.into_iter();
        let owners = selves.filter(|(_, seen)| seen.is("master") && is_owner(seen));
        owners.max_by_key(|(_, seen)| seen.epoch).map(|(node, _)| node)
    }
}

#[derive(Debug)]
struct View {
    nodes: BTreeMap<String, Seen>,
    is_ok: bool,
    replication: String,
}

impl View {
    /// A replica has its primary's link; a primary whose replicas are up counts them.
    fn is_in_step(&self) -> bool {
        let own = self.nodes.values().find(|seen| seen.is("myself"));
        let Some(own) = own else { return false };
        if own.primary.is_some() {
            return self.replication.contains("master_link_status:up");
        }
        let replicas = self
            .nodes
            .values()
            .filter(|seen| seen.primary.as_ref() == Some(&own.id) && seen.is_well());
        self.replication.matches("state=online").count() >= replicas.count()
    }
}

async fn view(connection: &mut MultiplexedConnection) -> RedisResult<View> {
    let info: String = redis::cmd("CLUSTER").arg("INFO").query_async(connection).await?;
    let replication = redis::cmd("INFO").arg("replication").query_async(connection).await?;
    let nodes = nodes(connection).await?.into_iter().map(|seen| (seen.id.clone(), seen));
    let is_ok = info.contains("cluster_state:ok");
    Ok(View { nodes: nodes.collect(), is_ok, replication })
}

async fn nodes(connection: &mut MultiplexedConnection) -> RedisResult<Vec<Seen>> {
    let text: String = redis::cmd("CLUSTER").arg("NODES").query_async(connection).await?;
    Ok(text.lines().map(Seen::parse).collect())
}
