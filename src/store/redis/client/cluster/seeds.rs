//! The nodes of a cluster as they are configured.

use std::{fmt, sync::Arc};

use crate::store::redis::client::cluster::address::NodeAddress;

/// URLs of the first nodes.
#[derive(Clone)]
pub(in crate::store::redis) struct Seeds(pub(in crate::store::redis) Vec<String>);

type Mapping = dyn Fn(&str, u16) -> (String, u16) + Send + Sync;

/// Where a node is that the cluster announces at another address.
#[derive(Clone)]
pub(in crate::store::redis) struct HostMap(Arc<Mapping>);

impl HostMap {
    pub(in crate::store::redis) fn new(
        map: impl Fn(&str, u16) -> (String, u16) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(map))
    }

    pub(in crate::store::redis) fn map(&self, host: &str, port: u16) -> NodeAddress {
        let (host, port) = (self.0)(host, port);
        NodeAddress::new(host, port)
    }
}

impl fmt::Debug for HostMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostMap").finish_non_exhaustive()
    }
}
