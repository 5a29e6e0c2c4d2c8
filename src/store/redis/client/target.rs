//! Target of connections: a server, or the primary that sentinels name.

use crate::store::redis::client::{endpoint::Endpoint, sentinel::open::Deployment};

/// Where connections lead, as configured.
#[derive(Clone, Debug)]
pub(in crate::store::redis) enum Target {
    Server(Endpoint),
    Sentinel(Box<Deployment>),
}

impl Target {
    /// For an operator: hosts and ports, without credentials.
    #[cfg(feature = "cli")]
    pub(in crate::store::redis) fn describe(&self) -> String {
        match self {
            Self::Server(endpoint) => endpoint.address.to_string(),
            Self::Sentinel(deployment) => {
                let sentinels = deployment.sentinels.iter();
                let addresses: Vec<_> =
                    sentinels.map(|sentinel| sentinel.endpoint.address.to_string()).collect();
                format!("{} by sentinels {}", deployment.name, addresses.join(" "))
            }
        }
    }
}
