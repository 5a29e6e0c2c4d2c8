//! Redis by its sentinels, from the environment.

#[cfg(feature = "redis")]
use crate::{
    env::variables::{Lookup, Variables},
    error::ConfigError,
    store::redis::RedisConfig,
};

/// Variables that only make sense with `REDIS_SENTINEL`.
pub(super) const SENTINELS: [&str; 6] = [
    "REDIS_SENTINEL_USERNAME",
    "REDIS_SENTINEL_PASSWORD",
    "REDIS_SENTINEL_SSL",
    "REDIS_SENTINEL_SSL_CA_CERTS",
    "REDIS_SENTINEL_SSL_CERTFILE",
    "REDIS_SENTINEL_SSL_KEYFILE",
];

/// Redis as `REDIS_SENTINEL` describes it: `NAME@HOST:PORT,HOST:PORT`. `None` if it is not set.
#[cfg(feature = "redis")]
pub(super) fn by_sentinels<F: Lookup>(
    variables: &Variables<F>,
) -> Result<Option<RedisConfig>, ConfigError> {
    let Some(text) = variables.text("REDIS_SENTINEL")? else {
        for name in SENTINELS {
            if variables.own(name)?.is_some() {
                return Err(ConfigError::new(name, "has no effect without REDIS_SENTINEL"));
            }
        }
        return Ok(None);
    };
    for name in ["REDIS_URL", "REDIS_HOST", "REDIS_PORT"] {
        if variables.own(name)?.is_some() {
            let fault = "is set beside REDIS_SENTINEL, by which the server is found";
            return Err(ConfigError::new(name, fault));
        }
    }
    let fault = || ConfigError::new("REDIS_SENTINEL", "is not NAME@HOST:PORT,HOST:PORT");
    let (name, list) = text.split_once('@').ok_or_else(fault)?;
    // No whole URLs.
    if list.contains(['/', '@', '?', '#']) {
        return Err(fault());
    }
    let is_encrypted = variables.switch("REDIS_SENTINEL_SSL")?.unwrap_or_default();
    let scheme = if is_encrypted { "rediss" } else { "redis" };
    let hosts = list.split(',').map(|host| format!("{scheme}://{}", host.trim()));
    let mut redis = RedisConfig::sentinel(name, hosts);
    if let Some(username) = variables.verbatim("REDIS_SENTINEL_USERNAME")? {
        redis = redis.sentinel_username(username);
    }
    if let Some(password) = variables.verbatim("REDIS_SENTINEL_PASSWORD")? {
        redis = redis.sentinel_password(password);
    }
    certificates(variables, redis).map(Some)
}

#[cfg(feature = "redis")]
fn certificates<F: Lookup>(
    variables: &Variables<F>,
    mut redis: RedisConfig,
) -> Result<RedisConfig, ConfigError> {
    const CERTIFICATE: &str = "REDIS_SENTINEL_SSL_CERTFILE";
    const KEY: &str = "REDIS_SENTINEL_SSL_KEYFILE";
    if let Some(file) = variables.text("REDIS_SENTINEL_SSL_CA_CERTS")? {
        redis = redis.sentinel_ca_file(file);
    }
    match (variables.text(CERTIFICATE)?, variables.text(KEY)?) {
        (Some(certificate), Some(key)) => Ok(redis.sentinel_client_certificate(certificate, key)),
        (None, None) => Ok(redis),
        (None, _) => Err(ConfigError::new(CERTIFICATE, "is not set, and its key is")),
        (_, None) => Err(ConfigError::new(KEY, "is not set, and its certificate is")),
    }
}
