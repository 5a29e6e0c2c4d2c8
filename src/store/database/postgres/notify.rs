//! What other processes announce: only so that a poll comes sooner.

use std::time::Duration;

use sqlx::{
    Executor,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{store::database::postgres::Postgres, sync::backoff::Backoff};

const CHANNEL: &str = "trs_news";
/// Between two attempts to connect: always the same.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1));
/// After so long without a word the connection is asked whether it is alive.
const SILENCE: Duration = Duration::from_secs(30);

impl Postgres {
    pub(in crate::store::database) async fn announce(&self) {
        let notify = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL);
        if let Err(failure) = self.call(self.deadline(), notify).await {
            tracing::debug!(error = %failure.error, "an announcement was not sent");
        }
    }

    pub(in crate::store::database) async fn news(&self) {
        let mut listener = self.listener.lock().await;
        let mut backoff = BACKOFF;
        loop {
            // Cancellation safety: what is dropped while it connects is lost and made anew; what
            // is dropped while it waits stays.
            let Some((open, heard)) = &mut listener.0 else {
                match self.listen().await {
                    Some(open) => {
                        listener.0 = Some((open, Instant::now()));
                        // Something may have been announced while nobody listened.
                        return;
                    }
                    None => {
                        backoff.pause().await;
                        continue;
                    }
                }
            };
            match timeout_at(*heard + SILENCE, open.try_recv()).await {
                Ok(Ok(Some(_))) => {
                    *heard = Instant::now();
                    while open.next_buffered().is_some() {}
                    return;
                }
                Ok(_) => listener.0 = None,
                Err(_) => {
                    let asked = timeout(self.timeout, open.execute("SELECT 1")).await;
                    if matches!(asked, Ok(Ok(_))) {
                        *heard = Instant::now();
                    } else {
                        listener.0 = None;
                    }
                }
            }
        }
    }

    async fn listen(&self) -> Option<PgListener> {
        let connect = async {
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .max_lifetime(None)
                .idle_timeout(None)
                .acquire_timeout(self.timeout)
                .connect_lazy_with(self.options.clone());
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        timeout(self.timeout, connect).await.ok()?.ok()
    }
}
