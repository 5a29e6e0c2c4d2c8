//! The library's pool, with what it lacks: causes of failed attempts, poolers, and a first use
//! outside of a runtime.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _,
    pool::PoolConnection,
    postgres::{PgConnection, PgPool},
};
use tokio::time::timeout;

use crate::{
    store::database::{
        failure::late,
        postgres::{failure::Failure, server::Server},
    },
    telemetry::instruments::{Stopwatch, System},
};

/// Timeout of a connection attempt, even if its callers are gone.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

pub(super) struct Pool {
    pub(super) server: Arc<Server>,
    pub(super) size: u32,
    /// Created in a runtime, at the first use.
    pool: OnceLock<PgPool>,
    /// Whether it connects without our timeouts by now.
    is_plain: AtomicBool,
}

impl Pool {
    pub(super) fn new(server: &Arc<Server>, size: u32) -> Self {
        let (server, is_plain) = (Arc::clone(server), AtomicBool::new(false));
        Self { server, size, pool: OnceLock::new(), is_plain }
    }

    /// Number of open connections, and of idle ones among them.
    pub(super) fn state(&self) -> (u32, u32) {
        let Some(pool) = self.pool.get() else { return (0, 0) };
        (pool.size(), u32::try_from(pool.num_idle()).unwrap_or(u32::MAX))
    }

    /// A connection; never more than the pool's size.
    pub(super) async fn connect(&self) -> Result<Held, Failure> {
        self.server.outlive_runtime();
        loop {
            let pool = self.pool.get_or_init(|| self.server.pool(self.size));
            if self.server.is_pooled() && !self.is_plain.swap(true, Ordering::Relaxed) {
                pool.set_connect_options(self.server.options().clone());
            }
            let watch = Stopwatch::start();
            let acquired = pool.acquire().await;
            let in_time = !matches!(&acquired, Err(sqlx::Error::PoolTimedOut));
            watch.connection(System::Postgresql, in_time);
            let failure = match acquired {
                Ok(connection) => return Ok(Held(Some(connection))),
                // It retries for a while, and does not report the cause.
                Err(sqlx::Error::PoolTimedOut) => match self.try_to_connect().await {
                    Ok(()) => continue,
                    Err(failure) => failure,
                },
                Err(error) => Failure::of_connecting(error),
            };
            if failure.pooler && !self.server.is_pooled() {
                self.server.found_pooler();
                continue;
            }
            return Err(failure);
        }
    }

    /// Connects outside of the pool to find the cause. The connection is closed.
    async fn try_to_connect(&self) -> Result<(), Failure> {
        match timeout(CONNECT_LIMIT, self.server.options().connect()).await {
            Ok(Ok(connection)) => {
                let _ = timeout(CONNECT_LIMIT, connection.close()).await;
                Ok(())
            }
            Ok(Err(error)) => Err(Failure::of_connecting(error)),
            Err(_) => Err(Failure::refused(late())),
        }
    }
}

/// A connection of the pool. Dropped, it is closed at once, without a message to the server: its
/// state is unknown. The library would do that in a runtime, where there is one.
pub(super) struct Held(Option<PoolConnection<sqlx::Postgres>>);

impl Held {
    pub(super) fn get(&mut self) -> Option<&mut PgConnection> {
        self.0.as_deref_mut()
    }

    /// Returns it to the pool, which validates it; if it does not respond in time it is closed.
    pub(super) async fn give_back(mut self, limit: Duration) {
        if let Some(mut connection) = self.0.take() {
            let _ = timeout(limit, connection.return_to_pool()).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
