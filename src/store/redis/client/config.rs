//! Redis configuration: address, keys, limits.
//!
//! | file | holds |
//! |---|---|
//! | `build` | validation, and what is built of it |
//! | `certificates` | TLS |
//! | `cluster` | the nodes of a cluster |
//! | `confirm` | how many replicas confirm the end of a session |
//! | `placement` | whether all sessions of a user are stored together |
//! | `sentinel` | the sentinels |

use std::{error::Error as StdError, fmt, future::Future, time::Duration};

use crate::store::{
    certificates::Certificates,
    credentials::{CredentialSource, ServerCredentials},
    redis::client::{
        cluster::{
            address::NodeAddress,
            seeds::{HostMap, Seeds},
        },
        limits::Limits,
        replicas::Terms,
        sentinel::settings::ForSentinels,
    },
};

mod build;
mod certificates;
pub(in crate::store::redis) mod cluster;
mod confirm;
mod placement;
mod sentinel;

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
    place: Place,
    tls: bool,
    certificates: Certificates,
    sentinel: ForSentinels,
    username: Option<String>,
    password: Option<String>,
    credentials: Option<CredentialSource>,
    database: Option<i64>,
    key_prefix: String,
    limits: Limits,
    host_map: Option<HostMap>,
    confirm: Option<Terms>,
    places_by_user: bool,
    salt: Option<String>,
}

#[derive(Clone)]
enum Place {
    Url(String),
    Tcp {
        host: String,
        port: u16,
    },
    Sentinel {
        name: String,
        sentinels: Vec<String>,
    },
    Cluster(Seeds),
    /// A node of a cluster.
    Node(NodeAddress),
}

impl RedisConfig {
    /// Redis at a URL: `redis://user:password@host:port/database`, with TLS `rediss://` (crate
    /// feature `tls`), or `unix:///path`. The query may have `db`, `username`, `password` and
    /// `ssl=true`; anything else is rejected. In a password `#` is `%23`, and so on.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// assert!(RedisStore::new(RedisConfig::new("redis://user:secret@127.0.0.1/0")).is_ok());
    /// ```
    pub fn new(url: impl Into<String>) -> Self {
        Self::with_place(Place::Url(url.into()))
    }

    /// Redis at a host and port.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// assert!(RedisStore::new(RedisConfig::from_host("127.0.0.1", 6379).database(1)).is_ok());
    /// ```
    pub fn from_host(host: impl Into<String>, port: u16) -> Self {
        Self::with_place(Place::Tcp { host: host.into(), port })
    }

    fn with_place(place: Place) -> Self {
        let (key_prefix, limits) = ("session:".into(), Limits::default());
        Self {
            place,
            tls: false,
            certificates: Certificates::default(),
            sentinel: ForSentinels::default(),
            username: None,
            password: None,
            credentials: None,
            database: None,
            key_prefix,
            limits,
            host_map: None,
            confirm: None,
            places_by_user: false,
            salt: None,
        }
    }

    /// The ACL user. Defaults to the URL's, else to Redis' default user.
    ///
    /// ```
    /// # use tower_redis_session::RedisConfig;
    /// let config = RedisConfig::from_host("redis", 6379).username("sessions").password("secret");
    /// # drop(config);
    /// ```
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// The password; redacted in `Debug`. Defaults to the URL's, else to none.
    ///
    /// ```
    /// # use tower_redis_session::RedisConfig;
    /// let config = RedisConfig::from_host("127.0.0.1", 6379).password("secret");
    /// assert!(!format!("{config:?}").contains("secret"));
    /// ```
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// User name and password by a function, for tokens and passwords that change while the service
    /// runs. It takes precedence over [`password`](Self::password) and the URL's password; the user
    /// name is theirs unless the function returns one. Defaults to none.
    ///
    /// Called for each new connection to a server that accepts it, at most every 100 ms, by one
    /// caller at a time; the wait is part of the connect timeout, and a call that takes longer
    /// continues, up to 10 s, for the next attempt within a minute. Open connections authenticate
    /// again before the [expiry](ServerCredentials::expires_in) that the function states; without
    /// one they keep their credentials until they close. While it fails, they remain in use as long
    /// as the server allows. An error that it returns is logged and must not contain the secret; an
    /// error of this crate that is `Misconfigured` keeps its kind, any other is `Unavailable`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::{RedisConfig, store::ServerCredentials};
    /// async fn from_secret() -> std::io::Result<ServerCredentials> {
    ///     let token = tokio::fs::read_to_string("/run/secrets/redis").await?;
    ///     Ok(ServerCredentials::new(token.trim_end()).expires_in(Duration::from_secs(900)))
    /// }
    ///
    /// let config = RedisConfig::new("rediss://sessions@redis.example").credentials(from_secret);
    /// # drop(config);
    /// ```
    pub fn credentials<F, R, E>(mut self, function: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<ServerCredentials, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.credentials = Some(CredentialSource::new(function));
        self
    }

    /// The database number. Defaults to the URL's, else to 0.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// assert!(RedisStore::new(RedisConfig::from_host("127.0.0.1", 6379).database(-1)).is_err());
    /// ```
    pub fn database(mut self, database: i64) -> Self {
        self.database = Some(database);
        self
    }

    /// Prefix of every key; two applications on one Redis need two. 1 to 64 characters of printable
    /// ASCII without space and `* ? [ ] { } \`, so that it fits in an ACL rule. Defaults to
    /// `session:`.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::from_host("127.0.0.1", 6379);
    /// assert!(RedisStore::new(config.clone().key_prefix("shop:")).is_ok());
    /// assert!(RedisStore::new(config.key_prefix("shop:*")).is_err());
    /// ```
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// Maximum number of connections. All requests share them without waiting for each other, so a
    /// few are enough. `check()` opens one more while it runs. From 1 to 1,024. Defaults to 4.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// assert!(RedisStore::new(RedisConfig::from_host("127.0.0.1", 6379).pool_size(0)).is_err());
    /// ```
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.limits.pool_size = connections;
        self
    }

    /// Timeout of an attempt to connect, authentication included. From 1 ms to 1 minute. Defaults
    /// to 500 ms.
    ///
    /// ```
    /// # use tower_redis_session::RedisConfig;
    /// # use std::time::Duration;
    /// let config = RedisConfig::from_host("redis", 6379);
    /// let config = config.connect_timeout(Duration::from_millis(100));
    /// # drop(config);
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// Timeout of a command. After it the connection is closed. From 1 ms to 1 minute. Defaults to
    /// 500 ms.
    ///
    /// ```
    /// # use tower_redis_session::RedisConfig;
    /// # use std::time::Duration;
    /// let config = RedisConfig::from_host("redis", 6379);
    /// let config = config.command_timeout(Duration::from_millis(100));
    /// # drop(config);
    /// ```
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.limits.command_timeout = timeout;
        self
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RedisConfig");
        match &self.place {
            // May hold a password.
            Place::Url(_) | Place::Cluster(_) => {}
            Place::Node(node) => {
                debug.field("node", node);
            }
            Place::Tcp { host, port } => {
                debug.field("host", host).field("port", port);
            }
            Place::Sentinel { name, sentinels } => {
                debug.field("name", name).field("sentinels", &sentinels.len());
            }
        }
        debug
            .field("tls", &self.tls)
            .field("database", &self.database)
            .field("key_prefix", &self.key_prefix);
        debug.field("limits", &self.limits).finish_non_exhaustive()
    }
}
