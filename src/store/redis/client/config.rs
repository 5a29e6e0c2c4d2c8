//! Where Redis is and how long to wait for it.

use std::{fmt, time::Duration};

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::error::ConfigError;

/// Address, keys and limits of a [`RedisStore`](crate::store::redis::RedisStore).
///
/// ```
/// use std::time::Duration;
/// use tower_redis_session::RedisConfig;
///
/// let config = RedisConfig::new("redis://127.0.0.1:6379/1")
///     .key_prefix("shop:")
///     .command_timeout(Duration::from_millis(200));
/// # drop(config);
/// ```
#[derive(Clone)]
#[must_use]
pub struct RedisConfig {
    address: Address,
    tls: bool,
    username: Option<String>,
    password: Option<String>,
    database: Option<i64>,
    key_prefix: String,
    limits: Limits,
}

/// How much may be open, and how long to wait.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::redis) struct Limits {
    pub(in crate::store::redis) pool_size: u32,
    pub(in crate::store::redis) connect_timeout: Duration,
    pub(in crate::store::redis) command_timeout: Duration,
}

#[derive(Clone)]
enum Address {
    Url(String),
    Tcp { host: String, port: u16 },
}

impl RedisConfig {
    /// Redis at a URL: `redis://`, with TLS `rediss://` (crate feature `tls`), or `unix://`.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// assert!(RedisStore::new(RedisConfig::new("redis://user:secret@127.0.0.1/0")).is_ok());
    /// ```
    pub fn new(url: impl Into<String>) -> Self {
        Self::with_address(Address::Url(url.into()))
    }

    /// Redis at a host and port.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// assert!(RedisStore::new(RedisConfig::at("127.0.0.1", 6379).database(1)).is_ok());
    /// ```
    pub fn at(host: impl Into<String>, port: u16) -> Self {
        Self::with_address(Address::Tcp { host: host.into(), port })
    }

    fn with_address(address: Address) -> Self {
        let limits = Limits {
            pool_size: 4,
            connect_timeout: Duration::from_millis(500),
            command_timeout: Duration::from_millis(500),
        };
        let key_prefix = "session:".into();
        Self {
            address,
            tls: false,
            username: None,
            password: None,
            database: None,
            key_prefix,
            limits,
        }
    }

    /// Encrypts the connection and checks the server's certificate against the system's; needs the
    /// crate feature `tls`. Never falls back. Defaults to what the URL says.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let store = RedisStore::new(RedisConfig::at("redis.example", 6380).tls());
    /// assert_eq!(store.is_ok(), cfg!(feature = "tls"));
    /// ```
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// The ACL user. Defaults to what the URL says, else to Redis' default user.
    ///
    /// ```
    /// # use tower_redis_session::RedisConfig;
    /// let config = RedisConfig::at("127.0.0.1", 6379).username("sessions").password("secret");
    /// # drop(config);
    /// ```
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// The password; never printed. Defaults to what the URL says, else to none.
    ///
    /// ```
    /// # use tower_redis_session::RedisConfig;
    /// let config = RedisConfig::at("127.0.0.1", 6379).password("secret");
    /// assert!(!format!("{config:?}").contains("secret"));
    /// ```
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The number of the database. Defaults to what the URL says, else to 0.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// assert!(RedisStore::new(RedisConfig::at("127.0.0.1", 6379).database(-1)).is_err());
    /// ```
    pub fn database(mut self, database: i64) -> Self {
        self.database = Some(database);
        self
    }

    /// What every key starts with; two applications on one Redis need two. 1 to 64 characters of
    /// printable ASCII without the space and `* ? [ ] { } \`, so that it can stand in an ACL rule.
    /// Defaults to `session:`.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::at("127.0.0.1", 6379);
    /// assert!(RedisStore::new(config.clone().key_prefix("shop:")).is_ok());
    /// assert!(RedisStore::new(config.key_prefix("shop:*")).is_err());
    /// ```
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// The most connections. All requests share them without waiting for each other, so a few are
    /// enough. From 1 to 1,024. Defaults to 4.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// assert!(RedisStore::new(RedisConfig::at("127.0.0.1", 6379).pool_size(0)).is_err());
    /// ```
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.limits.pool_size = connections;
        self
    }

    /// How long an attempt to connect may take, sign-in included. From 1 ms to 1 minute. Defaults
    /// to 500 ms.
    ///
    /// ```
    /// # use tower_redis_session::RedisConfig;
    /// # use std::time::Duration;
    /// let config = RedisConfig::at("redis", 6379).connect_timeout(Duration::from_millis(100));
    /// # drop(config);
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// How long the answer to a command may take. Past it the connection is given up. From 1 ms to
    /// 1 minute. Defaults to 500 ms.
    ///
    /// ```
    /// # use tower_redis_session::RedisConfig;
    /// # use std::time::Duration;
    /// let config = RedisConfig::at("redis", 6379).command_timeout(Duration::from_millis(100));
    /// # drop(config);
    /// ```
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.limits.command_timeout = timeout;
        self
    }

    pub(in crate::store::redis) fn limits(&self) -> Result<Limits, ConfigError> {
        if !(1..=1024).contains(&self.limits.pool_size) {
            return Err(ConfigError::new("redis pool size", "is not between 1 and 1,024"));
        }
        let bounds = Duration::from_millis(1)..=Duration::from_secs(60);
        for (name, limit) in [
            ("redis connect timeout", self.limits.connect_timeout),
            ("redis command timeout", self.limits.command_timeout),
        ] {
            if !bounds.contains(&limit) {
                return Err(ConfigError::new(name, "is not between 1 ms and 1 minute"));
            }
        }
        Ok(self.limits)
    }

    pub(in crate::store::redis) fn checked_prefix(&self) -> Result<&str, ConfigError> {
        let fine = |byte: u8| byte.is_ascii_graphic() && !b"*?[]{}\\".contains(&byte);
        let prefix = &self.key_prefix;
        if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(fine) {
            let fault = "is not 1 to 64 printable characters without space and * ? [ ] { } \\";
            return Err(ConfigError::new("redis key prefix", fault));
        }
        Ok(prefix)
    }

    pub(in crate::store::redis) fn client(&self) -> Result<Client, ConfigError> {
        // The library's own text may hold the URL and so the password; it is not passed on.
        let unusable = |_| ConfigError::new("redis address", "cannot be used");
        let info = self.connection_info()?;
        // One command less that an ACL user would have to be allowed.
        let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        if let Some(database) = self.database {
            settings = settings.set_db(database);
        }
        if settings.db() < 0 {
            return Err(ConfigError::new("redis database", "is negative"));
        }
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        Client::open(info.set_redis_settings(settings).set_tcp_settings(tcp)).map_err(unusable)
    }

    fn connection_info(&self) -> Result<ConnectionInfo, ConfigError> {
        let fault = |fault: &'static str| Err(ConfigError::new("redis address", fault));
        let parsed = match &self.address {
            Address::Url(url) => url.as_str().into_connection_info(),
            Address::Tcp { host, port } => {
                ConnectionAddr::Tcp(host.clone(), *port).into_connection_info()
            }
        };
        let encrypted = self.tls || self.asks_for_tls();
        if encrypted && !cfg!(feature = "tls") {
            return fault("asks for TLS, which needs the crate feature `tls`");
        }
        let Ok(info) = parsed else {
            return fault("is not a redis://, rediss:// or unix:// address");
        };
        #[cfg(feature = "tls")]
        if encrypted {
            choose_cryptography();
        }
        match info.addr().clone() {
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                fault("asks for TLS without a check of the certificate")
            }
            ConnectionAddr::Tcp(host, port) if encrypted => {
                let insecure = false;
                let address = ConnectionAddr::TcpTls { host, port, insecure, tls_params: None };
                Ok(info.set_addr(address))
            }
            ConnectionAddr::Unix(_) if encrypted => {
                fault("is a socket of this machine, without TLS")
            }
            _ => Ok(info),
        }
    }

    fn asks_for_tls(&self) -> bool {
        let Address::Url(url) = &self.address else { return false };
        let scheme = url.split(':').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case("rediss") || scheme.eq_ignore_ascii_case("valkeys")
    }
}

/// The library would panic without a provider, or with two that it has to choose from. What the
/// application has installed stays.
#[cfg(feature = "tls")]
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Lost to another thread that installs one at the same time: as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RedisConfig");
        if let Address::Tcp { host, port } = &self.address {
            debug.field("host", host).field("port", port);
        }
        debug
            .field("tls", &self.tls)
            .field("database", &self.database)
            .field("key_prefix", &self.key_prefix);
        debug.field("limits", &self.limits).finish_non_exhaustive()
    }
}
