//! Chooses the store from the environment.

#[cfg(feature = "redis")]
use std::{net::IpAddr, time::Duration};

#[cfg(feature = "redis")]
use crate::env::cluster::{CLUSTER, redis_cluster};
#[cfg(feature = "_database")]
use crate::store::database::{DatabaseConfig, DatabaseStore};
#[cfg(all(feature = "redis", feature = "_database"))]
use crate::store::durable::DurableStore;
#[cfg(feature = "redis")]
use crate::{
    env::sentinel::by_sentinels,
    store::redis::{RedisConfig, RedisStore},
};
use crate::{
    env::{
        sentinel::SENTINELS,
        variables::{Lookup, Variables},
    },
    error::ConfigError,
    layer::{RedisSessionLayer, builder::RedisSessionLayerBuilder},
    store::memory::MemoryStore,
};

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one a process, and built once")]
pub(super) enum Storage {
    Memory,
    #[cfg(feature = "redis")]
    Redis(RedisConfig),
    #[cfg(feature = "_database")]
    Database(DatabaseConfig),
    #[cfg(all(feature = "redis", feature = "_database"))]
    Durable {
        redis: RedisConfig,
        database: DatabaseConfig,
        strict: bool,
    },
}

/// The URL of the sessions' database.
const OWN: &str = "SESSION_DATABASE_URL";
/// The URL of an application's database by convention: used only if a database is configured
/// without a URL of its own.
const SHARED: &str = "DATABASE_URL";

/// Variables that only make sense with Redis.
const REDIS: [&str; 14] = [
    "REDIS_URL",
    "REDIS_CLUSTER",
    "REDIS_SENTINEL",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_DB",
    "REDIS_SSL",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
    "REDIS_SSL_CA_CERTS",
    "REDIS_SSL_CERTFILE",
    "REDIS_SSL_KEYFILE",
    "REDIS_CONNECT_TIMEOUT_MS",
    "REDIS_CONFIRM_REPLICAS",
];

impl Storage {
    #[cfg(feature = "redis")]
    pub(super) fn redis(&self) -> Option<&RedisConfig> {
        match self {
            Self::Redis(redis) => Some(redis),
            #[cfg(feature = "_database")]
            Self::Durable { redis, .. } => Some(redis),
            _ => None,
        }
    }

    pub(super) fn read<F: Lookup>(variables: &Variables<F>) -> Result<Self, ConfigError> {
        let storage = Self::chosen(variables)?;
        let durable = matches!(storage.name(), "database" | "redis and database");
        if variables.switch("SESSION_STRICT")? == Some(true) && !durable {
            return Err(ConfigError::new("SESSION_STRICT", "needs a database"));
        }
        Ok(storage)
    }

    fn chosen<F: Lookup>(variables: &Variables<F>) -> Result<Self, ConfigError> {
        match variables.text("SESSION_STORAGE")?.as_deref() {
            Some("redis") => by_redis(variables, variables.text(OWN)?),
            Some("durable") => by_redis(variables, Some(database_url(variables)?)),
            Some("database") => database(database_url(variables)?),
            Some("memory") => Ok(Self::Memory),
            Some(_) => fault("is none of redis, durable, database and memory"),
            None => {
                for name in REDIS.iter().chain(&SENTINELS).chain(&[OWN]) {
                    if variables.own(name)?.is_some() {
                        // Sessions kept in memory by mistake would be lost at every restart.
                        let said = "is not set although a store is configured: use redis, durable, \
                                    database or memory";
                        return fault(said);
                    }
                }
                if variables.verbatim(SHARED)?.is_some() {
                    tracing::warn!(
                        "sessions kept in memory although DATABASE_URL is set: set SESSION_STORAGE \
                         to database to use it, to memory to silence this warning"
                    );
                }
                Ok(Self::Memory)
            }
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            #[cfg(feature = "redis")]
            Self::Redis(_) => "redis",
            #[cfg(feature = "_database")]
            Self::Database(_) => "database",
            #[cfg(all(feature = "redis", feature = "_database"))]
            Self::Durable { .. } => "redis and database",
        }
    }

    pub(super) fn builder(&self) -> Result<RedisSessionLayerBuilder, ConfigError> {
        Ok(match self {
            Self::Memory => RedisSessionLayer::builder(MemoryStore::new()),
            #[cfg(feature = "redis")]
            Self::Redis(redis) => RedisSessionLayer::builder(RedisStore::new(redis.clone())?),
            #[cfg(feature = "_database")]
            Self::Database(database) => {
                RedisSessionLayer::builder(DatabaseStore::new(database.clone())?)
            }
            #[cfg(all(feature = "redis", feature = "_database"))]
            Self::Durable { redis, database, strict } => {
                let mut store = DurableStore::builder(redis.clone(), database.clone());
                if *strict {
                    store = store.strict();
                }
                RedisSessionLayer::builder(store.build()?)
            }
        })
    }
}

fn fault(fault: &'static str) -> Result<Storage, ConfigError> {
    Err(ConfigError::new("SESSION_STORAGE", fault))
}

fn database_url<F: Lookup>(variables: &Variables<F>) -> Result<String, ConfigError> {
    if let Some(url) = variables.text(OWN)? {
        return Ok(url);
    }
    let schemes = ["sqlite:", "postgres:", "postgresql:"];
    let known = |url: &String| schemes.iter().any(|scheme| url.starts_with(scheme));
    let Some(url) = variables.verbatim(SHARED)? else {
        return Err(ConfigError::new(
            OWN,
            "is not set: the storage needs the address of a database",
        ));
    };
    if !known(&url) {
        let fault = "is not set, and DATABASE_URL is neither sqlite: nor postgres://";
        return Err(ConfigError::new(OWN, fault));
    }
    variables.text(SHARED).map(Option::unwrap_or_default)
}

#[cfg(feature = "_database")]
fn database(url: String) -> Result<Storage, ConfigError> {
    Ok(Storage::Database(DatabaseConfig::new(url)))
}

#[cfg(not(feature = "_database"))]
fn database(_: String) -> Result<Storage, ConfigError> {
    fault("is database, which needs the crate feature `sqlite` or `postgres`")
}

#[cfg(not(feature = "redis"))]
fn by_redis<F>(_: &Variables<F>, _: Option<String>) -> Result<Storage, ConfigError> {
    fault("is redis, which needs the crate feature `redis`")
}

/// Redis, in front of a database if one is configured.
#[cfg(feature = "redis")]
fn by_redis<F: Lookup>(
    variables: &Variables<F>,
    url: Option<String>,
) -> Result<Storage, ConfigError> {
    let redis = redis(variables)?;
    match url {
        None => Ok(Storage::Redis(redis)),
        #[cfg(feature = "_database")]
        Some(url) => {
            let strict = variables.switch("SESSION_STRICT")?.unwrap_or(false);
            Ok(Storage::Durable { redis, database: DatabaseConfig::new(url), strict })
        }
        #[cfg(not(feature = "_database"))]
        Some(_) => {
            let fault = "is to be used, which needs the crate feature `sqlite` or `postgres`";
            Err(ConfigError::new(OWN, fault))
        }
    }
}

#[cfg(feature = "redis")]
fn redis<F: Lookup>(variables: &Variables<F>) -> Result<RedisConfig, ConfigError> {
    let mut redis = match (by_sentinels(variables)?, variables.text("REDIS_URL")?) {
        _ if variables.text(CLUSTER)?.is_some() => redis_cluster(variables)?,
        (Some(redis), _) => by_switches(variables, redis)?,
        (None, Some(url)) => {
            for name in ["REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_SSL"] {
                if variables.own(name)?.is_some() {
                    return Err(ConfigError::new(
                        name,
                        "is set beside REDIS_URL, which says it too",
                    ));
                }
            }
            RedisConfig::new(url)
        }
        (None, None) => by_switches(variables, redis_by_parts(variables)?)?,
    };
    if let Some(username) = variables.verbatim("REDIS_USERNAME")? {
        redis = redis.username(username);
    }
    if let Some(password) = variables.verbatim("REDIS_PASSWORD")? {
        redis = redis.password(password);
    }
    if let Some(prefix) = variables.text("SESSION_KEY_PREFIX")? {
        redis = redis.key_prefix(prefix);
    }
    if let Some(millis) = variables.number("REDIS_CONNECT_TIMEOUT_MS")? {
        redis = redis.connect_timeout(Duration::from_millis(millis));
    }
    if let Some(replicas) = variables.number("REDIS_CONFIRM_REPLICAS")? {
        redis = redis.confirm_by(replicas.try_into().unwrap_or(u32::MAX));
    }
    redis_certificates(variables, redis)
}

#[cfg(feature = "redis")]
fn redis_certificates<F: Lookup>(
    variables: &Variables<F>,
    mut redis: RedisConfig,
) -> Result<RedisConfig, ConfigError> {
    if let Some(file) = variables.text("REDIS_SSL_CA_CERTS")? {
        redis = redis.ca_file(file);
    }
    match (variables.text("REDIS_SSL_CERTFILE")?, variables.text("REDIS_SSL_KEYFILE")?) {
        (Some(certificate), Some(key)) => Ok(redis.client_certificate(certificate, key)),
        (None, None) => Ok(redis),
        (None, _) => Err(ConfigError::new("REDIS_SSL_CERTFILE", "is not set, and its key is")),
        (_, None) => {
            Err(ConfigError::new("REDIS_SSL_KEYFILE", "is not set, and its certificate is"))
        }
    }
}

#[cfg(feature = "redis")]
fn redis_by_parts<F: Lookup>(variables: &Variables<F>) -> Result<RedisConfig, ConfigError> {
    let host = variables.text("REDIS_HOST")?.unwrap_or_else(|| "127.0.0.1".into());
    // Not part of one, nor a whole URL: what follows the name would be lost, or looked up in the
    // DNS.
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if host.parse::<IpAddr>().is_err() && !host.bytes().all(part) {
        return Err(ConfigError::new(
            "REDIS_HOST",
            "is neither the name nor the address of a host",
        ));
    }
    let port = match variables.own("REDIS_PORT")? {
        Some(_) => variables.number("REDIS_PORT")?.unwrap_or_default(),
        None => 6379,
    };
    let no_port = || ConfigError::new("REDIS_PORT", "is not a port, 1 to 65535");
    let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(no_port)?;
    Ok(RedisConfig::from_host(host, port))
}

/// What a URL says too.
#[cfg(feature = "redis")]
fn by_switches<F: Lookup>(
    variables: &Variables<F>,
    mut redis: RedisConfig,
) -> Result<RedisConfig, ConfigError> {
    if let Some(database) = variables.number("REDIS_DB")? {
        let no_database = |_| ConfigError::new("REDIS_DB", "is not the number of a database");
        redis = redis.database(i64::try_from(database).map_err(no_database)?);
    }
    if variables.switch("REDIS_SSL")? == Some(true) {
        redis = redis.tls();
    }
    Ok(redis)
}
