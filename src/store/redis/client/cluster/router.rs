//! Router: sends each command to the node that serves the slot of its key, and follows the slot.
//!
//! What may have run is never sent again, unless it may run twice. A node that hangs delays the
//! commands of its own slots alone: no connection, lock or task is shared with another.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{Cmd, Value};

use crate::{
    clock::compared::Compared,
    error::{ConfigError, Error, ErrorKind},
    store::redis::client::{
        cluster::{
            decision::{Came, Follow, Step, To, Tries},
            node::Node,
            node_error::NodeError,
            nodes::{Nodes, Owner},
            refresh::Refresh,
            sending::{Read, Sending, Write, came},
            slot::Slot,
        },
        config::cluster::Cluster,
        connection::{Answer, Connection},
        failure::Failure,
        script::{Call, Script},
    },
    telemetry::events::Events,
};

/// Sends to the nodes of one cluster. Clones share the connections.
#[derive(Clone)]
pub(in crate::store::redis) struct Router(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) nodes: Arc<Nodes>,
    pub(super) refresh: Refresh,
    /// Time after which no try of a command starts.
    limit: Duration,
    pub(super) seen: Seen,
}

/// Number of error replies about slots.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) moved: AtomicU64,
    pub(super) asked: AtomicU64,
    pub(super) moving: AtomicU64,
    pub(super) down: AtomicU64,
}

impl Router {
    /// A router with `scripts`; with `events` of a store of sessions. Opens no connection.
    ///
    /// # Errors
    ///
    /// The first invalid setting of a node.
    pub(in crate::store::redis) fn new(
        cluster: Cluster,
        scripts: &'static [Script],
        compared: Compared,
        events: Option<Events>,
    ) -> Result<Self, ConfigError> {
        let limits = cluster.limits()?;
        let nodes = Arc::new(Nodes::new(cluster, scripts, compared, events.clone())?);
        let refresh = Refresh::new(&nodes, limits, events);
        let (limit, seen) = (limits.command_timeout, Seen::default());
        Ok(Self(Arc::new(Shared { nodes, refresh, limit, seen })))
    }

    /// Sends a command of one key that is safe to run twice: after a loss once more, to the owner
    /// of the slot by then.
    pub(in crate::store::redis) async fn read(
        &self,
        slot: Slot,
        command: &Cmd,
    ) -> Result<Value, Error> {
        let doubt = self.0.limit / 2;
        let sent = self.send(slot, &Read { command, doubt, ends: None }).await;
        sent.map_err(|failure| failure.error)
    }

    /// Calls a script, built for the connection that it is sent over; again only if the server
    /// reports that it did not run. With [`Follow::Many`] its result -4 reports that.
    pub(in crate::store::redis) async fn call(
        &self,
        slot: Slot,
        follow: Follow,
        build: impl Fn(&Connection) -> Result<Call, Error> + Sync,
    ) -> Result<Answer, Error> {
        let sending = Write { follow, build, repeatable: false, ends: None };
        answer(self.send(slot, &sending).await)
    }

    /// Calls a script that is safe to run twice: after a loss once more, at the owner of the slot
    /// by then.
    pub(in crate::store::redis) async fn repeatable(
        &self,
        slot: Slot,
        follow: Follow,
        build: impl Fn(&Connection) -> Result<Call, Error> + Sync,
    ) -> Result<Value, Error> {
        let sending = Write { follow, build, repeatable: true, ends: None };
        self.send(slot, &sending).await.map_err(|failure| failure.error)
    }

    /// The nodes that serve slots; reads the map if there is none.
    ///
    /// # Errors
    ///
    /// No node replies with a map.
    pub(in crate::store::redis) async fn primaries(&self) -> Result<Vec<Arc<Node>>, Error> {
        if !self.0.nodes.has_map() {
            self.0.refresh.first_map().await?;
        }
        Ok(self.0.nodes.primaries())
    }

    pub(in crate::store::redis) fn nodes(&self) -> &Nodes {
        &self.0.nodes
    }

    pub(in crate::store::redis) fn compared(&self) -> &Compared {
        self.0.nodes.compared()
    }

    /// Sends a command until there is a result.
    pub(in crate::store::redis) async fn send(
        &self,
        slot: Slot,
        sending: &impl Sending,
    ) -> Result<Value, Failure> {
        self.0.refresh.keep();
        let started = Instant::now();
        let Owner::Node(node) = self.0.nodes.owner(slot) else {
            // Boxed, as what follows: rare, and the usual command stays small.
            return Box::pin(self.send_first(slot, sending, started)).await;
        };
        match attempt(&node, sending, false).await {
            Ok(value) => Ok(value),
            Err(failure) => Box::pin(self.again(slot, sending, started, (node, failure))).await,
        }
    }

    /// Without a map, or without an owner of the slot.
    async fn send_first(
        &self,
        slot: Slot,
        sending: &impl Sending,
        mut started: Instant,
    ) -> Result<Value, Failure> {
        if !self.0.nodes.has_map() {
            self.0.refresh.first_map().await?;
            started = Instant::now();
        }
        let (node, failure) = match self.0.nodes.owner(slot) {
            Owner::Node(node) => match attempt(&node, sending, false).await {
                Ok(value) => return Ok(value),
                Err(failure) => (Some(node), failure),
            },
            Owner::Nobody | Owner::Unknown => (None, unserved()),
        };
        self.again_after(slot, sending, started, node, failure).await
    }

    async fn again(
        &self,
        slot: Slot,
        sending: &impl Sending,
        started: Instant,
        (node, failure): (Arc<Node>, Failure),
    ) -> Result<Value, Failure> {
        self.again_after(slot, sending, started, Some(node), failure).await
    }

    /// After a first try at `node` that failed.
    async fn again_after(
        &self,
        slot: Slot,
        sending: &impl Sending,
        started: Instant,
        mut node: Option<Arc<Node>>,
        mut failure: Failure,
    ) -> Result<Value, Failure> {
        let mut tries = Tries::new(sending.follow(), self.0.limit);
        loop {
            let came = came(&failure, sending.repeats(&failure));
            self.note(came, failure.lost, node.as_deref());
            let Some(step) = tries.next(came, started.elapsed()) else { return Err(failure) };
            tracing::debug!(
                ?came, ?step, node = ?node, slot = slot.number(), "redis command sent again"
            );
            if !step.after.is_zero() {
                tokio::time::sleep(step.after).await;
            }
            let tried = match self.next_node(slot, step, node.as_deref(), &failure) {
                Ok(next) => {
                    let tried = attempt(&next, sending, step.to == To::Asked).await;
                    node = Some(next);
                    tried
                }
                Err(failure) => Err(failure),
            };
            match tried {
                Ok(value) => return Ok(value),
                Err(next) => failure = next,
            }
        }
    }

    fn next_node(
        &self,
        slot: Slot,
        step: Step,
        tried: Option<&Node>,
        failure: &Failure,
    ) -> Result<Arc<Node>, Failure> {
        let nodes = &self.0.nodes;
        match (step.to, failure.node_error.as_deref(), tried) {
            (To::Moved, Some(NodeError::Moved(slot, announced)), Some(tried)) => {
                let node = nodes.announced(announced, &tried.address)?;
                nodes.assign(*slot, &node);
                Ok(node)
            }
            (To::Asked, Some(NodeError::Ask(_, announced)), Some(tried)) => {
                Ok(nodes.announced(announced, &tried.address)?)
            }
            _ => match nodes.owner(slot) {
                Owner::Node(node) => Ok(node),
                Owner::Nobody | Owner::Unknown => Err(unserved()),
            },
        }
    }

    /// Counts, and has the map read again where that may help.
    fn note(&self, came: Came, lost: bool, node: Option<&Node>) {
        let seen = &self.0.seen;
        let counter = match came {
            Came::Moved => Some(&seen.moved),
            Came::Ask => Some(&seen.asked),
            Came::Moving => Some(&seen.moving),
            Came::Down => Some(&seen.down),
            _ => None,
        };
        if let Some(counter) = counter {
            let _ = counter.fetch_add(1, Ordering::Relaxed);
        }
        if came.outdates_the_map() || lost {
            // A node that redirects knows the map.
            let doubted = node.filter(|_| came != Came::Moved).map(|node| &node.address);
            self.0.refresh.wanted(doubted);
        }
    }
}

async fn attempt(node: &Node, sending: &impl Sending, asking: bool) -> Result<Value, Failure> {
    let request = node.connections.request();
    let result = sending.over(&node.connections, asking).await;
    sending.ended(request, &result);
    result
}

/// The result of a write, or the error that leaves it unknown.
fn answer(sent: Result<Value, Failure>) -> Result<Answer, Error> {
    match sent {
        Ok(value) => Ok(Ok(value)),
        Err(failure) if failure.unknown => Ok(Err(failure.error)),
        Err(failure) => Err(failure.error),
    }
}

fn unserved() -> Failure {
    let text = "no redis node serves the slot of the session";
    Error::new(ErrorKind::Unavailable, text).into()
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("nodes", &self.0.nodes).finish_non_exhaustive()
    }
}
