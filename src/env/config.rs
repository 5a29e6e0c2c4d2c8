//! Layer configuration from environment variables.

use std::{env, ffi::OsString, fmt, time::Duration};

#[cfg(feature = "redis")]
use crate::store::redis::RedisConfig;
use crate::{
    env::{
        names::misspelt,
        setting::by_variable,
        storage::Storage,
        variables::{Lookup, Variables},
    },
    error::ConfigError,
    layer::{RedisSessionLayer, builder::RedisSessionLayerBuilder},
    request::client::DeviceConfig,
    transport::cookie::CookieConfig,
};

/// Storage and settings of the layer from environment variables. An empty variable counts as unset.
///
/// | variable | value | default |
/// |---|---|---|
/// | `SESSION_STORAGE` | `redis`, `durable`, `database` or `memory` | `memory`, see below |
/// | `SESSION_DATABASE_URL` | `sqlite:FILE`, `postgres://`; with `redis` Redis in front of it | |
/// | `DATABASE_URL` | the same for `durable` and `database` alone, if the one above is unset | |
/// | `REDIS_URL` | `redis://`, `rediss://`, `unix://` | |
/// | `REDIS_HOST`, `REDIS_PORT`, `REDIS_DB` | instead of a URL | `127.0.0.1`, `6379`, `0` |
/// | `REDIS_CLUSTER` | `a:6379,b:6379`: some nodes of a cluster, see `RedisConfig::cluster` | |
/// | `REDIS_SSL` | `true` or `false`, instead of a URL | `false` |
/// | `REDIS_SENTINEL` | instead of URL and host: `NAME@HOST:PORT,HOST:PORT`, see `RedisConfig::sentinel` | |
/// | `REDIS_SENTINEL_USERNAME`, `REDIS_SENTINEL_PASSWORD` | text: the sentinels' own | none |
/// | `REDIS_SENTINEL_SSL` | `true` or `false`: TLS to the sentinels | `false` |
/// | `REDIS_SENTINEL_SSL_CA_CERTS`, `REDIS_SENTINEL_SSL_CERTFILE`, `REDIS_SENTINEL_SSL_KEYFILE` | files, for the sentinels | those of the servers |
/// | `REDIS_USERNAME`, `REDIS_PASSWORD` | text, also beside a URL | none |
/// | `REDIS_SSL_CA_CERTS` | a file, see `RedisConfig::ca_file` | the system's |
/// | `REDIS_SSL_CERTFILE`, `REDIS_SSL_KEYFILE` | files, see `RedisConfig::client_certificate` | none |
/// | `REDIS_CONNECT_TIMEOUT_MS` | whole milliseconds | `500` |
/// | `REDIS_CONFIRM_REPLICAS` | see `RedisConfig::confirm`; `0` for none | `1` |
/// | `SESSION_KEY_PREFIX` | see `RedisConfig::key_prefix` | `session:` |
/// | `SESSION_COOKIE_NAME` | a cookie name | `__Host-session` |
/// | `SESSION_COOKIE_SECURE` | `false` for plain HTTP, then with a name without prefix | `true` |
/// | `SESSION_INSECURE_HTTP` | `true`: see [`CookieConfig::insecure_http`] | `false` |
/// | `SESSION_IDLE_TIMEOUT` | whole seconds | `3600` |
/// | `SESSION_ABSOLUTE_TIMEOUT` | whole seconds | `86400` |
/// | `SESSION_TOUCH_INTERVAL` | whole seconds | `60` |
/// | `SESSIONS_PER_USER` | how many at most | no limit |
/// | `SESSION_CSRF_LIFETIME` | whole seconds | `3600` |
/// | `SESSION_DEVICES` | `true`: records the device of each session | `false` |
/// | `SESSION_TRUSTED_PROXIES` | comma-separated, see `DeviceConfig::trusted_proxies` | none |
/// | `SESSION_STORE_BUDGET_MS` | whole milliseconds | `1000` |
/// | `SESSION_STRICT` | `true`: see `DurableStoreBuilder::strict` | `false` |
///
/// With `redis` alone sessions are lost with Redis. With `durable`, the same as `redis` with a
/// `SESSION_DATABASE_URL`, the database keeps them and Redis caches them: no user is signed out
/// when Redis fails. A database has to be [migrated](RedisSessionLayer::migrate) once.
///
/// Values are parsed strictly: a number has digits only, a switch is `true`, `1`, `yes`, `on` or
/// `false`, `0`, `no`, `off` in any case, and white space around a value is an error; user name and
/// password are taken verbatim. A `DATABASE_URL` may be the application's own and is ignored with
/// `redis` and `memory`. What Kubernetes sets for a service named `redis` (`REDIS_PORT=tcp://..`)
/// is ignored too. If `SESSION_STORAGE` is not set, another variable of Redis or a
/// `SESSION_DATABASE_URL` is an error.
///
/// ```
/// use tower_redis_session::EnvConfig;
///
/// let config = EnvConfig::from_lookup(|name| match name {
///     "SESSION_STORAGE" => Some("memory".into()),
///     "SESSION_IDLE_TIMEOUT" => Some("1800".into()),
///     _ => None,
/// })?;
/// let layer = config.layer()?;
/// # drop(layer);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct EnvConfig {
    pub(super) storage: Storage,
    cookie: CookieConfig,
    pub(super) idle_timeout: Option<Duration>,
    absolute_timeout: Option<Duration>,
    touch_interval: Option<Duration>,
    sessions_per_user: Option<u64>,
    csrf_lifetime: Option<Duration>,
    devices: Option<DeviceConfig>,
    budget: Option<Duration>,
}

impl EnvConfig {
    /// Reads the variables of this process. An unknown name that resembles one above is logged as a
    /// warning, with the likely name.
    ///
    /// # Errors
    ///
    /// The first variable with an invalid value, and what is wrong with it; never a secret.
    ///
    /// ```
    /// # use tower_redis_session::EnvConfig;
    /// let config = EnvConfig::from_env()?;
    /// # drop(config);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn from_env() -> Result<Self, ConfigError> {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        let set: Vec<_> = env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        for (name, likely) in misspelt(&set) {
            tracing::warn!("unknown variable {name} ignored: similar to {likely}");
        }
        Self::read(&Variables(|name| match env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => Err(ConfigError::new(name, "is not UTF-8")),
        }))
    }

    /// The same with variables from another source: a file, a test.
    ///
    /// # Errors
    ///
    /// As for [`from_env`](Self::from_env).
    ///
    /// ```
    /// # use tower_redis_session::EnvConfig;
    /// let error = EnvConfig::from_lookup(|_| Some("oops".into())).unwrap_err();
    /// assert_eq!(error.setting(), "SESSION_STORAGE");
    /// ```
    pub fn from_lookup(
        lookup: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        Self::read(&Variables(|name| Ok(lookup(name))))
    }

    fn read<F: Lookup>(variables: &Variables<F>) -> Result<Self, ConfigError> {
        let config = Self {
            storage: Storage::read(variables)?,
            cookie: cookie(variables)?,
            idle_timeout: variables.seconds("SESSION_IDLE_TIMEOUT")?,
            absolute_timeout: variables.seconds("SESSION_ABSOLUTE_TIMEOUT")?,
            touch_interval: variables.seconds("SESSION_TOUCH_INTERVAL")?,
            sessions_per_user: variables.number("SESSIONS_PER_USER")?,
            csrf_lifetime: variables.seconds("SESSION_CSRF_LIFETIME")?,
            devices: devices(variables)?,
            budget: variables.number("SESSION_STORE_BUDGET_MS")?.map(Duration::from_millis),
        };
        // Contradictions are reported now and not at the first request.
        config.layer().map(|_| config)
    }

    /// The name of the storage: `memory`, `redis`, `database`, or `redis and database`.
    ///
    /// ```
    /// # use tower_redis_session::EnvConfig;
    /// assert_eq!(EnvConfig::from_lookup(|_| None)?.storage(), "memory");
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn storage(&self) -> &'static str {
        self.storage.name()
    }

    /// The configured Redis, if any: for a `CachedDirectory` beside the sessions.
    ///
    /// ```
    /// # use tower_redis_session::EnvConfig;
    /// let only_redis = |name: &str| (name == "SESSION_STORAGE").then(|| "redis".to_owned());
    /// let config = EnvConfig::from_lookup(only_redis)?;
    /// assert!(config.redis().is_some());
    /// assert!(EnvConfig::from_lookup(|_| None)?.redis().is_none());
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn redis(&self) -> Option<RedisConfig> {
        self.storage.redis().cloned()
    }

    /// The layer over the configured store. Opens no connection.
    ///
    /// # Errors
    ///
    /// The variable whose value contradicts another.
    ///
    /// ```
    /// # use tower_redis_session::EnvConfig;
    /// assert!(EnvConfig::from_lookup(|_| None)?.layer().is_ok());
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn layer(&self) -> Result<RedisSessionLayer, ConfigError> {
        self.builder()?.build().map_err(by_variable)
    }

    /// The same before it is built, for settings without a variable: sealed records, a transport, a
    /// limit.
    ///
    /// # Errors
    ///
    /// The variable with an invalid address.
    ///
    /// ```
    /// # use tower_redis_session::EnvConfig;
    /// let builder = EnvConfig::from_lookup(|_| None)?.builder()?;
    /// let layer = builder.max_record_size(16 * 1024).build()?;
    /// # drop(layer);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn builder(&self) -> Result<RedisSessionLayerBuilder, ConfigError> {
        let mut builder = self.storage.builder().map_err(by_variable)?.cookie(self.cookie.clone());
        if let Some(idle) = self.idle_timeout {
            builder = builder.idle_timeout(idle);
        }
        if let Some(absolute) = self.absolute_timeout {
            builder = builder.absolute_timeout(absolute);
        }
        if let Some(interval) = self.touch_interval {
            builder = builder.touch_interval(interval);
        }
        if let Some(sessions) = self.sessions_per_user {
            // No user has more sessions than that.
            builder = builder.sessions_per_user(sessions.try_into().unwrap_or(u32::MAX));
        }
        if let Some(lifetime) = self.csrf_lifetime {
            builder = builder.csrf_lifetime(lifetime);
        }
        if let Some(devices) = &self.devices {
            builder = builder.devices(devices.clone());
        }
        if let Some(budget) = self.budget {
            builder = builder.budget(budget);
        }
        Ok(builder)
    }
}

fn cookie<F: Lookup>(variables: &Variables<F>) -> Result<CookieConfig, ConfigError> {
    const INSECURE: &str = "SESSION_INSECURE_HTTP";
    let insecure = variables.switch(INSECURE)?.unwrap_or_default();
    let secure = variables.switch("SESSION_COOKIE_SECURE")?;
    if insecure && secure == Some(true) {
        return Err(ConfigError::new(INSECURE, "contradicts SESSION_COOKIE_SECURE"));
    }
    let mut cookie = match variables.text("SESSION_COOKIE_NAME")? {
        Some(name) => CookieConfig::new(name),
        None if insecure => CookieConfig::insecure_http(),
        None => CookieConfig::default(),
    };
    if insecure || secure == Some(false) {
        cookie = cookie.insecure_allow_plain_http();
        tracing::warn!(
            "session cookies sent over plain HTTP: an attacker on the network can steal them"
        );
    }
    Ok(cookie)
}

fn devices<F: Lookup>(variables: &Variables<F>) -> Result<Option<DeviceConfig>, ConfigError> {
    const PROXIES: &str = "SESSION_TRUSTED_PROXIES";
    let noted = variables.switch("SESSION_DEVICES")?.unwrap_or_default();
    let Some(list) = variables.text(PROXIES)? else {
        return Ok(noted.then(DeviceConfig::new));
    };
    if !noted {
        return Err(ConfigError::new(PROXIES, "has no effect without SESSION_DEVICES"));
    }
    let devices = DeviceConfig::new().trusted_proxies(list.split(','));
    devices.map(Some).map_err(|error| error.named(PROXIES))
}

impl fmt::Debug for EnvConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvConfig")
            .field("storage", &self.storage)
            .field("cookie", &self.cookie)
            .field("idle_timeout", &self.idle_timeout)
            .field("absolute_timeout", &self.absolute_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
