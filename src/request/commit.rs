//! Commit of changes to the store: plan, execute, retry on a conflict.
//!
//! | file | holds |
//! |---|---|
//! | `apply` | the attempts, until one succeeds |
//! | `join` | changes that join a write in progress |
//! | `adopt` | the record that a request holds |
//! | `execute` | a plan carried out in the store |
//! | `confirm` | writes whose reply may be lost |

use std::{borrow::Cow, mem, pin::pin, sync::Arc};

use bytes::Bytes;
use tracing::field::display;

use crate::{
    error::Error,
    request::{
        RequestSession,
        state::{CookieChange, Ending},
    },
    session::{changes::Changes, record::Record, token::SessionId},
    sync::carried::Carried,
    telemetry::{
        cause::Cause,
        event::Event,
        in_span::SpanExt as _,
        instruments::{Operation, Stopwatch},
    },
};

mod adopt;
mod apply;
mod confirm;
mod execute;
mod join;

pub(crate) use crate::request::commit::confirm::{Settled, save_settled};
pub(super) use crate::request::commit::{
    confirm::{known, login_settled},
    execute::audited,
};

/// The outcome of applying changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    Done,
    /// The session ended concurrently: the changes are dropped.
    Gone,
    /// The session has moved to another id, which another response sends to the client: the changes
    /// are dropped.
    Moved,
}

/// An edit of one value.
#[derive(Debug)]
pub(crate) enum Edit {
    Keep,
    Put(Bytes),
    /// Removes the value; the writer that saves the removal gets it.
    Take,
}

/// A commit that completes even if its caller is dropped.
pub(crate) type Commit = Carried<Result<(), Error>>;

impl RequestSession {
    /// Stores all changes of this request, within its budget.
    ///
    /// On an error no change is lost: all can be committed again.
    pub(crate) async fn commit(&self) -> Result<Applied, Error> {
        // Pinned here, so that callers move a pointer and not the future.
        let commit = pin!(async {
            let _turn = self.accessed().operation_lock.lock().await;
            self.commit_in_turn().await
        });
        let id = self.state().held.as_ref().map(|held| display(held.id));
        let span = tracing::debug_span!("session_commit", session.id = id);
        let watch = Stopwatch::start();
        let result = self.within_budget(commit).in_span(span).await;
        watch.operation(Operation::Commit, self.backend.store_name, result.as_ref().err());
        result.inspect_err(|error| {
            self.backend.log_failure("session commit failed", None, error);
        })
    }

    /// The same, completing even if the caller is dropped.
    pub(crate) fn commit_surely(self: &Arc<Self>) -> Commit {
        let session = Arc::clone(self);
        let work = async move { session.commit().await.map(drop) };
        Carried::new(self.backend.tracker.track_future(work))
    }

    /// [`commit`](Self::commit) for a caller that holds the lock already and bounds the time
    /// itself.
    pub(crate) async fn commit_in_turn(&self) -> Result<Applied, Error> {
        self.end_what_was_told_to().await?;
        let changes = {
            let mut state = self.state();
            state.endings_at_turn = state.endings;
            mem::take(&mut state.changes)
        };
        if changes.is_empty() {
            return Ok(Applied::Done);
        }
        let mut guard = Restore { session: self, changes: Some(changes) };
        let Some(changes) = &guard.changes else { return Ok(Applied::Done) };
        if changes.signs_in() {
            self.end_twins().await?;
            self.close_old_sessions(false).await?;
        }
        let applied = self.apply(|_| Ok(Cow::Borrowed(changes)), true).await?;
        guard.changes = None;
        self.state().savepoints.forget_all();
        Ok(applied)
    }

    /// Applies `edit` to the value under `name`, and no other buffered change. `fresh` is whether
    /// the record was loaded for this call.
    pub(crate) async fn commit_edit(
        &self,
        name: &str,
        fresh: bool,
        edit: &mut impl FnMut(Option<&[u8]>) -> Result<Edit, Error>,
    ) -> Result<Applied, Error> {
        let mut guard = self.take_name(name);
        let Some(own) = &guard.changes else { return Ok(Applied::Done) };
        let applied = self.apply(edited(own, name, edit), fresh).await?;
        guard.changes = None;
        self.state().savepoints.forget(name);
        Ok(applied)
    }

    /// The same for a request that has not loaded its session, by the write of another one that is
    /// in progress. Returns whether it is done.
    pub(crate) async fn commit_edit_unloaded(
        &self,
        name: &str,
        edit: &mut impl FnMut(Option<&[u8]>) -> Result<Edit, Error>,
    ) -> Result<bool, Error> {
        let mut guard = self.take_name(name);
        let Some(own) = &guard.changes else { return Ok(false) };
        let saved = self.join_unloaded(edited(own, name, edit)).await?;
        if saved {
            guard.changes = None;
            self.state().savepoints.forget(name);
        }
        Ok(saved)
    }

    /// Takes out what is buffered for `name`.
    fn take_name(&self, name: &str) -> Restore<'_> {
        let mut state = self.state();
        state.endings_at_turn = state.endings;
        Restore { session: self, changes: Some(state.changes.take_name(name)) }
    }

    /// Deletes the sessions that this request ended: also the new id of a renewal that was in
    /// progress, and those that an earlier attempt could not delete.
    async fn end_what_was_told_to(&self) -> Result<(), Error> {
        {
            let mut state = self.state();
            if !state.has_to_end() {
                return Ok(());
            }
            if let Some(held) = state.held.take() {
                state.end(held.id, Some(held.record));
            }
        }
        loop {
            let Some(Ending { id, tried, record }) = self.state().next_to_end() else { break };
            let deleted = self.backend.store.delete(&id).await?;
            self.state().has_ended(id);
            if deleted || tried {
                self.tell_of_end(id, record.as_deref(), Cause::Logout);
            }
        }
        self.close_old_sessions(true).await?;
        self.let_go(CookieChange::Remove);
        Ok(())
    }

    fn tell_of_end(&self, id: SessionId, record: Option<&Record>, cause: Cause) {
        let (user, device) = record.map(audited).unwrap_or_default();
        self.backend.events.emit(Event::Destroyed { id, user, device, cause });
    }

    /// Ends the other sessions that the cookies of this request open, so that only one is left
    /// after a sign-in.
    async fn end_twins(&self) -> Result<(), Error> {
        loop {
            let Some(id) = self.state().twins.last().copied() else { return Ok(()) };
            if self.backend.store.delete(&id).await? {
                self.tell_of_end(id, None, Cause::Replaced);
            }
            self.state().twins.retain(|other| *other != id);
        }
    }
}

/// The changes of `own` and one edit on top.
fn edited<'a>(
    own: &'a Changes,
    name: &'a str,
    edit: &'a mut impl FnMut(Option<&[u8]>) -> Result<Edit, Error>,
) -> impl FnMut(Option<&Record>) -> Result<Cow<'a, Changes>, Error> {
    move |base| {
        let mut changes = own.clone();
        match edit(own.get(base, name).as_deref())? {
            Edit::Keep => {}
            Edit::Put(json) => changes.insert(name, json),
            Edit::Take => changes.take(name),
        }
        Ok(Cow::Owned(changes))
    }
}

/// Restores changes after an error, or when a commit is dropped.
struct Restore<'a> {
    session: &'a RequestSession,
    changes: Option<Changes>,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        if let Some(changes) = self.changes.take() {
            let mut state = self.session.state();
            if !state.told_to_end() {
                state.changes.restore_below(changes);
            }
        }
    }
}
