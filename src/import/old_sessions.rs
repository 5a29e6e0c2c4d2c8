//! `OldSessions`: the old store, as the application gives access to it.

use std::fmt;

use crate::{
    clock::timestamp::Timestamp,
    import::{imported::Imported, old_session::OldSession},
    store::StoreFuture,
};

/// The store of the other library, for a [`TakeOver`](crate::import::TakeOver): `OldRedis`
/// (feature `redis`), or a table that the application reads.
///
/// Both calls are part of a request and count against its
/// [budget](crate::RedisSessionLayerBuilder::budget): bound their waits.
///
/// ```
/// use tower_redis_session::{
///     Error, Timestamp,
///     import::{OldSession, OldSessions, StoredSession},
///     store::StoreFuture,
/// };
///
/// /// Django's table.
/// struct DjangoTable;
///
/// # impl DjangoTable {
/// #     async fn row(&self, _: &str) -> Result<Option<(String, u64)>, std::io::Error> { Ok(None) }
/// #     async fn remove(&self, _: &str) -> Result<(), std::io::Error> { Ok(()) }
/// # }
/// impl OldSessions for DjangoTable {
///     fn load<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, Option<StoredSession>> {
///         Box::pin(async move {
///             // SELECT session_data, expire_date FROM django_session WHERE session_key = $1
///             let row = self.row(old.key()).await.map_err(Error::unavailable)?;
///             Ok(row.map(|(data, expires)| {
///                 StoredSession::new(data).expires(Timestamp::from_millis(expires))
///             }))
///         })
///     }
///
///     fn delete<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, ()> {
///         Box::pin(async move { self.remove(old.key()).await.map_err(Error::unavailable) })
///     }
/// }
/// ```
pub trait OldSessions: Send + Sync + 'static {
    /// What is stored under [`old.key()`](OldSession::key); `None` if nothing is.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the response is 503, and no cookie changes. `Corrupt` for an entry that is no
    /// session: an event, and the cookie stays.
    fn load<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, Option<StoredSession>>;

    /// Deletes the old session; one that does not exist is a success. Called after the take-over,
    /// in the background.
    ///
    /// # Errors
    ///
    /// They change nothing: the old cookie opens no session any more.
    fn delete<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, ()>;
}

/// An old session as the old store has it: its bytes, which the
/// [`Importer`](crate::import::Importer) decodes, or its content, such as that of a
/// [JSON line](crate::import::decode_line). `Debug` shows neither.
///
/// ```
/// use tower_redis_session::{Timestamp, import::{StoredSession, decode_line}};
///
/// let stored = StoredSession::new("{}").expires(Timestamp::from_millis(1_893_456_000_000));
/// assert_eq!(format!("{stored:?}"), "StoredSession(..)");
///
/// let line = decode_line(r#"{ "key": "k", "user": "42" }"#)?; // of an export
/// let stored = StoredSession::from(line.session().clone());
/// # drop(stored);
/// # Ok::<(), tower_redis_session::import::ImportError>(())
/// ```
#[derive(Clone)]
pub struct StoredSession {
    pub(super) content: StoredContent,
    pub(super) expires: Option<Timestamp>,
}

#[derive(Clone)]
pub(super) enum StoredContent {
    Bytes(Vec<u8>),
    Decoded(Imported),
}

impl StoredSession {
    /// The bytes of a session without an expiry of its own: the store deletes it, or its bytes have
    /// a time.
    ///
    /// ```
    /// # use tower_redis_session::import::StoredSession;
    /// let stored = StoredSession::new(*b"{}");
    /// # drop(stored);
    /// ```
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { content: StoredContent::Bytes(bytes.into()), expires: None }
    }

    /// The time from when on it is not taken over, if that is not in the session. Defaults to none.
    ///
    /// ```
    /// # use tower_redis_session::{Timestamp, import::StoredSession};
    /// let stored = StoredSession::new("{}").expires(Timestamp::from_millis(0)); // in the past
    /// # drop(stored);
    /// ```
    #[must_use]
    pub fn expires(self, at: Timestamp) -> Self {
        Self { expires: Some(at), ..self }
    }
}

/// A session that is decoded already: by an export, or by a decoder of the application.
impl From<Imported> for StoredSession {
    fn from(session: Imported) -> Self {
        Self { content: StoredContent::Decoded(session), expires: None }
    }
}

impl fmt::Debug for StoredSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredSession(..)")
    }
}
