//! Takeover of the database from a durable store.
//!
//! Specified in `docs/protocol.md`, section 3.9.

use crate::{
    error::Error,
    session::write_id,
    store::database::{DatabaseStore, row::Epoch, write::WriteFault},
};

/// Attempts; each fails only if a concurrent one succeeds.
const ATTEMPTS: u8 = 4;

impl DatabaseStore {
    /// Invalidates all cached copies of this database: the cache will miss the following writes,
    /// and must not be trusted when it is used again.
    pub(super) async fn claim(&self) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let epoch = self.database.epoch().await?;
            if epoch.incarnation.is_empty() {
                return Ok(());
            }
            let seq = epoch.seq.saturating_add(1);
            let to = Epoch { seq, generation: write_id::random()?, incarnation: "".into() };
            let bumped = self.database.bump(&epoch, &to).await;
            if bumped.map_err(WriteFault::into_error)? {
                return Ok(());
            }
        }
        Err(Error::unavailable("another store uses the database at the same time"))
    }
}
