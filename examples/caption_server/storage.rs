//! Where the sessions are kept: as the environment says, else in a file of our own.

use std::env;

use tower_redis_session::{Config, ConfigError};

/// Kept across restarts without any server beside this one.
const EMBEDDED: &str = "sqlite:caption_server.db";

/// Any of these says where; then nothing is assumed.
const CHOICES: [&str; 9] = [
    "SESSION_STORAGE",
    "DATABASE_URL",
    "REDIS_URL",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_DB",
    "REDIS_SSL",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
];

pub(crate) fn config() -> Result<Config, ConfigError> {
    let chosen = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if CHOICES.into_iter().any(chosen) {
        return Config::from_env();
    }
    Config::from_lookup(|name| match name {
        "SESSION_STORAGE" => Some("database".to_owned()),
        "DATABASE_URL" => Some(EMBEDDED.to_owned()),
        _ => env::var(name).ok(),
    })
}
