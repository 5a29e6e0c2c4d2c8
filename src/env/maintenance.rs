//! The configured store, for the command line.

use std::{sync::Arc, time::Duration};

use crate::{
    env::{config::EnvConfig, setting::by_variable, storage::Storage},
    error::ConfigError,
    store::{
        database::DatabaseStore, durable::maintenance::DurableMaintenance,
        maintenance::Maintenance, redis::maintenance::RedisMaintenance,
    },
};

/// Timeout of a command and of a statement: no request waits for this process, and a slow server is
/// no reason to do half of the work. A durable store allows no more.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of a layer without a setting.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3_600);

impl EnvConfig {
    /// The idle timeout of sessions without one of their own.
    pub(crate) fn shortest_idle_timeout(&self) -> Duration {
        self.idle_timeout.unwrap_or(IDLE_TIMEOUT)
    }

    /// The configured store. Opens no connection.
    ///
    /// # Errors
    ///
    /// The variable with an invalid address; `SESSION_STORAGE` for the memory of another process.
    pub(crate) fn maintenance(&self) -> Result<Arc<dyn Maintenance>, ConfigError> {
        let store: Result<Arc<dyn Maintenance>, ConfigError> = match self.storage.clone() {
            Storage::Memory => {
                let fault = "is memory, which no other process can read: set the variables of the \
                             service, with redis, durable or database";
                Err(ConfigError::new("SESSION_STORAGE", fault))
            }
            Storage::Redis(redis) => {
                let redis = redis.command_timeout(PATIENCE);
                RedisMaintenance::new(redis).map(|store| Arc::new(store) as _)
            }
            Storage::Database(database) => {
                let database = database.timeout(PATIENCE);
                DatabaseStore::new(database).map(|store| Arc::new(store) as _)
            }
            Storage::Durable { redis, database, strict } => {
                let (redis, database) =
                    (redis.command_timeout(PATIENCE), database.timeout(PATIENCE));
                DurableMaintenance::new(redis, database, strict).map(|store| Arc::new(store) as _)
            }
        };
        store.map_err(by_variable)
    }
}
