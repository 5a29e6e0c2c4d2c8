//! The library's pool, with what it lacks: causes of failed attempts, poolers, and a first use
//! outside of a runtime.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Connection as _,
    pool::PoolConnection,
    postgres::{PgConnection, PgPool},
};
use tokio::time::timeout;

use crate::{
    error::{Error, ErrorKind},
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
    pool: Arc<OnceLock<PgPool>>,
    /// Number of connections that are taken from it.
    taken: Arc<AtomicU32>,
    /// Whether it connects without our timeouts by now.
    is_plain: AtomicBool,
}

impl Pool {
    pub(super) fn new(server: &Arc<Server>, size: u32) -> Self {
        // The options of an application's pool are its own.
        let (server, is_plain) = (Arc::clone(server), AtomicBool::new(server.is_shared()));
        Self { server, size, pool: Arc::default(), taken: Arc::default(), is_plain }
    }

    /// Number of open connections, and of idle ones among them.
    pub(super) fn state(&self) -> (u32, u32) {
        if self.server.is_shared() {
            return (self.taken.load(Ordering::Relaxed), 0);
        }
        let Some(pool) = self.pool.get() else { return (0, 0) };
        (pool.size(), u32::try_from(pool.num_idle()).unwrap_or(u32::MAX))
    }

    /// A connection; never more than the pool's size.
    pub(super) async fn connect(&self) -> Result<Held, Failure> {
        self.server.outlive_runtime();
        let mut is_current = !self.server.has_function();
        let mut is_rejected = false;
        loop {
            let pool = self.pool.get_or_init(|| self.server.pool(self.size, &self.pool));
            if self.server.is_pooled() && !self.is_plain.swap(true, Ordering::Relaxed) {
                pool.set_connect_options(self.server.options().clone());
            }
            // An idle connection needs none; if it turns out unusable, `is_usable` calls it.
            if !is_current && (is_rejected || pool.num_idle() == 0) {
                self.server.authenticate(pool).await?;
                is_current = true;
            }
            let failure = match self.acquire(pool).await {
                Ok(connection) => return Ok(Held::new(connection, &self.taken)),
                Err(sqlx::Error::PoolTimedOut) if self.server.is_shared() => {
                    let text = "no connection of the application's pool became free in time";
                    return Err(Failure::refused(Error::new(ErrorKind::Unavailable, text)));
                }
                // It retries for a while, and does not report the cause.
                Err(sqlx::Error::PoolTimedOut) => match self.try_to_connect().await {
                    Ok(()) => continue,
                    Err(failure) => failure,
                },
                Err(error) => self.server.not_connected(error),
            };
            if failure.pooler && !self.server.is_pooled() {
                self.server.found_pooler();
                continue;
            }
            // No idle connection was usable, and the credentials of the last one have changed.
            if !is_current && failure.error.kind() == ErrorKind::Misconfigured {
                is_rejected = true;
                continue;
            }
            return Err(failure);
        }
    }

    async fn acquire(&self, pool: &PgPool) -> Result<PoolConnection<sqlx::Postgres>, sqlx::Error> {
        let watch = Stopwatch::start();
        let acquired = if self.server.is_shared() {
            // The application may have all of its connections in use.
            let acquired = timeout(self.server.timeout / 2, pool.acquire()).await;
            acquired.unwrap_or(Err(sqlx::Error::PoolTimedOut))
        } else {
            pool.acquire().await
        };
        let in_time = !matches!(&acquired, Err(sqlx::Error::PoolTimedOut));
        watch.connection(System::Postgresql, in_time);
        acquired
    }

    /// Connects outside of the pool to find the cause. The connection is closed.
    async fn try_to_connect(&self) -> Result<(), Failure> {
        match timeout(CONNECT_LIMIT, self.server.connect()).await {
            Ok(Ok(connection)) => {
                let _ = timeout(CONNECT_LIMIT, connection.close()).await;
                Ok(())
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::refused(late())),
        }
    }
}

/// A connection of the pool. Dropped, it is closed at once, without a message to the server: its
/// state is unknown. The library would do that in a runtime, where there is one.
pub(super) struct Held {
    connection: Option<PoolConnection<sqlx::Postgres>>,
    taken: Arc<AtomicU32>,
}

impl Held {
    fn new(connection: PoolConnection<sqlx::Postgres>, taken: &Arc<AtomicU32>) -> Self {
        let _ = taken.fetch_add(1, Ordering::Relaxed);
        Self { connection: Some(connection), taken: Arc::clone(taken) }
    }

    pub(super) fn get(&mut self) -> Option<&mut PgConnection> {
        self.connection.as_deref_mut()
    }

    /// Returns it to the pool, which validates it; if it does not respond in time it is closed.
    pub(super) async fn give_back(mut self, limit: Duration) {
        if let Some(mut connection) = self.connection.take() {
            let _ = timeout(limit, connection.return_to_pool()).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.taken.fetch_sub(1, Ordering::Relaxed);
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use crate::store::{
        ServerCredentials,
        database::{DatabaseConfig, postgres::pool::*},
    };

    /// The clock of the credentials passes 100 ms; then it runs again, as the server's does.
    async fn until_a_result_is_reused_no_more() {
        tokio::time::pause();
        tokio::time::advance(Duration::from_millis(100)).await;
        tokio::time::resume();
    }

    #[tokio::test]
    async fn the_function_is_called_to_open_a_connection_and_not_to_reuse_one() {
        let secret = "a-password-of-postgres";
        let server = test_support::PostgresServer::builder().password(secret).start().await;
        let admin = server.database().await;
        admin.sql("CREATE ROLE rotating LOGIN PASSWORD 'secret 1'").await;
        let url = format!("postgres://rotating@127.0.0.1:{}/{}", server.port(), admin.name());
        let calls = Arc::new(AtomicUsize::new(0));
        let called = Arc::clone(&calls);
        let config = DatabaseConfig::new(&url).credentials(move || {
            let number = called.fetch_add(1, Ordering::SeqCst) + 1;
            std::future::ready(Ok::<_, std::io::Error>(ServerCredentials::new(format!(
                "secret {number}"
            ))))
        });
        let pool = Pool::new(&Server::new(&url, &config).unwrap(), 2);
        let limit = Duration::from_secs(20);
        for _ in 0..3 {
            pool.connect().await.unwrap().give_back(limit).await;
        }
        assert_eq!((calls.load(Ordering::SeqCst), pool.state()), (1, (1, 1)));
        let changed = "ALTER ROLE rotating PASSWORD 'secret 2'; SELECT pg_terminate_backend(pid, \
            10000) FROM pg_stat_activity WHERE usename = 'rotating'";
        admin.sql(changed).await;
        until_a_result_is_reused_no_more().await;
        // The idle connection is lost, and the credentials that the pool has are rejected.
        pool.connect().await.unwrap().give_back(limit).await;
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn the_connection_after_a_lost_one_has_the_current_credentials_while_the_old_are_valid() {
        let server = test_support::PostgresServer::builder().password("a-password").start().await;
        let admin = server.database().await;
        for role in ["role_1", "role_2"] {
            admin.sql(&format!("CREATE ROLE {role} LOGIN PASSWORD 'x'")).await;
        }
        let url = format!("postgres://role_0@127.0.0.1:{}/{}", server.port(), admin.name());
        let calls = AtomicUsize::new(0);
        let config = DatabaseConfig::new(&url).credentials(move || {
            let number = calls.fetch_add(1, Ordering::SeqCst) + 1;
            let credentials = ServerCredentials::new("x").username(format!("role_{number}"));
            std::future::ready(Ok::<_, std::io::Error>(credentials))
        });
        let pool = Pool::new(&Server::new(&url, &config).unwrap(), 2);
        for expected in ["role_1", "role_2"] {
            let mut held = pool.connect().await.unwrap();
            let user = sqlx::query_scalar("SELECT current_user::text");
            let user: String = user.fetch_one(held.get().unwrap()).await.unwrap();
            assert_eq!(user, expected);
            held.give_back(Duration::from_secs(20)).await;
            let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
                WHERE usename LIKE 'role_%'";
            admin.sql(end).await;
            until_a_result_is_reused_no_more().await;
        }
    }
}
