//! The `Store` trait: the contract of every store.

use std::{future::Future, pin::Pin, time::Duration};

use crate::{
    clock::Clock,
    error::Error,
    session::{
        page::{self, SessionCursor},
        record::{Record, Touch},
        token::SessionId,
    },
    store::{
        login::{self, LoginWrite},
        outcome::{Expected, SaveOutcome},
    },
    telemetry::{
        events::Events,
        health::{Health, Serving},
    },
};

/// What a store's methods return: a boxed future, so that a layer can hold any store.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Storage of session records.
///
/// Correctness rests on one operation: [`save`](Self::save) with an expected version. However
/// writes overlap, a record moves from one version to the next, and a deleted record stays deleted.
/// `testing::conformance` checks an implementation against every sentence here.
///
/// The contract:
///
/// - **Fenced.** A save, a renewal, a `delete_version` and a touch change a record only at the
///   version they expect; the comparison and the write are one atomic step, across all processes
///   that share the store.
/// - **Final.** After `delete` has returned, no save, renewal or touch that started earlier creates
///   anything under that id.
/// - **Bounded.** Every future ends by itself. The layer bounds it too and drops it then; the write
///   of a dropped future may have happened or not, and is never half done.
/// - **Honest.** `Err` means that nothing was stored. A write whose outcome is not known is
///   [`SaveOutcome::Unknown`].
/// - **By user.** After `revoke_all` has returned, no earlier session of that user is alive;
///   neither a concurrent renewal nor a login with an earlier epoch keeps one alive. At rest a user
///   has no more sessions than the last login allowed. `sessions_of` returns every one of them.
/// - **Moved is not ended.** For a minute after a renewal `load` returns under the old id the
///   record before the move, as [moved](Record::moved) to the new one. Every other method finds
///   nothing there, except that `delete` ends the session under its current id.
/// - **Forgetful.** A record may vanish at any time after its [`end`](Record::end), and is removed
///   soon after without a call. Until then the store may still return it, with a later idle
///   deadline if activity may have reached it late: the layer checks its own clock.
pub trait Store: Send + Sync + 'static {
    /// The record under `id`, or `None` if there is none: one round trip. For a session that moved
    /// within the last minute, the record before the move, with the new id in [`Record::moved_to`].
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Misconfigured`, and for bytes that cannot be decoded `Corrupt` or
    /// `Unsupported`; the bytes are kept.
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>>;

    /// The record for a caller that is not its client. `None` during a renewal too, which is left
    /// unfinished: to finish it would end the id that the client may still hold. The default is
    /// [`load`](Self::load), for stores that renew in one step.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load).
    fn inspect<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        self.load(id)
    }

    /// Several records at once, for a client that sent several cookies; in the order of `ids`. One
    /// round trip where the store can. The default loads them one by one.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), each in its place, or one for all.
    fn load_many<'a>(
        &'a self,
        ids: &'a [SessionId],
    ) -> StoreFuture<'a, Vec<Result<Option<Record>, Error>>> {
        Box::pin(async move {
            let mut records = Vec::with_capacity(ids.len());
            for id in ids {
                records.push(self.load(id).await);
            }
            Ok(records)
        })
    }

    /// Stores `record` under `id` if the store holds what `expected` states; one round trip.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), and then nothing was stored.
    fn save<'a>(
        &'a self,
        id: &'a SessionId,
        expected: Expected,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome>;

    /// Moves a session to a new id: stores `record` under `new`, if `old` has the version
    /// `expected` and nothing is under `new`. The layer then sends the client the new id and calls
    /// [`finish_renew`](Self::finish_renew), which ends `old` as [moved](Record::moved). A store
    /// that can do both at once ends `old` here. Either way `old` has ended before `new` is loaded.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), and then `old` is as it was.
    fn begin_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome>;

    /// The second step: ends `old`, if it still has the version `expected`, as moved to `new`.
    /// `Conflict` if it has another, and `Gone` if it was ended concurrently: then `new` is
    /// removed. A store with two steps takes this one itself when `new` is loaded earlier, at
    /// whatever version. The default does nothing, for stores that renew in one step.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Misconfigured`: it may have happened or not. To repeat is safe.
    fn finish_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
    ) -> StoreFuture<'a, SaveOutcome> {
        let _ = (old, expected, new);
        Box::pin(std::future::ready(Ok(SaveOutcome::Saved)))
    }

    /// Records activity without a new version, if the record has this `version` and ends earlier
    /// than `activity` says. Creates nothing; returns whether it changed something.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load).
    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        version: u64,
        activity: Touch,
    ) -> StoreFuture<'a, bool>;

    /// Deletes whatever is under `id`, readable or not; for a session that has moved, whatever is
    /// under its current id. Returns whether there was anything; nothing is a success.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Misconfigured`: it may have been deleted or not. To repeat is safe.
    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, bool>;

    /// Deletes the record under `id` if it has the version `expected`: an emptied session ends
    /// unless a concurrent write added something.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), and then nothing was deleted.
    fn delete_version<'a>(&'a self, id: &'a SessionId, at: u64) -> StoreFuture<'a, SaveOutcome>;

    /// The user's revocation epoch: it changes with every [`revoke_all`](Self::revoke_all). One
    /// round trip. The default keeps none.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load).
    fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
        let _ = user;
        Box::pin(std::future::ready(Err(login::no_users())))
    }

    /// A sign-in, or the renewal of a session with a user: [`save`](Self::save) of a new record, or
    /// with an `old` session [`begin_renew`](Self::begin_renew). The same step compares the user's
    /// epoch and ends the oldest sessions over the limit. `finish_renew` follows as there. The
    /// default does neither, and rejects a login that asks for it.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), and then nothing was stored.
    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(login_by_save(self, login))
    }

    /// Every session of a user, in no order: the record without its content, as
    /// [`Record::head_from_bytes`] decodes it. May include expired ones. The default fails: it
    /// keeps no list.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load).
    fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        let _ = user;
        Box::pin(std::future::ready(Err(login::no_users())))
    }

    /// At most `limit` of them after the cursor `after`: the latest sign-in first, then by the id's
    /// text ascending. Fewer than `limit` are the last page. The default reads the whole list.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load).
    fn sessions_page<'a>(
        &'a self,
        user: &'a str,
        after: Option<&'a SessionCursor>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        Box::pin(async move {
            let mut all = self.sessions_of(user).await?;
            page::cut(&mut all, after, limit);
            Ok(all)
        })
    }

    /// Ends every session of a user but `keep`, and changes the user's epoch; returns how many were
    /// alive. The default fails: it keeps no list.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Misconfigured`: it may have happened or not. To repeat is safe.
    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        keep: Option<&'a SessionId>,
    ) -> StoreFuture<'a, u64> {
        let _ = (user, keep);
        Box::pin(std::future::ready(Err(login::no_users())))
    }

    /// Creates the schema, or migrates it to this version. Safe to call at every start, and from
    /// several processes at once. Does nothing by default.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Misconfigured`.
    fn migrate(&self) -> StoreFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Start-up check: the store is reachable and as configured.
    ///
    /// # Errors
    ///
    /// `Unavailable` for a store that may come up later, `Misconfigured` for one that is unusable.
    fn check(&self) -> StoreFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Finishes deferred background work before the process ends.
    ///
    /// # Errors
    ///
    /// Deferred work was lost; nothing that was acknowledged.
    fn close(&self) -> StoreFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Extra time that a write may take until it is acknowledged. The layer waits that long beyond
    /// its budget. Zero by default.
    fn ack_delay(&self) -> Duration {
        Duration::ZERO
    }

    /// Health of the store as last seen by requests. Performs no I/O.
    fn health(&self) -> Health {
        Health::new(Serving::Other)
    }

    /// The event sink that the layer and the store share. The default is one of the layer's own.
    fn events(&self) -> Events {
        Events::default()
    }

    /// The clock by which records expire; the layer uses the same.
    fn clock(&self) -> Clock {
        Clock::system()
    }
}

/// A sign-in in a store that keeps no list of a user's sessions.
async fn login_by_save<S>(store: &S, login: LoginWrite<'_>) -> Result<SaveOutcome, Error>
where
    S: Store + ?Sized,
{
    if login.epoch.is_some() || login.limit.is_some() {
        return Err(login::no_users());
    }
    match login.old {
        Some((old, expected)) => store.begin_renew(old, expected, login.new, login.record).await,
        None => store.save(login.new, Expected::Absent, login.record).await,
    }
}
