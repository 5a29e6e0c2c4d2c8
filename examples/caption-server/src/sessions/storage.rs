//! Where the sessions are kept: as the environment says, else in a file of our own.

use std::env;

use tower_redis_session::{ConfigError, EnvConfig};

/// Kept across restarts without any server beside this one.
const EMBEDDED: &str = "sqlite:caption_server.db";

/// Any of these says where; then nothing is assumed.
const CHOICES: [&str; 11] = [
    "SESSION_STORAGE",
    "SESSION_DATABASE_URL",
    "REDIS_URL",
    "REDIS_CLUSTER",
    "REDIS_SENTINEL",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_DB",
    "REDIS_SSL",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
];

/// `outage` is the address of the Redis of the demonstration.
pub(crate) fn config(outage: Option<String>) -> Result<EnvConfig, ConfigError> {
    let told = |name: &str| {
        let value = env::var(name).unwrap_or_default();
        // Kubernetes tells of a service named `redis` by `REDIS_PORT=tcp://..`.
        !value.is_empty() && !value.starts_with("tcp://")
    };
    let somewhere = CHOICES.into_iter().any(told);
    EnvConfig::from_lookup(|name| match (name, &outage) {
        ("REDIS_URL", Some(url)) => Some(url.clone()),
        ("SESSION_STORAGE", Some(_)) => Some("redis".to_owned()),
        ("SESSION_DATABASE_URL", Some(_)) => {
            env::var(name).ok().filter(|url| !url.is_empty()).or(Some(EMBEDDED.to_owned()))
        }
        ("SESSION_STORAGE", None) if !somewhere => Some("database".to_owned()),
        ("SESSION_DATABASE_URL", None) if !somewhere => Some(EMBEDDED.to_owned()),
        // A list of devices tells little without.
        ("SESSION_DEVICES", _) if !told(name) => Some("true".to_owned()),
        _ => env::var(name).ok(),
    })
}
