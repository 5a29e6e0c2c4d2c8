//! Database operations shared by both stores.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

#[cfg(feature = "cli")]
use crate::store::{database::row::Columns, maintenance::Tables};
use crate::{
    clock::Clock,
    error::{ConfigError, Error},
    session::{page::SessionCursor, record::Record, token::SessionId},
    store::{
        attempts::{AttemptOutcome, AttemptWrite},
        database::{
            config::DatabaseConfig,
            engine::Engine,
            group_commit::Group,
            row::{Epoch, Polled, Row, Snapshot},
            write::{Committed, Purged, Write, WriteFault, column_of},
        },
    },
};

/// How long a row is kept after its end or deletion. A database that lags behind Redis by a touch
/// interval must not treat an active session as ended.
pub(super) const ROW_KEPT: Duration = Duration::from_secs(15 * 60);
/// Maximum number of rows per purge, so that writers never wait long for it.
pub(super) const PURGE_ROWS_MAX: u16 = 500;
/// Seconds between purges.
const PURGE_EVERY: u64 = 60;

/// Sessions, journal and epoch in SQLite or PostgreSQL. Clones share one state.
#[derive(Clone)]
pub(crate) struct Database(Arc<Inner>);

struct Inner {
    engine: Arc<Engine>,
    group: Group,
    clock: Clock,
    pool_size: u32,
    started: Instant,
    /// In seconds since `started`.
    next_purge: AtomicU64,
}

impl Database {
    /// Opens no connection and needs no runtime. With `journal` every write adds a row to the
    /// journal, until it is cleared.
    pub(crate) fn new(
        config: &DatabaseConfig,
        journal: bool,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let engine = Arc::new(Engine::new(config, journal)?);
        let group = Group::new(Arc::clone(&engine), clock.clone(), config.timeout);
        let (started, next_purge) = (Instant::now(), AtomicU64::new(0));
        let pool_size = config.pool_size;
        Ok(Self(Arc::new(Inner { engine, group, clock, pool_size, started, next_purge })))
    }

    pub(crate) fn clock(&self) -> Clock {
        self.0.clock.clone()
    }

    /// Creates or migrates the tables; safe to run from several processes at once.
    pub(crate) async fn migrate(&self) -> Result<(), Error> {
        self.0.engine.migrate().await
    }

    /// Whether the database is reachable and has the tables.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        self.0.engine.check().await
    }

    /// The row of a session that is alive or has moved.
    pub(crate) async fn read(&self, id: &SessionId) -> Result<Option<Row>, Error> {
        self.0.engine.select(self.0.engine.read(id)).await
    }

    /// The same for each of `ids`, in order, in one statement.
    pub(crate) async fn read_each(
        &self,
        ids: &[SessionId],
    ) -> Result<Vec<Result<Option<Row>, Error>>, Error> {
        self.0.engine.select(self.0.engine.read_each(ids)).await
    }

    /// Writes, in one transaction with other waiting writes.
    ///
    /// Cancellation safety: once polled, the write is executed or rejected even if the caller is
    /// dropped.
    pub(crate) async fn write(&self, write: Write) -> Result<Committed, WriteFault> {
        self.0.group.write(write).await
    }

    /// Clears the id from the journal up to `version`, with the next write or soon after.
    pub(crate) fn clear_later(&self, id: SessionId, version: u64) {
        self.0.group.clear_later(id, version);
    }

    /// The requested clears that are not committed yet.
    pub(crate) fn clears_pending(&self) -> Vec<(SessionId, u64)> {
        self.0.group.clears_pending()
    }

    /// Clears pending journal rows now, as far as the database allows.
    pub(crate) async fn flush(&self) {
        self.0.group.flush().await;
    }

    pub(crate) async fn epoch(&self) -> Result<Epoch, Error> {
        self.0.engine.epoch().await
    }

    /// The user's epoch; 0 if their sessions were never revoked.
    pub(crate) async fn epoch_of(&self, user: &str) -> Result<u64, Error> {
        self.0.engine.select(self.0.engine.epoch_of(&column_of(user))).await
    }

    /// The sessions of a user, without their content.
    pub(crate) async fn sessions_of(&self, user: &str) -> Result<Vec<(SessionId, Record)>, Error> {
        self.0.engine.select(self.0.engine.sessions_of(&column_of(user))).await
    }

    /// One page of that list.
    pub(crate) async fn sessions_page(
        &self,
        user: &str,
        after: Option<&SessionCursor>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, Error> {
        let after = after.map(|after| {
            let millis = i64::try_from(after.created().as_millis()).unwrap_or(i64::MAX);
            (millis, after.id().to_string())
        });
        // From the beginning: after a key that sorts first.
        let after = after.unwrap_or((i64::MAX, String::new()));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let user = column_of(user);
        self.0.engine.select(self.0.engine.sessions_page(&user, &after, limit)).await
    }

    /// Counts, settles or forgives attempts to sign in, by the database's clock.
    pub(crate) async fn attempt(&self, write: &AttemptWrite) -> Result<AttemptOutcome, Error> {
        self.0.engine.attempt(write).await
    }

    /// Up to `limit` rows with ids after `after`, by id, also of ended sessions; of each record at
    /// most `bytes`.
    #[cfg(feature = "cli")]
    pub(super) async fn page(
        &self,
        after: &str,
        bytes: usize,
        limit: usize,
    ) -> Result<Vec<(String, Result<Columns, Error>)>, Error> {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.0.engine.page(after, bytes, limit).await
    }

    /// The SQL of the tables.
    #[cfg(feature = "cli")]
    pub(crate) fn tables(&self) -> Tables {
        self.0.engine.tables()
    }

    /// The version of the existing tables; `None` if there are none.
    #[cfg(feature = "cli")]
    pub(crate) async fn schema_version(&self) -> Result<Option<i64>, Error> {
        self.0.engine.schema_version().await
    }

    /// Where the database is; no credentials.
    #[cfg(feature = "cli")]
    pub(crate) fn address(&self) -> String {
        self.0.engine.address()
    }

    /// The epoch and up to `limit` + 1 rows of the journal, in one snapshot.
    pub(crate) async fn poll(&self, limit: usize) -> Result<Polled, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        self.0.engine.select(self.0.engine.poll(limit)).await
    }

    /// The epoch and the rows, including ended ones, in one snapshot.
    pub(crate) async fn snapshot(&self, ids: &[SessionId]) -> Result<Snapshot, Error> {
        self.0.engine.snapshot(ids).await
    }

    /// A new generation with an empty journal, if `from` is still the current one.
    pub(crate) async fn bump(&self, from: &Epoch, to: &Epoch) -> Result<bool, WriteFault> {
        self.0.engine.bump(from, to).await
    }

    /// Deletes some of the rows that ended long enough ago, by the database's clock: an instance's
    /// clock may be wrong, and a deleted row is gone for all.
    pub(crate) async fn purge(&self, longer: Duration) -> Result<Purged, Error> {
        self.0.engine.purge(ROW_KEPT.saturating_add(longer), i64::from(PURGE_ROWS_MAX)).await
    }

    /// Starts a purge in the background if the last one was more than a minute ago. Called on
    /// writes, so that an idle store does nothing.
    ///
    /// `longer` is how long a session may be active without a write to the database.
    pub(crate) fn purge_when_due(&self, longer: Duration) {
        let now = self.0.started.elapsed().as_secs();
        let due = self.0.next_purge.load(Ordering::Relaxed);
        if now < due {
            return;
        }
        let next = now.saturating_add(PURGE_EVERY);
        let ours =
            self.0.next_purge.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        if let (Ok(_), Ok(runtime)) = (ours, Handle::try_current()) {
            let database = self.clone();
            runtime.spawn(async move { database.purge_all(longer).await });
        }
    }

    async fn purge_all(&self, longer: Duration) {
        let until = Instant::now() + Duration::from_secs(PURGE_EVERY / 2);
        while let Ok(purged) = self.purge(longer).await {
            if purged.most() < u64::from(PURGE_ROWS_MAX) || Instant::now() > until {
                break;
            }
        }
    }

    /// From now on no purge starts in the background.
    #[cfg(feature = "cli")]
    pub(crate) fn purge_nothing(&self) {
        self.0.next_purge.store(u64::MAX, Ordering::Relaxed);
    }

    #[cfg(feature = "cli")]
    pub(super) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Whether the database's clock is another machine's.
    pub(crate) fn has_a_clock(&self) -> bool {
        self.0.engine.has_a_clock()
    }

    /// Maximum number of connections.
    pub(crate) fn pool_size(&self) -> u32 {
        self.0.pool_size
    }

    /// Number of open connections, and of idle ones among them.
    pub(crate) fn pool(&self) -> (u32, u32) {
        self.0.engine.pool()
    }

    /// Whether requests have waited too long for a connection.
    pub(crate) fn is_starved(&self) -> bool {
        self.0.engine.is_starved()
    }

    /// Notifies other processes of changes, where the database can; best effort.
    pub(crate) async fn announce(&self) {
        self.0.engine.announce().await;
    }

    /// Returns when another process has announced a change, or may have.
    pub(crate) async fn news(&self) {
        self.0.engine.news().await;
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.engine.fmt(f)
    }
}
