//! A pool of the application.

use std::fmt;

#[cfg(feature = "postgres")]
use sqlx::PgPool;
#[cfg(feature = "sqlite")]
use sqlx::SqlitePool;

/// A pool of the application, for [`DatabaseConfig::from_pool`](crate::DatabaseConfig::from_pool):
/// an `sqlx::PgPool` or an `sqlx::SqlitePool`, by `into()`.
///
/// ```
/// # #[cfg(feature = "postgres")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_redis_session::{sqlx::PgPool, store::DatabasePool};
///
/// let pool: DatabasePool = PgPool::connect_lazy("postgres://127.0.0.1/shop")?.into();
/// # drop(pool);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "postgres"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct DatabasePool(pub(super) Pooled);

#[derive(Clone)]
pub(super) enum Pooled {
    #[cfg(feature = "sqlite")]
    Sqlite(SqlitePool),
    #[cfg(feature = "postgres")]
    Postgres(PgPool),
}

impl Pooled {
    /// Where connections are shared.
    pub(super) fn max_connections(&self) -> Option<u32> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => None,
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => Some(pool.options().get_max_connections()),
        }
    }
}

#[cfg(feature = "postgres")]
impl From<PgPool> for DatabasePool {
    fn from(pool: PgPool) -> Self {
        Self(Pooled::Postgres(pool))
    }
}

#[cfg(feature = "sqlite")]
impl From<SqlitePool> for DatabasePool {
    fn from(pool: SqlitePool) -> Self {
        Self(Pooled::Sqlite(pool))
    }
}

impl fmt::Debug for DatabasePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabasePool").finish_non_exhaustive()
    }
}
