//! `update`: load, change, save, and again if somebody was faster.

use std::pin::pin;

use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument as _;

use crate::{
    error::{Causes, Error},
    request::{RequestSession, commit::Applied},
    session::json::{decode, encode},
};

impl RequestSession {
    pub(crate) async fn update<T, F>(&self, name: &str, change: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        let update = pin!(async {
            let _turn = self.accessed().operation_lock.lock().await;
            self.update_in_turn(name, change).await
        });
        let span = tracing::debug_span!("session_update");
        self.within_budget(update).instrument(span).await.inspect_err(|error| {
            tracing::warn!(error = %Causes(error), "session update failed");
        })
    }

    // Cancellation safety: dropped here, the change may have happened or not, and what this
    // request knows of the record is old. The next save meets a conflict and rebases.
    async fn update_in_turn<T, F>(&self, name: &str, mut change: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        self.flush_first().await?;
        // In turn before the load: what is loaded then is what the save will find, unless another
        // process comes in between.
        let held = self.state().held.as_ref().map(|held| held.id);
        let turn = match held.or_else(|| self.presented().first().map(|(id, _)| *id)) {
            Some(id) => Some(self.backend.write_locks.acquire(id).await),
            None => None,
        };
        self.load().await?;
        {
            let state = self.state();
            state.writable()?;
            if state.has_moved() {
                return Err(Error::moved());
            }
        }
        let mut stored = None;
        let edit = |base: Option<&[u8]>| {
            let value = change(base.map(decode).transpose()?);
            let json = encode(&value)?;
            stored = Some(value);
            Ok(json)
        };
        match self.commit_edit(name, turn, held.is_none(), edit).await? {
            Applied::Done => stored.ok_or_else(Error::absent),
            Applied::Gone => Err(Error::ended()),
            Applied::Moved => Err(Error::moved()),
        }
    }

    /// Stores first what no single name can be saved without: a login, a renewal, a clear, the end
    /// of the session before.
    async fn flush_first(&self) -> Result<(), Error> {
        let waits = {
            let state = self.state();
            state.changes.is_wholesale() || !state.ending.is_empty()
        };
        if !waits {
            return Ok(());
        }
        match self.commit_in_turn().await? {
            Applied::Done => Ok(()),
            Applied::Gone => Err(Error::ended()),
            Applied::Moved => Err(Error::moved()),
        }
    }
}
