//! One node, and its connections.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use crate::{
    store::{
        availability::Availability,
        redis::client::{cluster::address::NodeAddress, pool::Connections},
    },
    telemetry::{events::Events, health::Serving},
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

/// Of a node, or of the cluster as a whole; without events what is unavailable is reported to none.
pub(super) fn availability(events: Option<Events>) -> Availability {
    let is_announced = events.is_some();
    let availability = Availability::new(Serving::Redis, events.unwrap_or_default());
    if is_announced { availability } else { availability.unannounced() }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("address", &self.address).finish_non_exhaustive()
    }
}
