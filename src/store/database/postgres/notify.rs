//! LISTEN and NOTIFY: make the next poll earlier.

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Executor, postgres::PgListener};
use tokio::time::{timeout, timeout_at};

use crate::{
    store::database::postgres::{Postgres, listener::Open},
    sync::backoff::Backoff,
};

const CHANNEL: &str = "trs_news";
/// Pause between connection attempts: constant.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1));
/// Time without a message after which the connection is validated.
const SILENCE: Duration = Duration::from_secs(30);

impl Postgres {
    pub(in crate::store::database) async fn announce(&self) {
        let notify = || self.server.statement("SELECT pg_notify($1, '')").bind(CHANNEL);
        if let Err(failure) = self.tell(&self.requests, notify).await {
            tracing::debug!(error = %failure.error, "notification not sent");
        }
    }

    /// Never returns if there is no listener: in the smallest pools, and behind a pooler in
    /// transaction mode. The poll finds changes.
    pub(in crate::store::database) async fn news(&self) {
        let Some(listener) = &self.listener else { return pending().await };
        let mut listener = listener.lock().await;
        let mut backoff = BACKOFF;
        loop {
            if self.server.is_pooled() {
                listener.0 = None;
                return pending().await;
            }
            if listener.0.as_ref().is_some_and(Open::is_old) {
                listener.0 = None;
            }
            // Cancellation safety: a connection attempt that is dropped is repeated; a connection
            // is kept.
            let Some(open) = &mut listener.0 else {
                match self.listen().await {
                    Some(open) => {
                        listener.0 = Some(open);
                        // A notification may have been missed while there was no listener.
                        return;
                    }
                    None => {
                        backoff.pause().await;
                        continue;
                    }
                }
            };
            match timeout_at((open.heard + SILENCE).into(), open.connection.try_recv()).await {
                Ok(Ok(Some(_))) => {
                    open.heard = Instant::now();
                    while open.connection.next_buffered().is_some() {}
                    return;
                }
                Err(_) if self.is_alive(open).await => open.heard = Instant::now(),
                Ok(_) | Err(_) => listener.0 = None,
            }
        }
    }

    async fn is_alive(&self, open: &mut Open) -> bool {
        let asked = timeout(self.timeout, open.connection.execute("SELECT 1")).await;
        matches!(asked, Ok(Ok(_))) && !self.server.is_condemned(open.made)
    }

    async fn listen(&self) -> Option<Open> {
        let connect = async {
            let made = Instant::now();
            let pool = self.server.pool(1, &Arc::default());
            if self.server.authenticate(&pool).await.is_err() {
                return Ok(None);
            }
            let mut connection = PgListener::connect_with(&pool).await?;
            if self.server.is_pooled() {
                return Ok(None);
            }
            connection.eager_reconnect(false);
            connection.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(Some(Open { connection, made, heard: Instant::now() }))
        };
        timeout(self.timeout, connect).await.ok()?.ok()?
    }
}

#[cfg(test)]
mod tests {
    use crate::store::database::{
        DatabaseConfig,
        postgres::{notify::*, server::LIFE_MAX},
    };

    #[tokio::test]
    async fn the_connection_that_listens_is_replaced_when_it_is_old() {
        let database = test_support::PostgresServer::shared().await.database().await;
        let url = database.url();
        let config = DatabaseConfig::new(&url).timeout(Duration::from_secs(20));
        let postgres = Postgres::new(&url, &config, true).unwrap();
        let made = async |older: Duration| {
            let mut listener = postgres.listener.as_ref().unwrap().lock().await;
            let open = listener.0.as_mut().unwrap();
            open.made = open.made.checked_sub(older).unwrap();
            open.made.elapsed()
        };
        // Each returns at once: a notification may have been missed while there was no listener.
        timeout(Duration::from_secs(20), postgres.news()).await.expect("it listens");
        assert!(made(LIFE_MAX).await > LIFE_MAX);
        timeout(Duration::from_secs(20), postgres.news()).await.expect("it is replaced");
        assert!(made(Duration::ZERO).await < LIFE_MAX);
    }
}
