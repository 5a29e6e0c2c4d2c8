//! Database configuration: address, credentials, limits.

use std::{error::Error as StdError, fmt, future::Future, time::Duration};

#[cfg(feature = "sqlx-pool")]
use crate::store::database::shared_pool::Pooled;
use crate::{
    error::ConfigError,
    store::{
        certificates::Certificates,
        credentials::{CredentialSource, ServerCredentials},
    },
};

mod certificates;
#[cfg(feature = "sqlx-pool")]
mod pool;

/// Address and limits of a [`DatabaseStore`](crate::store::database::DatabaseStore).
///
/// ```
/// use std::time::Duration;
/// use tower_redis_session::DatabaseConfig;
///
/// let config = DatabaseConfig::new("postgres://shop:secret@127.0.0.1/shop")
///     .pool_size(16)
///     .timeout(Duration::from_millis(400));
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
#[derive(Clone)]
#[must_use]
pub struct DatabaseConfig {
    place: Place,
    pub(super) certificates: Certificates,
    pub(super) credentials: Option<CredentialSource>,
    pub(super) pool_size: u32,
    pub(super) timeout: Duration,
}

/// Where the database is.
#[derive(Clone)]
enum Place {
    Url(String),
    #[cfg(feature = "sqlx-pool")]
    Pool(Pooled),
}

/// The database, among those that this build supports.
pub(super) enum Address<'a> {
    #[cfg(feature = "sqlite")]
    Sqlite(&'a str),
    #[cfg(feature = "postgres")]
    Postgres(&'a str),
    #[cfg(feature = "sqlx-pool")]
    Pool(&'a Pooled),
}

impl DatabaseConfig {
    /// A SQLite file, `sqlite:PATH` or `sqlite://PATH` (crate feature `sqlite`), or PostgreSQL,
    /// `postgres://` or `postgresql://` (crate feature `postgres`).
    ///
    /// In a path a question mark is written `%3F`, and no parameters may follow; a database in
    /// memory is not supported, see [`MemoryStore`](crate::MemoryStore). A PostgreSQL address may
    /// have parameters such as `?sslmode=verify-full&sslrootcert=/etc/ca.pem` (crate feature `tls`;
    /// the authorities are trusted besides the system's), but no unknown ones; missing parts are
    /// taken from `PGHOST`, `PGUSER`, `PGSSLROOTCERT` and similar variables. Without `sslmode` TLS
    /// is used if the server has it, and the certificate is not checked. With an `sslrootcert` the
    /// mode `require` is `verify-full`. `verify-ca` is an error, since the certificate of any host
    /// would pass; so is an `sslrootcert` or `sslcert` that the mode would not use.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # {
    /// # use tower_redis_session::{DatabaseConfig, DatabaseStore};
    /// assert!(DatabaseStore::new(DatabaseConfig::new("sqlite:sessions.db")).is_ok());
    /// assert!(DatabaseStore::new(DatabaseConfig::new("sqlite::memory:")).is_err());
    /// # }
    /// ```
    pub fn new(url: impl Into<String>) -> Self {
        Self::at(Place::Url(url.into()))
    }

    fn at(place: Place) -> Self {
        let (pool_size, timeout) = (10, Duration::from_millis(600));
        let (certificates, credentials) = Default::default();
        Self { place, certificates, credentials, pool_size, timeout }
    }

    /// User name and password by a function, for tokens and passwords that change while the service
    /// runs. It takes precedence over the password of the address; the user name is that of the
    /// address unless the function returns one. PostgreSQL only. Defaults to none.
    ///
    /// Called when a connection is to be opened, at most every 100 ms, by one caller at a time; a
    /// call that takes longer than the [timeout](Self::timeout) continues, up to 10 s, for the next
    /// request within a minute. An open connection remains in use, 35 minutes at most: PostgreSQL
    /// checks credentials only when it is opened. An error that the function returns is logged and
    /// must not contain the secret; an error of this crate that is `Misconfigured` keeps its kind,
    /// any other is `Unavailable`.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, store::ServerCredentials};
    /// async fn from_secret() -> std::io::Result<ServerCredentials> {
    ///     let password = tokio::fs::read_to_string("/run/secrets/postgres").await?;
    ///     Ok(ServerCredentials::new(password.trim_end()))
    /// }
    ///
    /// let config = DatabaseConfig::new("postgres://sessions@db/shop").credentials(from_secret);
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

    /// Maximum number of connections; with SQLite of readers, besides the one writer. Increase it
    /// if requests wait for a connection while the database is idle. From 1 to 1,024. Defaults to
    /// 10.
    ///
    /// From 2 on one of them is reserved for work that ends an overload, such as the health check
    /// and the poll of a store with Redis in front, which never wait behind requests. From 3 on
    /// such a store with PostgreSQL reserves another one to receive changes at once; below, it sees
    /// them at its next poll. A connection is closed after 10 minutes without use, and after 30 to
    /// 35 in any case.
    ///
    /// ```
    /// # use tower_redis_session::DatabaseConfig;
    /// let config = DatabaseConfig::new("postgres://127.0.0.1/shop").pool_size(4);
    /// # drop(config);
    /// ```
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.pool_size = connections;
        self
    }

    /// Timeout of a read, or of a write from start to end, including the wait for a connection.
    /// Increase it for slow disks. From 10 ms to 1 minute. Defaults to 600 ms.
    ///
    /// PostgreSQL enforces it too, so that no statement outlives its caller: each connection sets
    /// `statement_timeout` and `idle_in_transaction_session_timeout` to it and `lock_timeout` to
    /// half of it. Settings in the address, such as `?options=-c%20lock_timeout%3D200`, take
    /// precedence.
    ///
    /// ```
    /// # use tower_redis_session::DatabaseConfig;
    /// # use std::time::Duration;
    /// let config = DatabaseConfig::new("postgres://db/shop").timeout(Duration::from_secs(1));
    /// # drop(config);
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Maximum duration of a read or write.
    #[cfg(feature = "redis")]
    pub(crate) fn limit(&self) -> Duration {
        self.timeout
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !(1..=1024).contains(&self.pool_size) {
            return Err(ConfigError::new("database pool size", "is not between 1 and 1,024"));
        }
        let bounds = Duration::from_millis(10)..=Duration::from_secs(60);
        if !bounds.contains(&self.timeout) {
            return Err(ConfigError::new("database timeout", "is not between 10 ms and 1 minute"));
        }
        Ok(())
    }

    pub(super) fn address(&self) -> Result<Address<'_>, ConfigError> {
        match &self.place {
            Place::Url(url) => self.address_of(url),
            #[cfg(feature = "sqlx-pool")]
            Place::Pool(pool) => self.check_pool(pool).map(|()| Address::Pool(pool)),
        }
    }

    fn address_of<'a>(&self, url: &'a str) -> Result<Address<'a>, ConfigError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            #[cfg(feature = "sqlite")]
            Some("sqlite") if self.credentials.is_some() => {
                let fault = "are set, and a SQLite file has none";
                Err(ConfigError::new("database credentials", fault))
            }
            #[cfg(feature = "sqlite")]
            Some("sqlite") if self.certificates.are_set() => {
                let fault = "are configured, and a SQLite file has none";
                Err(ConfigError::new("database certificates", fault))
            }
            #[cfg(feature = "sqlite")]
            Some("sqlite") => Ok(Address::Sqlite(url)),
            #[cfg(not(feature = "sqlite"))]
            Some("sqlite") => fault("is SQLite, which needs the crate feature `sqlite`"),
            #[cfg(feature = "postgres")]
            Some("postgres" | "postgresql") if !is_whole(url) => {
                fault("has a # that is not written %23, or an unknown parameter")
            }
            #[cfg(feature = "postgres")]
            Some("postgres" | "postgresql") => Ok(Address::Postgres(url)),
            #[cfg(not(feature = "postgres"))]
            Some("postgres" | "postgresql") => {
                fault("is PostgreSQL, which needs the crate feature `postgres`")
            }
            _ => fault("is neither sqlite: nor postgres://"),
        }
    }
}

/// The parameters that the library supports. It ignores others with a warning.
#[cfg(feature = "postgres")]
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Whether no part of the address is ignored: the library drops everything after a `#`, and would
/// truncate a password with one in it.
#[cfg(feature = "postgres")]
fn is_whole(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = query.split('&').filter(|pair| !pair.is_empty());
    let known = |pair: &str| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        PARAMETERS.contains(&name) || name.starts_with("options[") || name.starts_with("options%5B")
    };
    !url.contains('#') && pairs.all(known)
}

/// Never contains the address, which may hold a password.
pub(super) fn fault<T>(fault: &'static str) -> Result<T, ConfigError> {
    Err(ConfigError::new("database address", fault))
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("DatabaseConfig");
        debug.field("pool_size", &self.pool_size).field("timeout", &self.timeout);
        debug.finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use crate::store::database::config::*;

    #[test]
    fn an_address_of_postgresql_is_understood_to_its_last_character_or_refused() {
        for (url, is_whole) in [
            ("postgres://u:p@h/d", true),
            ("postgres://u:p@h/d?sslmode=disable&application_name=shop", true),
            ("postgres://u:a%23b@h/d", true),
            ("postgresql:///d?host=/run/postgresql&options[search_path]=s", true),
            ("postgres://u:p@h/d?options=-c%20search_path%3Ds", true),
            ("postgres://u:p@h/d?", true),
            ("postgres://u:p@h/d?ssl=true", false),
            ("postgres://u:p@h/d?sslmod=require", false),
            ("postgres://u:p@h/d?sslmode=disable&pool_size=8", false),
            ("postgres://u:p@h/d?connect_timeout=10", false),
            ("postgres://u:p#q@h/d", false),
            ("postgres://u:p@h/d#sslmode=require", false),
        ] {
            assert_eq!(DatabaseConfig::new(url).address().is_ok(), is_whole, "{url}");
        }
    }
}
