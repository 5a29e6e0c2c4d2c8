//! Redis Cluster, by its variables.

use crate::{
    env::variables::{Lookup, Variables},
    error::ConfigError,
    store::redis::RedisConfig,
};

/// Some nodes of a cluster, with commas between them.
pub(super) const CLUSTER: &str = "REDIS_CLUSTER";

/// A cluster by `REDIS_CLUSTER`: hosts with ports, or URLs.
pub(super) fn redis_cluster<F: Lookup>(
    variables: &Variables<F>,
) -> Result<RedisConfig, ConfigError> {
    for name in ["REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_SENTINEL"] {
        if variables.own(name)?.is_some() {
            return Err(ConfigError::new(name, "is set beside REDIS_CLUSTER, which says it too"));
        }
    }
    let is_encrypted = variables.switch("REDIS_SSL")? == Some(true);
    let url = |seed: &str| match seed.contains("://") {
        true => seed.to_owned(),
        false => format!("redis://{seed}"),
    };
    let nodes = variables.text(CLUSTER)?.unwrap_or_default();
    let config = RedisConfig::cluster(nodes.split(',').map(url));
    Ok(if is_encrypted { config.tls() } else { config })
}
