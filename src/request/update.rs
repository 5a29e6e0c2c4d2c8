//! `update`: load, change, save, and retry on a conflict.

use std::{future::Future, pin::pin};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::Error,
    request::{
        RequestSession,
        commit::{Applied, Edit},
    },
    session::{json::encode, key::AsKey},
    telemetry::{
        in_span::SpanExt as _,
        instruments::{Operation, Stopwatch},
    },
};

impl RequestSession {
    pub(crate) async fn update<T, F>(&self, key: impl AsKey<T>, mut change: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        // Cancellation safety: dropped here, the change may or may not have been stored, and the
        // record known to this request is outdated. The next save meets a conflict and rebases.
        // Pinned here: it is large, and moves through the calls below as a pointer.
        let update = pin!(async {
            let mut stored = None;
            let mut edit = |base: Option<&[u8]>| {
                let value = change(read(&key, base)?);
                let json = encode(&value).map_err(|error| error.of_key(key.text()))?;
                stored = Some(value);
                Ok(Edit::Put(json))
            };
            self.flush_first().await?;
            if self.commit_edit_unloaded(key.text(), &mut edit).await? {
                return stored.ok_or_else(Error::absent);
            }
            let fresh = self.begin_edit().await?;
            self.state().writable()?;
            match self.commit_edit(key.text(), fresh, &mut edit).await? {
                Applied::Done => stored.ok_or_else(Error::absent),
                Applied::Gone => Err(Error::ended()),
                Applied::Moved => Err(Error::moved()),
            }
        });
        self.in_turn(update).await
    }

    /// One store operation of this request at a time, within its budget.
    pub(super) async fn in_turn<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let work = pin!(async {
            let _turn = self.accessed().operation_lock.lock().await;
            work.await
        });
        let span = tracing::debug_span!("session_update");
        let watch = Stopwatch::start();
        let result = self.within_budget(work).in_span(span).await;
        watch.operation(Operation::Update, self.backend.store_name, result.as_ref().err());
        result.inspect_err(|error| {
            self.backend.log_failure("session update failed", None, error);
        })
    }

    /// Loads what an edit builds on. Returns whether the record was loaded just now.
    pub(super) async fn begin_edit(&self) -> Result<bool, Error> {
        let fresh = self.state().held.is_none();
        self.load().await?;
        if self.state().has_moved() {
            return Err(Error::moved());
        }
        Ok(fresh)
    }

    /// Stores first the changes that a single edit depends on: a login, a renewal, a clear, the end
    /// of the previous session.
    pub(super) async fn flush_first(&self) -> Result<(), Error> {
        let waits = {
            let state = self.state();
            state.changes.is_wholesale() || state.has_to_end()
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

/// Decodes the stored value as `key` defines.
pub(crate) fn read<T: DeserializeOwned>(
    key: &impl AsKey<T>,
    base: Option<&[u8]>,
) -> Result<Option<T>, Error> {
    Ok(base.map(|json| key.read(json)).transpose()?.flatten())
}
