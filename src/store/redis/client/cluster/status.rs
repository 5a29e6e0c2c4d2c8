//! State of a cluster's nodes, as last seen, for operators. Performs no I/O.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::{
    clock::compared::Whose, error::Causes, store::redis::client::cluster::router::Router,
    telemetry::health::BackendHealth,
};

/// The nodes, and the slots.
#[derive(Clone, Debug)]
pub(in crate::store::redis) struct ClusterStatus {
    pub(in crate::store::redis) nodes: Vec<NodeStatus>,
    /// Number of slots that no node serves.
    pub(in crate::store::redis) uncovered: u16,
    /// Time since the map was read.
    pub(in crate::store::redis) read_ago: Option<Duration>,
    /// Time since a slot had another owner than before: a failover, or a slot that was moved.
    pub(in crate::store::redis) changed_ago: Option<Duration>,
    /// How often one had.
    pub(in crate::store::redis) changes: u64,
    /// Why the map could not be read lately.
    pub(in crate::store::redis) last_cause: Option<String>,
    /// Number of redirects to the owner of a slot.
    pub(in crate::store::redis) moved: u64,
    /// Number of redirects to the node to which a slot is moving.
    pub(in crate::store::redis) asked: u64,
    /// How often a command waited, since its slot was moving.
    pub(in crate::store::redis) moving: u64,
    /// How often a node was not a primary with its data.
    pub(in crate::store::redis) down: u64,
}

/// One node that serves slots.
#[derive(Clone, Debug)]
pub(in crate::store::redis) struct NodeStatus {
    pub(in crate::store::redis) address: String,
    pub(in crate::store::redis) slots: usize,
    /// Number of its replicas.
    pub(in crate::store::redis) replicas: usize,
    pub(in crate::store::redis) health: BackendHealth,
}

impl Router {
    pub(in crate::store::redis) fn cluster_status(&self) -> ClusterStatus {
        let (now, last) = (Instant::now(), self.0.refresh.last());
        let ago = |time: Option<Instant>| time.map(|time| now.saturating_duration_since(time));
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let table = self.0.nodes.table();
        let nodes = table.nodes.iter().zip(&table.replicas).enumerate();
        let nodes = nodes.map(|(number, (node, replicas))| NodeStatus {
            address: node.address.to_string(),
            slots: table.slots(number),
            replicas: *replicas,
            health: node.connections.status(),
        });
        let seen = &self.0.seen;
        ClusterStatus {
            nodes: nodes.collect(),
            uncovered: table.uncovered,
            read_ago: ago(last.read),
            changed_ago: ago(last.changed),
            changes: self.0.refresh.changes(),
            last_cause: last.error.map(|error| Causes(&error).to_string()),
            moved: count(&seen.moved),
            asked: count(&seen.asked),
            moving: count(&seen.moving),
            down: count(&seen.down),
        }
    }

    /// The nodes as one store: it replies while one of them does, and rejects writes if one does.
    pub(in crate::store::redis) fn status(&self) -> BackendHealth {
        let ClusterStatus { nodes, last_cause, changed_ago, .. } = self.cluster_status();
        let sum = |number: fn(&BackendHealth) -> u32| {
            nodes.iter().fold(0_u32, |sum, node| sum.saturating_add(number(&node.health)))
        };
        let down = nodes.iter().map(|node| node.health.unavailable_for);
        let cause = |node: &NodeStatus| {
            let cause = node.health.last_cause.as_ref()?;
            Some(format!("{}: {cause}", node.address))
        };
        BackendHealth {
            answers: match nodes.is_empty() {
                true => last_cause.is_none(),
                false => nodes.iter().any(|node| node.health.answers),
            },
            // Since the last of them failed, if all have.
            unavailable_for: down.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min()),
            rejects_writes: nodes.iter().any(|node| node.health.rejects_writes),
            last_cause: nodes.iter().find_map(cause).or(last_cause),
            connections: sum(|health| health.connections),
            pool_size: sum(|health| health.pool_size),
            clock_ahead: self.compared().ahead(Whose::Redis),
            primary: None,
            switched_ago: changed_ago,
        }
    }
}
