//! A configuration on a pool of the application.

use crate::{
    error::ConfigError,
    store::database::{
        config::{DatabaseConfig, Place},
        shared_pool::{DatabasePool, Pooled},
    },
};

impl DatabaseConfig {
    /// The database of a pool that the application has already; crate feature `sqlx-pool`. The
    /// version of sqlx is then a part of this crate's public API: use the re-exported
    /// [`sqlx`](crate::sqlx), or the same version.
    ///
    /// **PostgreSQL.** Sessions use the pool's connections, at most
    /// [`pool_size`](Self::pool_size) at a time: by default half of its `max_connections`, from 1
    /// to 10. It must be less than `max_connections`, which therefore is at least 2. A connection
    /// is returned within two seconds after its last use, with its settings as they were. Other
    /// instances' changes are seen at the next poll, since no connection is kept for LISTEN. The
    /// pool needs a `search_path` in which the tables are found, and a `statement_timeout`, which
    /// alone bounds a statement in the server: set it for the role, or by
    /// `PgConnectOptions::options`. `check()` verifies the tables, the right to write and the
    /// encoding, and logs a warning if there is no `statement_timeout`. Credentials and TLS are
    /// those of the pool. While the application has all connections in use, or if it has closed
    /// the pool, sessions are `Unavailable`. Behind a pooler in transaction mode values are in the
    /// text of statements: turn the pool's statement logging off.
    ///
    /// **SQLite.** Sessions use the file of the pool over connections of their own: the durability
    /// of a logout, `synchronous=FULL`, is a setting of a connection, and a transaction on a shared
    /// one would delay the application. The pool needs a file, not a database in memory, and no
    /// other `journal_mode` than WAL: `check()` verifies it. Other settings of the pool, such as a
    /// VFS, are not taken over.
    ///
    /// ```
    /// # #[cfg(feature = "postgres")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_redis_session::{DatabaseConfig, DatabaseStore, sqlx::PgPool};
    ///
    /// let pool = PgPool::connect_lazy("postgres://127.0.0.1/shop")?;
    /// let store = DatabaseStore::new(DatabaseConfig::from_pool(pool).pool_size(4))?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "postgres"))]
    /// # fn main() {}
    /// ```
    pub fn from_pool(pool: impl Into<DatabasePool>) -> Self {
        let DatabasePool(pool) = pool.into();
        let share = pool.max_connections().map(|most| (most / 2).clamp(1, 10));
        let config = Self::at(Place::Pool(pool));
        match share {
            Some(share) => config.pool_size(share),
            None => config,
        }
    }

    pub(super) fn check_pool(&self, pool: &Pooled) -> Result<(), ConfigError> {
        if self.credentials.is_some() || self.certificates.are_set() {
            let fault = "or certificates are set, but a pool has its own";
            return Err(ConfigError::new("database credentials", fault));
        }
        if pool.max_connections().is_some_and(|most| self.pool_size >= most) {
            let fault = "leaves the application's pool no connection of its own";
            return Err(ConfigError::new("database pool size", fault));
        }
        Ok(())
    }
}
