//! Database configuration: address and limits.

use std::{fmt, time::Duration};

use crate::error::ConfigError;

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
    url: String,
    pub(super) pool_size: u32,
    pub(super) timeout: Duration,
}

/// Which database an address names, for those that this build has.
pub(super) enum Address<'a> {
    #[cfg(feature = "sqlite")]
    Sqlite(&'a str),
    #[cfg(feature = "postgres")]
    Postgres(&'a str),
}

impl DatabaseConfig {
    /// A SQLite file, `sqlite:PATH` or `sqlite://PATH` (crate feature `sqlite`), or PostgreSQL,
    /// `postgres://` or `postgresql://` (crate feature `postgres`).
    ///
    /// A path has `%3F` for a question mark, and nothing behind it: no parameters, no database in
    /// memory, which is what [`MemoryStore`](crate::MemoryStore) is for. A PostgreSQL address may
    /// have parameters such as `?sslmode=verify-full` (crate feature `tls`), and only such as are
    /// understood; what it leaves open is taken from `PGHOST`, `PGUSER` and so on.
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
        Self { url: url.into(), pool_size: 10, timeout: Duration::from_millis(600) }
    }

    /// The most connections; of SQLite those that read, beside the one that writes. More where
    /// requests wait for one although the database has time. From 1 to 1,024. Defaults to 10.
    ///
    /// From 2 on one of them is kept for what ends an overload, such as the health check and the
    /// poll of a store with Redis in front, which never wait behind requests. From 3 on such a
    /// store keeps another one on PostgreSQL to hear of changes at once; below it learns of them at
    /// its next poll. A connection ends after 10 minutes without use, and after 30 in any case.
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

    /// How long one read, or one write from its start to its end, may take, the wait for a
    /// connection included. Longer where the disk is slow. From 10 ms to 1 minute. Defaults to
    /// 600 ms.
    ///
    /// PostgreSQL keeps it too, so that no statement outlives its caller: each connection sets
    /// `statement_timeout` and `idle_in_transaction_session_timeout` to it and `lock_timeout` to
    /// half of it. What the address sets itself, as in `?options=-c%20lock_timeout%3D200`, stays.
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

    /// The longest that one read or write takes.
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
        match self.url.split_once(':').map(|(scheme, _)| scheme) {
            #[cfg(feature = "sqlite")]
            Some("sqlite") => Ok(Address::Sqlite(&self.url)),
            #[cfg(not(feature = "sqlite"))]
            Some("sqlite") => fault("is SQLite, which needs the crate feature `sqlite`"),
            #[cfg(feature = "postgres")]
            Some("postgres" | "postgresql") if !is_whole(&self.url) => {
                fault("has a # that is not written %23, or a parameter that nobody reads")
            }
            #[cfg(feature = "postgres")]
            Some("postgres" | "postgresql") => Ok(Address::Postgres(&self.url)),
            #[cfg(not(feature = "postgres"))]
            Some("postgres" | "postgresql") => {
                fault("is PostgreSQL, which needs the crate feature `postgres`")
            }
            _ => fault("is neither sqlite: nor postgres://"),
        }
    }
}

/// The parameters that the library reads. It passes over others with a warning.
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

/// Whether all of the address means something: what is behind a `#` is sent nowhere, and a password
/// with one in it would be cut.
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

/// Never with the address in it: that may hold a password.
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
