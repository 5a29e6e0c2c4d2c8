//! The `UserStore` trait: the contract of a store that keeps an index of each user's sessions.

use crate::{
    session::{
        page::{self, SessionCursor},
        record::Record,
        token::SessionId,
    },
    store::{contract::Store, future::StoreFuture, login::LoginWrite, outcome::SaveOutcome},
};

/// A store that also keeps an index of each user's sessions: what a
/// [layer](crate::RedisSessionLayer::builder) takes.
///
/// Lists of sessions, sign-out everywhere, a limit of sessions per user and
/// [`begin_login`](crate::SessionContext::begin_login) rest on it. A store without an index is
/// wrapped in [`WithoutUsers`](crate::store::WithoutUsers).
///
/// # Contract
///
/// That of [`Store`], and:
///
/// - **By user.** After `revoke_all` has returned, no earlier session of that user is alive;
///   neither a concurrent renewal nor a login with an earlier epoch keeps one alive. At rest a user
///   has no more sessions than the last login allowed. `sessions_of` returns every one of them,
///   also those that were stored by `save` and `begin_renew`.
///
/// # Example
///
/// Every method, as a layer calls it. [The module](crate::store) has an implementation.
///
/// ```
/// use tower_redis_session::{
///     MemoryStore, SessionId,
///     clock::ManualClock,
///     context::SessionCursor,
///     store::{LoginWrite, Record, SaveOutcome, UserStore},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_redis_session::Error> {
/// let store = MemoryStore::with_clock(ManualClock::new().clock()); // 2024-01-01, as the record
/// assert!(store.lists_sessions());
///
/// let (first, second) = (SessionId::from([1; 32]), SessionId::from([2; 32]));
/// let record = Record::example();
/// let epoch = Some(store.revocation_epoch("alice").await?); // before the password is checked
/// for id in [&first, &second] {
///     let mut login = LoginWrite::new(id, &record);
///     login.epoch = epoch;
///     assert!(matches!(store.login(login).await?, SaveOutcome::Saved));
/// }
/// assert_eq!(store.sessions_of("alice").await?.len(), 2);
/// let after = SessionCursor::new(record.created(), first);
/// let page = store.sessions_page("alice", Some(&after), 20).await?;
/// assert_eq!(page[0].0, second);
///
/// assert_eq!(store.revoke_all("alice", Some(&second)).await?, 1);
/// let mut late = LoginWrite::new(&first, &record);
/// late.epoch = epoch;
/// assert!(matches!(store.login(late).await?, SaveOutcome::Revoked));
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `UserStore`: it keeps no index of users' sessions",
    label = "a session layer needs a `UserStore`",
    note = "implement `UserStore`, or wrap a store of records alone: `WithoutUsers::new(store)`"
)]
pub trait UserStore: Store {
    /// The user's revocation epoch: it changes with every [`revoke_all`](Self::revoke_all). One
    /// round trip.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Store::load).
    fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64>;

    /// A sign-in, or the renewal of a session with a user: [`save`](Store::save) of a new record,
    /// or with an `old` session [`begin_renew`](Store::begin_renew). The same step compares the
    /// user's epoch and ends the oldest sessions over the limit.
    /// [`finish_renew`](Store::finish_renew) follows as there.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Store::load), and then nothing was stored.
    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome>;

    /// Every session of a user, in no order: the record without its content, as
    /// [`Record::head_from_bytes`] decodes it. May include expired ones.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Store::load).
    fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>>;

    /// Ends every session of a user but `keep`, and changes the user's epoch; returns how many were
    /// alive.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Misconfigured`: it may have happened or not. To repeat is safe.
    fn revoke_all<'a>(&'a self, user: &'a str, keep: Option<&'a SessionId>)
    -> StoreFuture<'a, u64>;

    /// At most `limit` of them after the cursor `after`: the latest sign-in first, then by the id's
    /// text ascending. Fewer than `limit` are the last page. The default reads the whole list.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Store::load).
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

    /// Whether the store keeps the index. False for [`WithoutUsers`](crate::store::WithoutUsers)
    /// alone, and for a store that wraps one: its other methods here then fail with
    /// `Misconfigured`, and the builder rejects a setting that needs them. True by default.
    fn lists_sessions(&self) -> bool {
        true
    }
}
