//! The `AttemptStore` trait: where a limiter counts.

use crate::store::{
    attempts::{AttemptOutcome, AttemptWrite},
    future::StoreFuture,
};

/// Where a store counts failed attempts. A [`Store`](crate::store::Store) returns it from
/// [`attempts`](crate::store::Store::attempts).
///
/// A store of yours either passes calls on to one of this crate's stores, or keeps an
/// [`AttemptTable`](crate::store::AttemptTable) in memory.
///
/// ```
/// use tower_redis_session::{
///     MemoryStore,
///     limiter::SignInLimiter,
///     store::{AttemptOutcome, AttemptStore, AttemptWrite, Store, StoreFuture},
/// };
///
/// /// Passes each call on.
/// struct Logged<S>(S);
///
/// impl<S: AttemptStore> AttemptStore for Logged<S> {
///     fn write<'a>(&'a self, write: &'a AttemptWrite) -> StoreFuture<'a, AttemptOutcome> {
///         println!("{write:?}");
///         self.0.write(write)
///     }
/// }
///
/// let store = MemoryStore::new();
/// assert!(store.attempts().is_some() && SignInLimiter::builder(store).build().is_ok());
/// ```
pub trait AttemptStore: Send + Sync + 'static {
    /// Counts an attempt or throttles it, settles one, or forgives failures: in one atomic step, by
    /// the store's own clock.
    ///
    /// # Errors
    ///
    /// Those of [`load`](crate::store::Store::load); the attempt may then be counted.
    fn write<'a>(&'a self, write: &'a AttemptWrite) -> StoreFuture<'a, AttemptOutcome>;
}
