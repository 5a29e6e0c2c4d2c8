//! The `Store` trait: the contract of every store.

use std::time::Duration;

use crate::{
    clock::Clock,
    error::Error,
    session::{
        placement::Placement,
        record::{Record, Touch},
        token::SessionId,
    },
    store::{
        attempt_contract::AttemptStore,
        future::StoreFuture,
        outcome::{Expected, SaveOutcome},
    },
    telemetry::{
        events::Events,
        health::{Health, Serving},
    },
};

/// Storage of session records.
///
/// A layer takes a [`UserStore`](crate::store::UserStore), which also keeps an index of each user's
/// sessions; a store of records alone is wrapped in
/// [`WithoutUsers`](crate::store::WithoutUsers). `Arc<S>` is a store where `S` is one.
///
/// Its methods by role:
///
/// - Records, required: `load`, `save`, `begin_renew`, `touch`, `delete`, `delete_version`.
/// - Records, optional: `inspect`, `load_many`, `finish_renew`, `abandon_renew`. The defaults are
///   right for a store that renews in one step; they load records one by one.
/// - Operation, optional: `migrate`, `check`, `close`, `placement`, `ack_delay`, `health`,
///   `events`, `clock`. The defaults are right for a store without schema, deferred work or a clock
///   of its own.
///
/// A store that wraps another forwards the optional methods, too.
///
/// # Contract
///
/// Correctness rests on one operation: [`save`](Self::save) with an expected version. However
/// writes overlap, a record moves from one version to the next, and a deleted record stays deleted.
/// `testing::conformance` checks an implementation against every sentence here.
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
/// - **Moved is not ended.** For a minute after a renewal `load` returns under the old id the
///   record before the move, as [moved](Record::moved) to the new one. Every other method finds
///   nothing there, except that `delete` ends the session under its current id.
/// - **Forgetful.** A record may vanish at any time after its [`end`](Record::end), and is removed
///   soon after without a call. Until then the store may still return it, with a later idle
///   deadline if activity may have reached it late: the layer checks its own clock.
/// - **Shared.** `close` can be repeated, and the store serves other layers afterwards.
///
/// # Example
///
/// Every method, as a layer calls it. [The module](crate::store) has an implementation.
///
/// ```
/// use tower_redis_session::{
///     MemoryStore, SessionId,
///     clock::ManualClock,
///     store::{Expected, Record, SaveOutcome, Store, Touch},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_redis_session::Error> {
/// let store = MemoryStore::with_clock(ManualClock::new().clock()); // 2024-01-01, as the record
/// store.migrate().await?;
/// store.check().await?;
///
/// let (old, new) = (SessionId::from([1; 32]), SessionId::from([2; 32]));
/// let record = Record::example();
/// let saved = store.save(&old, Expected::Absent, &record).await?;
/// assert!(matches!(saved, SaveOutcome::Saved));
/// let again = store.save(&old, Expected::Absent, &record).await?;
/// assert!(matches!(again, SaveOutcome::IdInUse));
/// assert_eq!(store.load(&old).await?, Some(record.clone()));
/// let later = store.clock().now().saturating_add(std::time::Duration::from_secs(3_700));
/// let activity = Touch::new(record.end(), later, later);
/// assert!(store.touch(&old, record.version(), activity).await?);
/// let started = store.begin_renew(&old, record.version(), &new, &record).await?;
/// assert!(matches!(started, SaveOutcome::Saved)); // the client is sent the new token
/// let finished = store.finish_renew(&old, record.version(), &new).await?;
/// assert!(matches!(finished, SaveOutcome::Saved));
/// store.abandon_renew(&old, &new).await?; // only after a conflict: it finds nothing to remove
/// assert_eq!(store.inspect(&new).await?, Some(record));
/// let both = store.load_many(&[old, new]).await?;
/// assert_eq!(both[0].as_ref().unwrap().as_ref().unwrap().moved_to(), Some(&new));
/// let other_version = store.delete_version(&new, 7).await?;
/// assert!(matches!(other_version, SaveOutcome::Conflict(_)));
/// assert!(store.delete(&new).await?);
/// assert!(store.health().is_ready() && store.ack_delay().is_zero());
/// drop(store.events().listen());
/// store.close().await?;
/// # Ok(())
/// # }
/// ```
pub trait Store: Send + Sync + 'static {
    /// The record under `id`, or `None` if there is none: one round trip. For a session that moved
    /// within the last minute, the record before the move, with the new id in [`Record::moved_to`].
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Misconfigured`, and for bytes that cannot be decoded `Corrupt` or
    /// `Unsupported`; the bytes are kept.
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>>;

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

    /// Deletes the record under `id` if it has the version `at`: an emptied session ends
    /// unless a concurrent write added something.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), and then nothing was deleted.
    fn delete_version<'a>(&'a self, id: &'a SessionId, at: u64) -> StoreFuture<'a, SaveOutcome>;

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

    /// The second step: ends `old`, if it still has the version `expected`, as moved to `new`.
    /// `Conflict` if it has another: then both stay, and the layer calls
    /// [`abandon_renew`](Self::abandon_renew). `Gone` if it was ended concurrently: then `new` is
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

    /// Removes what the first step stored under `new`, and leaves `old`: after a `Conflict` of the
    /// second, when the response has the old id again. The default does nothing.
    ///
    /// # Errors
    ///
    /// Those of [`finish_renew`](Self::finish_renew).
    fn abandon_renew<'a>(&'a self, old: &'a SessionId, new: &'a SessionId) -> StoreFuture<'a, ()> {
        let _ = (old, new);
        Box::pin(std::future::ready(Ok(())))
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

    /// Start-up check: the store is reachable and as configured. Succeeds by default.
    ///
    /// # Errors
    ///
    /// `Unavailable` for a store that may come up later, `Misconfigured` for one that is unusable.
    fn check(&self) -> StoreFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Finishes deferred background work before the process ends. Layers that share a store each
    /// call it, and the store serves the others afterwards. Nothing is deferred by default.
    ///
    /// # Errors
    ///
    /// Deferred work was lost; nothing that was acknowledged.
    fn close(&self) -> StoreFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Where sessions of a user are stored, for a store that keeps them together: the layer then
    /// draws tokens with the user's [tag](Placement::tag), and a renewal without a user keeps the
    /// tag of the old id. None by default: all 32 bytes of a token are random.
    fn placement(&self) -> Option<Placement> {
        None
    }

    /// Extra time that a write may take until it is acknowledged. The layer waits that long beyond
    /// its budget. Zero by default.
    fn ack_delay(&self) -> Duration {
        Duration::ZERO
    }

    /// Health of the store as last seen by requests. Performs no I/O. Ready by default.
    fn health(&self) -> Health {
        Health::new(Serving::Other)
    }

    /// The event sink that all layers on this store share: return a clone of one that the store
    /// keeps. With the default each layer has one of its own, and live connections of one layer
    /// notice revocations by another at their next poll.
    fn events(&self) -> Events {
        Events::default()
    }

    /// Where failed sign-ins are counted, for a
    /// [`SignInLimiter`](crate::limiter::SignInLimiter). None by default.
    fn attempts(&self) -> Option<&dyn AttemptStore> {
        None
    }

    /// The clock by which records expire; the layer uses the same. The
    /// system's by default.
    fn clock(&self) -> Clock {
        Clock::system()
    }
}
