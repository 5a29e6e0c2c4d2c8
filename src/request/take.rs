//! `take` and `take_once`: buffered, or at once so that exactly one caller gets the value.

use serde::de::DeserializeOwned;

use crate::{
    error::Error,
    request::{
        RequestSession,
        commit::{Applied, Edit},
        state::State,
        update::read,
    },
    session::key::AsKey,
};

impl State {
    /// Returns the value and removes it, buffered.
    pub(crate) fn take<T>(&mut self, key: &impl AsKey<T>) -> Result<Option<T>, Error>
    where
        T: DeserializeOwned,
    {
        let json = self.changes.get(self.base()?, key.text());
        let value = read(key, json.as_deref())?;
        if value.is_some() {
            self.writable()?;
            self.changes.remove(key.text());
        }
        Ok(value)
    }
}

impl RequestSession {
    /// Takes the value out of the store. The writer that saves the record without it returns it.
    pub(crate) async fn take_once<T>(&self, key: impl AsKey<T>) -> Result<Option<T>, Error>
    where
        T: DeserializeOwned,
    {
        // Cancellation safety: dropped here, the value may be lost.
        self.in_turn(async {
            self.flush_first().await?;
            let fresh = self.begin_edit().await?;
            {
                let mut state = self.state();
                if state.held.is_none() {
                    return state.take(&key);
                }
            }
            let mut taken = None;
            let mut edit = |base: Option<&[u8]>| {
                taken = read(&key, base)?;
                Ok(if taken.is_some() { Edit::Take } else { Edit::Keep })
            };
            match self.commit_edit(key.text(), fresh, &mut edit).await? {
                Applied::Done => self.end_if_empty().await,
                // The value ended with the session.
                Applied::Gone => taken = None,
                Applied::Moved => return Err(Error::moved()),
            }
            Ok(taken)
        })
        .await
    }

    /// Ends the session if the value was its only content. The value has left the store already: a
    /// failure here leaves an empty record until it expires.
    async fn end_if_empty(&self) {
        let held = {
            let state = self.state();
            state.held.clone().filter(|held| held.record.is_vacant() && state.changes.is_empty())
        };
        if let Some(held) = held
            && let Err(error) = self.end_emptied(&held).await
        {
            self.backend.log_failure("empty session not deleted", Some(&held.id), &error);
        }
    }
}
