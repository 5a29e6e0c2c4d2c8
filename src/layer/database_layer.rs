//! Deprecated layer over a database alone.

#![allow(deprecated, reason = "it is deprecated for its users")]

use tower_layer::Layer;

use crate::{
    error::{ConfigError, Error},
    layer::{RedisSessionLayer, service::RedisSessionService},
    store::database::{DatabaseConfig, DatabaseStore},
};

/// Sessions in a database alone, for services that migrate from such a middleware: the usual layer
/// and handle over a [`DatabaseStore`] with its defaults.
///
/// # Migration
///
/// 1. `RedisSessionLayer::builder(DatabaseStore::new(config)?).build()?` is the same with all
///    settings of the layer. Sessions are kept.
/// 2. With a Redis beside the database, `DurableStore::builder(redis, config).build()?` in place of
///    the `DatabaseStore`: reads then cost the database nothing. No user is signed out by the
///    change if no instance uses the database alone any more when the first one with Redis starts.
///
/// ```
/// # #![allow(deprecated)]
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_redis_session::{DatabaseConfig, layer::DatabaseSessionLayer};
///
/// let database = DatabaseConfig::new("sqlite:sessions.db");
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("sessions.db");
/// # let database = DatabaseConfig::new(format!("sqlite:{}", file.display()));
/// let layer = DatabaseSessionLayer::new(database)?;
/// layer.migrate().await?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[deprecated(
    since = "0.1.0",
    note = "use `RedisSessionLayer` over a `DatabaseStore`, or over a `DurableStore` for Redis in \
            front of the database"
)]
#[derive(Clone, Debug)]
pub struct DatabaseSessionLayer(RedisSessionLayer);

impl DatabaseSessionLayer {
    /// A layer over that database. Opens no connection.
    ///
    /// # Errors
    ///
    /// The invalid setting.
    ///
    /// ```
    /// # #![allow(deprecated)]
    /// # use tower_redis_session::{DatabaseConfig, layer::DatabaseSessionLayer};
    /// assert!(DatabaseSessionLayer::new(DatabaseConfig::new("http://host")).is_err());
    /// ```
    pub fn new(database: DatabaseConfig) -> Result<Self, ConfigError> {
        RedisSessionLayer::builder(DatabaseStore::new(database)?).build().map(Self)
    }

    /// Creates the tables, or migrates them to this version.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Misconfigured`.
    ///
    /// ```
    /// # #![allow(deprecated)]
    /// # use tower_redis_session::{DatabaseConfig, layer::DatabaseSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let file = format!("sqlite:{}", folder.path().join("s.db").display());
    /// DatabaseSessionLayer::new(DatabaseConfig::new(file))?.migrate().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn migrate(&self) -> Result<(), Error> {
        self.0.migrate().await
    }
}

impl From<DatabaseSessionLayer> for RedisSessionLayer {
    fn from(layer: DatabaseSessionLayer) -> Self {
        layer.0
    }
}

impl<S> Layer<S> for DatabaseSessionLayer {
    type Service = RedisSessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}
