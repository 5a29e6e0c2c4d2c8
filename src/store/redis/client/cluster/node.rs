//! One node, and its connections.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use crate::store::{
    availability::Availability,
    redis::client::{cluster::address::NodeAddress, pool::Connections},
};

pub(in crate::store::redis) struct Node {
    pub(in crate::store::redis) address: NodeAddress,
    /// The address as text.
    pub(in crate::store::redis) name: Arc<str>,
    pub(in crate::store::redis) connections: Connections,
    /// Retired while it serves no slot.
    pub(super) availability: Arc<Availability>,
    /// When the cluster named it last, in milliseconds after the start.
    pub(super) named: AtomicU64,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("address", &self.address).finish_non_exhaustive()
    }
}
