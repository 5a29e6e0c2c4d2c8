//! Journal sweeper: replays changes that Redis may have missed.
//!
//! Specified in `docs/protocol.md`, section 3.11.

use crate::{
    error::Error,
    session::token::SessionId,
    store::{
        database::Snapshot,
        durable::{engine::Engine, journal, push::carry_out},
    },
};

/// Rows per batch.
const ROWS_AT_ONCE: usize = 32;

impl Engine {
    pub(super) async fn sweep(&self, journal: &[(SessionId, u64)]) {
        if !self.stores.redis().is_closed() {
            return;
        }
        let start = self.now();
        for some in journal.chunks(ROWS_AT_ONCE) {
            // The next poll must not wait for it; the rest is replayed after that.
            if start.age(self.now()) > self.parameters.poll_interval {
                return;
            }
            if let Err(error) = self.sweep_some(some).await {
                tracing::debug!(%error, "journal not replayed to redis");
                return;
            }
        }
    }

    async fn sweep_some(&self, journal: &[(SessionId, u64)]) -> Result<(), Error> {
        let ids: Vec<SessionId> = journal.iter().map(|(id, _)| *id).collect();
        let Snapshot { epoch, rows } = self.database().snapshot(&ids).await?;
        self.authority.trust().adopt(&epoch, self.now());
        self.pass("sweep-snapshot").await;
        let mut link = self.within_redis(self.cache.link()).await?;
        if *link.peer().incarnation().as_str() != *epoch.incarnation {
            return Err(Error::unavailable("another redis server is the trusted one"));
        }
        for ((id, journalled), row) in journal.iter().zip(rows) {
            let (order, version) = journal::order(row, *journalled);
            self.within_redis(async {
                let ids = std::slice::from_ref(id);
                let told = carry_out(&mut link, epoch.generation, ids, &order).await;
                told.map_err(|fault| fault.error)
            })
            .await?;
            self.database().clear_later(*id, version);
        }
        Ok(())
    }
}
