//! Address of the server, and validity of connections to it.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{
    Connection as _, Row as _,
    pool::PoolConnectionMetadata,
    postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions},
};
use tokio::{
    runtime::{Handle, Id},
    task::AbortHandle,
    time::timeout,
};

use crate::{
    error::ConfigError,
    store::{
        certificates::Certificates,
        credentials::CredentialSource,
        database::{
            config::DatabaseConfig,
            postgres::{options, statement::Statement},
        },
    },
};

/// Idle time after which a connection is closed, so that a busy hour leaves few open.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);
/// In any case: addresses change, and servers use memory for each connection.
pub(super) const LIFE_MAX: Duration = Duration::from_secs(30 * 60);
/// How long the pool tries to connect before the cause is determined.
const CONNECT_TRIES: Duration = Duration::from_secs(2);
/// Minimum interval between discarding all connections because the server is read-only.
const READ_ONLY_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Server {
    /// With our timeouts, which the server enforces independently of this process.
    options: PgConnectOptions,
    /// Without them: some poolers reject them.
    plain: PgConnectOptions,
    pub(super) certificates: Certificates,
    pub(super) credentials: Option<CredentialSource>,
    pub(super) timeout: Duration,
    /// The pool of the application, whose connections keep their settings.
    shared: Option<PgPool>,
    standing: Standing,
}

/// Validity of connections, in microseconds since the start.
struct Standing {
    started: Instant,
    /// Connections opened up to then are closed.
    condemned: AtomicU64,
    /// Connections opened up to then are validated before use.
    suspected: AtomicU64,
    /// A pooler in transaction mode is in front of the server.
    pooled: AtomicBool,
    runtimes: Mutex<Vec<(Id, AbortHandle)>>,
}

impl Server {
    pub(super) fn new(url: &str, config: &DatabaseConfig) -> Result<Arc<Self>, ConfigError> {
        let (plain, certificates) = options::of(url, &config.certificates)?;
        let (timeout, credentials) = (config.timeout, config.credentials.clone());
        let options = options::with_limits(plain.clone(), timeout);
        let (shared, standing) = (None, Standing::new());
        Ok(Arc::new(Self { options, plain, certificates, credentials, timeout, shared, standing }))
    }

    /// The server of an application's pool. The settings of its connections remain as they are.
    #[cfg(feature = "sqlx-pool")]
    pub(super) fn of_pool(pool: &PgPool, config: &DatabaseConfig) -> Arc<Self> {
        let plain = pool.connect_options().as_ref().clone();
        let (options, certificates, credentials) = (plain.clone(), Default::default(), None);
        let (timeout, shared, standing) = (config.timeout, Some(pool.clone()), Standing::new());
        Arc::new(Self { options, plain, certificates, credentials, timeout, shared, standing })
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    pub(super) fn address(&self) -> &PgConnectOptions {
        &self.plain
    }

    /// A statement in the form that the path to the server supports.
    pub(super) fn statement(&self, sql: &'static str) -> Statement {
        if !self.is_pooled() {
            return Statement::prepared(sql);
        }
        let [work, lock] = options::limits(self.timeout);
        let before =
            format!("SET LOCAL statement_timeout = {work}; SET LOCAL lock_timeout = {lock}; ");
        Statement::text(sql, before)
    }

    /// The same for one that ends its transaction itself, and so must be sent alone.
    pub(super) fn lone_statement(&self, sql: &'static str) -> Statement {
        if self.is_pooled() {
            Statement::text(sql, String::new())
        } else {
            Statement::prepared(sql)
        }
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        if self.is_pooled() { &self.plain } else { &self.options }
    }

    /// A pool that connects at its first use, or the application's. Only inside a runtime. `place`
    /// is where it will be kept.
    pub(super) fn pool(self: &Arc<Self>, size: u32, place: &Arc<OnceLock<PgPool>>) -> PgPool {
        if let Some(shared) = &self.shared {
            return shared.clone();
        }
        let (used, made, place) =
            (Arc::downgrade(self), Arc::downgrade(self), Arc::downgrade(place));
        PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(CONNECT_TRIES)
            .idle_timeout(IDLE_MAX)
            .max_lifetime(LIFE_MAX)
            .test_before_acquire(false)
            .before_acquire(move |connection, age| {
                let (server, place) = (Weak::upgrade(&used), Weak::clone(&place));
                Box::pin(async move {
                    match server {
                        Some(server) => Ok(server.is_usable(connection, age, &place).await),
                        None => Ok(false),
                    }
                })
            })
            .after_connect(move |connection, _| {
                let server = Weak::upgrade(&made);
                Box::pin(async move {
                    match server {
                        Some(server) => server.look_for_pooler(connection).await,
                        None => Ok(()),
                    }
                })
            })
            .connect_lazy_with(self.options().clone())
    }

    /// Whether a connection from the pool is usable: recently used ones do not come from there.
    pub(super) async fn is_good(
        &self,
        connection: &mut PgConnection,
        age: PoolConnectionMetadata,
    ) -> bool {
        let made = self.standing.now().saturating_sub(micros(age.age));
        if age.age > LIFE_MAX || age.idle_for > IDLE_MAX || self.standing.is_condemned(made) {
            return false;
        }
        let answered = timeout(self.timeout / 2, connection.ping()).await;
        let is_good = matches!(answered, Ok(Ok(())));
        if !is_good {
            self.suspect();
        }
        is_good
    }

    /// Whether the server itself received our settings with the connection.
    async fn look_for_pooler(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.is_pooled() {
            return Ok(());
        }
        let mark = sqlx::raw_sql("SELECT current_setting('trs.direct', true)");
        let row = mark.fetch_one(connection).await?;
        if row.try_get::<Option<String>, _>(0)?.as_deref() != Some("1") {
            self.found_pooler();
        }
        Ok(())
    }

    pub(super) fn found_pooler(&self) {
        if !self.standing.pooled.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a pooler is in front of postgresql: statements are not prepared, changes of other \
                 instances are seen at the next poll, only a statement_timeout of the user bounds \
                 a write"
            );
        }
    }

    pub(super) fn is_pooled(&self) -> bool {
        self.standing.pooled.load(Ordering::Relaxed)
    }

    /// After one connection is lost, others often are too: they are validated before use.
    pub(super) fn suspect(&self) {
        self.standing.suspected.store(self.standing.now(), Ordering::Relaxed);
    }

    /// The server is read-only: closes every connection opened up to now, even in use. False if
    /// that was done a moment ago, since new connections lead to the same server.
    pub(super) fn condemn(&self) -> bool {
        let standing = &self.standing;
        let (now, last) = (standing.now(), standing.condemned.load(Ordering::Relaxed));
        if last > 0 && now.saturating_sub(last) < micros(READ_ONLY_PAUSE) {
            return false;
        }
        let set =
            standing.condemned.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed);
        set.is_ok()
    }

    /// Whether a connection opened at that time has to be closed.
    pub(super) fn is_condemned(&self, made: Instant) -> bool {
        let made = made.saturating_duration_since(self.standing.started);
        self.standing.is_condemned(micros(made))
    }

    /// Whether a connection validated at that time has to be validated again.
    pub(super) fn is_doubted(&self, good: Instant) -> bool {
        let good = micros(good.saturating_duration_since(self.standing.started));
        good <= self.standing.suspected.load(Ordering::Relaxed) || self.standing.is_condemned(good)
    }

    /// A connection ends with the runtime in which it was opened: when that ends, connections
    /// opened up to then are closed. Called once in each runtime.
    pub(super) fn outlive_runtime(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut runtimes = self.standing.runtimes();
        if runtimes.iter().any(|(id, _)| *id == runtime.id()) {
            return;
        }
        let end = RuntimeEnd { server: Arc::downgrade(self), id: runtime.id() };
        let task = runtime.spawn(async move {
            let _end = end;
            std::future::pending::<()>().await;
        });
        runtimes.push((runtime.id(), task.abort_handle()));
    }
}

impl Standing {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            condemned: AtomicU64::new(0),
            suspected: AtomicU64::new(0),
            pooled: AtomicBool::new(false),
            runtimes: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        micros(self.started.elapsed())
    }

    fn is_condemned(&self, made: u64) -> bool {
        let condemned = self.condemned.load(Ordering::Relaxed);
        condemned > 0 && made <= condemned
    }

    fn runtimes(&self) -> std::sync::MutexGuard<'_, Vec<(Id, AbortHandle)>> {
        self.runtimes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        for (_, task) in self.runtimes.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

/// Dropped when its runtime ends.
struct RuntimeEnd {
    server: Weak<Server>,
    id: Id,
}

impl Drop for RuntimeEnd {
    fn drop(&mut self) {
        if let Some(server) = self.server.upgrade() {
            server.standing.runtimes().retain(|(id, _)| *id != self.id);
            // Closed without validation: a connection without its runtime may respond once more,
            // and fail the next statement.
            let _ = server.standing.condemned.fetch_max(server.standing.now(), Ordering::Relaxed);
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
