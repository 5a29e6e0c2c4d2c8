//! The contract that every store keeps.

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

/// A place for session records.
///
/// One operation carries all correctness: [`save`](Self::save) with an expected version. Whatever
/// overlaps, a record moves from one version to the next, and a record that is gone stays gone.
/// `testing::conformance` checks an implementation against every sentence here.
///
/// The contract:
///
/// - **Fenced.** A save, a renewal, a `delete_version` and a touch change a record only at the
///   version they expect; to compare and to write is one atomic step, across all processes that
///   share the store.
/// - **Final.** After `delete` has answered, no save, renewal or touch that started earlier creates
///   anything under that id.
/// - **Bounded.** Every future ends by itself. The layer bounds it too and drops it then; a dropped
///   future may have happened or not, and leaves nothing half-written.
/// - **Honest.** `Err` means that nothing was stored. A write of which that is not known is
///   [`SaveOutcome::Unknown`].
/// - **By user.** After `revoke_all` has answered, no session of that user is alive that was signed
///   in to before; neither a renewal under way brings one through, nor a login that carries an
///   epoch of before. At rest a user has no more sessions than the last login allowed.
///   `sessions_of` tells of every one of them.
/// - **Moved is not ended.** For a minute after a renewal `load` returns under the old id what the
///   session was, as [moved](Record::moved) to the new one; for every other method nothing is
///   there, but that `delete` ends the session under the id that it has now.
/// - **Forgetful.** A record may vanish at any time after its [`end`](Record::end), and does so
///   soon after without anybody's help. Until then the store may still return it, with a later
///   idle deadline if activity may have reached it late: the layer asks its own clock.
pub trait Store: Send + Sync + 'static {
    /// The record under `id`, or `None` if there is none: one round trip. Of a session that has
    /// moved within the last minute what it was: [`Record::moved_to`] says where it is.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Misconfigured`, and for bytes that cannot be read `Corrupt` or
    /// `Unsupported`; those bytes stay.
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>>;

    /// The record as it stands, for somebody who is not its client; `None` in the middle of a
    /// renewal too, which stays there: to finish it would end the id that the client may still
    /// have. The default is [`load`](Self::load), for stores that renew in one step.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load).
    fn inspect<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        self.load(id)
    }

    /// Several records at once, for a client that sent several cookies; in the order of `ids`.
    /// One round trip where the store can. The default asks one after the other.
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

    /// Stores `record` under `id` if the store has what `expected` says; one round trip.
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
    /// `expected` and nothing is under `new`. The layer tells the client the new id then, and calls
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
    /// `Conflict` if it has another, and `Gone` if somebody else ended it: then `new` is removed
    /// instead. A store with two steps takes this one itself when `new` is loaded before it was, at
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

    /// Writes activity down without a new version, if the record has this `version` and ends
    /// earlier than `activity` says. Creates nothing; answers whether it changed something.
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

    /// Removes whatever is under `id`, readable or not; of a session that has moved, whatever is
    /// under the id that it has now. Answers whether there was anything; nothing is a success.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Misconfigured`: it may then be removed or not. To repeat is safe.
    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, bool>;

    /// Removes the record under `id` if it has the version `expected`: a session that was emptied
    /// ends, unless somebody put something in meanwhile.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), and then nothing was removed.
    fn delete_version<'a>(&'a self, id: &'a SessionId, at: u64) -> StoreFuture<'a, SaveOutcome>;

    /// The user's epoch: another number after every [`revoke_all`](Self::revoke_all). One round
    /// trip. The default keeps none.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load).
    fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
        let _ = user;
        Box::pin(std::future::ready(Err(login::no_users())))
    }

    /// A sign-in, or the renewal of a session with a user: [`save`](Self::save) of a new record, or
    /// with an `old` session [`begin_renew`](Self::begin_renew), in the same step with the user's
    /// epoch compared and the oldest of too many sessions ended. `finish_renew` follows as there.
    /// The default does neither, and refuses a login that asks for it.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), and then nothing was stored.
    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(login_by_save(self, login))
    }

    /// Every session of a user, in no order: the record without its content, as
    /// [`Record::head_from_bytes`] makes it of the first bytes. May tell of some that are over. The
    /// default keeps no list of them.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load).
    fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        let _ = user;
        Box::pin(std::future::ready(Err(login::no_users())))
    }

    /// At most `limit` of them from behind `after` on: the latest sign-in first, then the id with
    /// the lesser text. Fewer are the last. The default cuts it out of the whole list.
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

    /// Ends every session of a user but `keep`, and gives the user another epoch; answers how many
    /// were alive. The default keeps no list of them.
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

    /// Creates what the store needs, or brings it up to this version. Safe to call at every start,
    /// and from several processes at once. Does nothing by default.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Misconfigured`.
    fn migrate(&self) -> StoreFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Asks at start whether the store is there and as configured.
    ///
    /// # Errors
    ///
    /// `Unavailable` for a store that may come up later, `Misconfigured` for one that will not do.
    fn check(&self) -> StoreFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Finishes what can wait and nobody waits for, before the process ends.
    ///
    /// # Errors
    ///
    /// Whatever is lost with it; nothing that was acknowledged.
    fn close(&self) -> StoreFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// How much longer than its work a write may take until it is acknowledged. The layer waits
    /// that long beyond its budget. Zero by default.
    fn ack_delay(&self) -> Duration {
        Duration::ZERO
    }

    /// How the store does, as far as it has noticed. Asks nobody.
    fn health(&self) -> Health {
        Health::new(Serving::Other)
    }

    /// Where the layer tells of what happens, and the store of what happens to it. The default is
    /// of the layer's own.
    fn events(&self) -> Events {
        Events::default()
    }

    /// The clock that this store's records live by; the layer uses the same.
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
