//! The nodes of a cluster: connections to each, by its address and by the slots that it serves.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    clock::compared::Compared,
    error::{ConfigError, Error, ErrorKind},
    store::{
        availability::Availability,
        redis::client::{
            cluster::{
                address::{Announced, NodeAddress},
                map::Map,
                node::Node,
                slot::{SLOTS, Slot},
            },
            config::cluster::Cluster,
            pool::Connections,
            script::Script,
        },
    },
    telemetry::{events::Events, health::Serving},
};

/// Maximum number of nodes with connections.
const NODES_MAX: usize = 1200;
/// How long a node keeps its connections after it was named last.
const KEPT: Duration = Duration::from_secs(30);
/// The owner of a slot that no node serves.
const NOBODY: u16 = u16::MAX;

/// All of them.
pub(in crate::store::redis) struct Nodes {
    cluster: Cluster,
    scripts: &'static [Script],
    compared: Compared,
    /// None if they serve no sessions.
    events: Option<Events>,
    started: Instant,
    table: RwLock<Table>,
}

/// Who serves a slot.
pub(in crate::store::redis) enum Owner {
    Node(Arc<Node>),
    /// No node, by the map.
    Nobody,
    /// No map was read so far.
    Unknown,
}

/// Swapped as a whole, except for the owner of a single slot.
#[derive(Default)]
pub(super) struct Table {
    /// Numbers in `nodes`; empty before the first map.
    owners: Box<[u16]>,
    pub(super) nodes: Vec<Arc<Node>>,
    /// Replicas of each of the first nodes, which are those of the map.
    pub(super) replicas: Vec<usize>,
    pub(super) uncovered: u16,
    /// Whether a redirect has changed it.
    is_changed: bool,
}

impl Nodes {
    /// # Errors
    ///
    /// What is invalid for each node.
    pub(super) fn new(
        cluster: Cluster,
        scripts: &'static [Script],
        compared: Compared,
        events: Option<Events>,
    ) -> Result<Self, ConfigError> {
        let (started, table) = (Instant::now(), RwLock::default());
        let nodes = Self { cluster, scripts, compared, events, started, table };
        for seed in &nodes.cluster.seeds {
            let _ = nodes.open(seed)?;
        }
        Ok(nodes)
    }

    /// The node that serves a slot.
    pub(in crate::store::redis) fn owner(&self, slot: Slot) -> Owner {
        let table = self.table();
        if table.owners.is_empty() {
            return Owner::Unknown;
        }
        let owner = table.owners.get(usize::from(slot.number()));
        let node = owner.and_then(|owner| table.nodes.get(usize::from(*owner)));
        node.map_or(Owner::Nobody, |node| Owner::Node(Arc::clone(node)))
    }

    pub(super) fn has_map(&self) -> bool {
        !self.table().owners.is_empty()
    }

    /// The nodes that serve slots.
    pub(in crate::store::redis) fn primaries(&self) -> Vec<Arc<Node>> {
        self.table().primaries().cloned().collect()
    }

    /// A slot that a node serves.
    pub(in crate::store::redis) fn slot_of(&self, node: &Node) -> Option<Slot> {
        let table = self.table();
        let number = table.nodes.iter().position(|other| std::ptr::eq(&**other, node))?;
        let slot = table.owners.iter().position(|owner| usize::from(*owner) == number)?;
        Slot::new(u16::try_from(slot).ok()?)
    }

    /// The addresses of the configuration.
    pub(super) fn seeds(&self) -> &[NodeAddress] {
        &self.cluster.seeds
    }

    pub(super) fn compared(&self) -> &Compared {
        &self.compared
    }

    /// The node that `asked` has announced; its connections are opened at their first use.
    ///
    /// # Errors
    ///
    /// There are too many nodes, or the certificates on disk have become invalid.
    pub(super) fn announced(
        &self,
        announced: &Announced,
        asked: &NodeAddress,
    ) -> Result<Arc<Node>, Error> {
        self.at(&self.cluster.resolve(announced, asked))
    }

    /// The node at an address.
    ///
    /// # Errors
    ///
    /// As for [`announced`](Self::announced).
    pub(super) fn at(&self, address: &NodeAddress) -> Result<Arc<Node>, Error> {
        if let Some(node) = self.table().find(address) {
            node.named.store(self.now(), Ordering::Relaxed);
            return Ok(node);
        }
        let node = self.open(address).map_err(misconfigured)?;
        let mut table = self.table_mut();
        if let Some(node) = table.find(address) {
            return Ok(node);
        }
        if table.nodes.len() >= NODES_MAX {
            return Err(Error::unavailable("the redis cluster names too many nodes"));
        }
        table.nodes.push(Arc::clone(&node));
        Ok(node)
    }

    /// That node serves the slot from now on, until the map is read again.
    pub(super) fn assign(&self, slot: Slot, node: &Arc<Node>) {
        let table = &mut *self.table_mut();
        let number = table.nodes.iter().position(|other| Arc::ptr_eq(other, node));
        let number = number.and_then(|number| u16::try_from(number).ok());
        let owner = table.owners.get_mut(usize::from(slot.number()));
        if let (Some(owner), Some(number)) = (owner, number) {
            table.is_changed |= *owner != number;
            *owner = number;
            node.availability.retire(false);
        }
    }

    /// Takes over the map that `asked` has replied with. Whether it differs from the last one.
    ///
    /// # Errors
    ///
    /// As for [`announced`](Self::announced); the last map remains.
    pub(super) fn replace(&self, map: &Map, asked: &NodeAddress) -> Result<bool, Error> {
        let mut nodes = Vec::with_capacity(map.primaries().len());
        let mut numbers = Vec::with_capacity(map.primaries().len());
        for primary in map.primaries() {
            let node = self.announced(&primary.address, asked)?;
            // A host map may lead several announced addresses to one node.
            let known = nodes.iter().position(|other| Arc::ptr_eq(other, &node));
            numbers.push(known.unwrap_or(nodes.len()));
            if known.is_none() {
                nodes.push(node);
            }
        }
        let owner = |slot| {
            let number = map.owner(Slot::new(slot)?).and_then(|number| numbers.get(number));
            number.and_then(|number| u16::try_from(*number).ok())
        };
        let owners: Box<[u16]> = (0..SLOTS).map(|slot| owner(slot).unwrap_or(NOBODY)).collect();
        let mut replicas = vec![0; nodes.len()];
        for (primary, number) in map.primaries().iter().zip(&numbers) {
            if let Some(count) = replicas.get_mut(*number) {
                *count = primary.replicas.max(*count);
            }
        }
        let uncovered = map.uncovered();
        let table = Table { owners, nodes, replicas, uncovered, is_changed: false };
        Ok(self.swap(table))
    }

    /// Nodes that were named lately keep their connections. Whether a slot has another owner.
    fn swap(&self, mut table: Table) -> bool {
        let since = self.now().saturating_sub(millis(KEPT));
        let mut current = self.table_mut();
        for node in &current.nodes {
            let is_named = node.named.load(Ordering::Relaxed) >= since;
            if is_named && !table.nodes.iter().any(|other| Arc::ptr_eq(other, node)) {
                table.nodes.push(Arc::clone(node));
            }
        }
        let differs = current.is_changed || !current.serves_as(&table);
        let serving = table.primaries().cloned().collect::<Vec<_>>();
        let former = std::mem::replace(&mut *current, table);
        drop(current);
        serving.iter().for_each(|node| node.availability.retire(false));
        let replaced = |node: &&Arc<Node>| !serving.iter().any(|other| Arc::ptr_eq(other, node));
        former.nodes.iter().filter(replaced).for_each(|node| node.availability.retire(true));
        // Closes connections.
        drop(former);
        differs
    }

    fn open(&self, address: &NodeAddress) -> Result<Arc<Node>, ConfigError> {
        let config = self.cluster.at(address);
        let name = address.to_string();
        let availability = Availability::new(Serving::Redis, self.events.clone());
        let availability = Arc::new(availability.of_node(name.clone()));
        availability.retire(true);
        let (compared, noted) = (self.compared.clone(), Some(Arc::clone(&availability)));
        let connections = Connections::with_confirmation(&config, self.scripts, compared, noted)?;
        let named = AtomicU64::new(self.now());
        let (address, name) = (address.clone(), name.into());
        Ok(Arc::new(Node { address, name, connections, availability, named }))
    }

    fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }

    pub(super) fn table(&self) -> RwLockReadGuard<'_, Table> {
        // Nothing that can panic runs under this lock.
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn find(&self, address: &NodeAddress) -> Option<Arc<Node>> {
        self.nodes.iter().find(|node| node.address == *address).cloned()
    }

    /// Those that the map names.
    fn primaries(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter().take(self.replicas.len())
    }

    /// Number of slots of the node with that number.
    pub(super) fn slots(&self, number: usize) -> usize {
        self.owners.iter().filter(|owner| usize::from(**owner) == number).count()
    }

    /// Whether each slot has the same node.
    fn serves_as(&self, other: &Self) -> bool {
        let number = |node| other.nodes.iter().position(|theirs| Arc::ptr_eq(theirs, node));
        let numbers: Vec<_> = self.nodes.iter().map(number).collect();
        let same = |(own, theirs): (&u16, &u16)| match numbers.get(usize::from(*own)) {
            None => *theirs == NOBODY,
            Some(number) => *number == Some(usize::from(*theirs)),
        };
        self.owners.len() == other.owners.len() && self.owners.iter().zip(&other.owners).all(same)
    }
}

fn misconfigured(error: ConfigError) -> Error {
    Error::new(ErrorKind::Misconfigured, error.to_string())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nodes").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use crate::store::redis::{RedisConfig, client::cluster::nodes::*};

    fn nodes(config: &RedisConfig) -> Nodes {
        let cluster = config.seeds().unwrap().unwrap();
        Nodes::new(cluster, &[], Compared::default(), None).unwrap()
    }

    /// Ranges of slots, and the port of each primary.
    fn map(ranges: &[(i64, i64, i64)]) -> Map {
        let range = |(first, last, port): &(i64, i64, i64)| {
            let host = Value::BulkString(b"node".to_vec());
            let node = Value::Array(vec![host, Value::Int(*port)]);
            Value::Array(vec![Value::Int(*first), Value::Int(*last), node])
        };
        Map::parse(&Value::Array(ranges.iter().map(range).collect())).unwrap()
    }

    fn owner(nodes: &Nodes, slot: u16) -> Arc<Node> {
        match nodes.owner(Slot::new(slot).unwrap()) {
            Owner::Node(node) => node,
            Owner::Nobody | Owner::Unknown => panic!("nobody serves {slot}"),
        }
    }

    const SEED: &str = "redis://seed:1";

    #[test]
    fn a_node_keeps_its_connections_as_long_as_it_is_named_and_a_while_longer() {
        let mut nodes = nodes(&RedisConfig::cluster([SEED]));
        let asked = NodeAddress::new("seed", 1);
        assert!(!nodes.has_map());
        let halves = map(&[(0, 8_191, 1), (8_192, 16_383, 2)]);
        assert!(nodes.replace(&halves, &asked).unwrap(), "it is the first map");
        let (first, second) = (owner(&nodes, 0), owner(&nodes, 8_192));
        let third = nodes.at(&NodeAddress::new("node", 3)).unwrap();
        assert!(!nodes.replace(&halves, &asked).unwrap(), "nothing has changed");
        assert!(Arc::ptr_eq(&owner(&nodes, 0), &first));
        assert_eq!((nodes.table().nodes.len(), nodes.primaries().len()), (3, 2));
        // The second one goes, the third one was named by a redirect long ago.
        nodes.started = Instant::now().checked_sub(KEPT + Duration::from_secs(1)).unwrap();
        for node in [&second, &third] {
            node.named.store(0, Ordering::Relaxed);
        }
        assert!(nodes.replace(&map(&[(0, 16_383, 1)]), &asked).unwrap());
        assert!(Arc::ptr_eq(&owner(&nodes, 8_192), &first));
        assert_eq!(nodes.table().nodes.len(), 1);
        assert_eq!((Arc::strong_count(&second), Arc::strong_count(&third)), (1, 1), "they close");
    }

    #[test]
    fn a_redirect_moves_one_slot_until_the_map_is_read_again() {
        let nodes = nodes(&RedisConfig::cluster([SEED]));
        let asked = NodeAddress::new("seed", 1);
        let halves = map(&[(0, 8_191, 1), (8_192, 16_382, 2)]);
        assert!(nodes.replace(&halves, &asked).unwrap());
        let (slot, third) = (Slot::new(7).unwrap(), NodeAddress::new("node", 3));
        nodes.assign(slot, &nodes.at(&third).unwrap());
        assert_eq!((&owner(&nodes, 7).address, owner(&nodes, 8).address.port), (&third, 1));
        let is_down = |node: Arc<Node>| {
            node.availability.trip(&Error::unavailable("down"));
            node.availability.unavailable_for(Instant::now()).is_some()
        };
        assert!(is_down(owner(&nodes, 7)), "it serves, and its outage counts");
        assert!(!is_down(nodes.at(&NodeAddress::new("node", 4)).unwrap()));
        // Of a slot without an owner too.
        let last = Slot::new(16_383).unwrap();
        assert!(matches!(nodes.owner(last), Owner::Nobody));
        nodes.assign(last, &owner(&nodes, 0));
        assert_eq!(owner(&nodes, 16_383).address.port, 1);
        assert!(nodes.replace(&halves, &asked).unwrap(), "it has changed");
        assert_eq!(owner(&nodes, 7).address.port, 1);
        assert_eq!(nodes.slot_of(&owner(&nodes, 9_000)), Slot::new(8_192));
    }

    #[test]
    fn addresses_that_lead_to_one_node_are_one() {
        let config = RedisConfig::cluster([SEED]).host_map(|_, _| ("proxy".to_owned(), 9));
        let nodes = nodes(&config);
        let map = map(&[(0, 8_191, 1), (8_192, 16_383, 2)]);
        assert!(nodes.replace(&map, &NodeAddress::new("seed", 1)).unwrap());
        assert!(Arc::ptr_eq(&owner(&nodes, 0), &owner(&nodes, 8_192)));
        assert_eq!((nodes.primaries().len(), nodes.table().slots(0)), (1, 16_384));
    }

    #[test]
    fn a_cluster_that_names_ever_more_nodes_is_stopped() {
        let nodes = nodes(&RedisConfig::cluster([SEED]));
        let mut ports = (1..).map(|port| nodes.at(&NodeAddress::new("node", port)));
        assert!(ports.by_ref().take(NODES_MAX).all(|node| node.is_ok()));
        assert!(ports.next().unwrap().is_err());
    }
}
