//! Address of the server, and validity of connections to it.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Connection as _, Row as _,
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
    store::database::{config::fault, postgres::statement::Statement},
};

/// Idle time after which a connection is closed, so that a busy hour leaves few open.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);
/// However good it is: addresses change, and servers keep memory for each.
const LIFE_MAX: Duration = Duration::from_secs(30 * 60);
/// How long the pool tries to connect before the cause is looked for.
const CONNECT_TRIES: Duration = Duration::from_secs(2);
/// After a server that only reads was met, its connections are given up no more than so often.
const READ_ONLY_PAUSE: Duration = Duration::from_secs(1);
/// A setting without meaning, by which we know whether the server has got ours.
const MARK: &str = "trs.direct";

pub(super) struct Server {
    /// With our time-outs, which the server keeps whatever becomes of us.
    options: PgConnectOptions,
    /// Without: not every pooler takes them.
    plain: PgConnectOptions,
    timeout: Duration,
    standing: Standing,
}

/// What is known of connections, in microseconds since the start.
struct Standing {
    started: Instant,
    /// What was made up to then is closed.
    condemned: AtomicU64,
    /// What was made up to then is asked before it is used.
    suspected: AtomicU64,
    /// A pooler stands between that hands out connections by transaction.
    pooled: AtomicBool,
    runtimes: Mutex<Vec<(Id, AbortHandle)>>,
}

impl Server {
    pub(super) fn new(url: &str, timeout: Duration) -> Result<Arc<Self>, ConfigError> {
        // The library's own text may hold a part of the address; it is not passed on.
        let Ok(options) = url.parse::<PgConnectOptions>() else {
            return fault("is not postgres://user@host:port/database");
        };
        let name = options.get_application_name().unwrap_or("tower-redis-session").to_owned();
        // Nothing of ours is a floating point number, and some poolers know no such setting.
        let options = options.disable_statement_logging().extra_float_digits(None);
        let plain = options.application_name(&name);
        let options = with_limits(plain.clone(), timeout);
        Ok(Arc::new(Self { options, plain, timeout, standing: Standing::new() }))
    }

    pub(super) fn address(&self) -> &PgConnectOptions {
        &self.plain
    }

    /// A statement in the form that the way to the server allows.
    pub(super) fn statement(&self, sql: &'static str) -> Statement {
        if !self.is_pooled() {
            return Statement::prepared(sql);
        }
        let [work, lock] = limits(self.timeout);
        let before =
            format!("SET LOCAL statement_timeout = {work}; SET LOCAL lock_timeout = {lock}; ");
        Statement::text(sql, before)
    }

    /// The same for one that ends its transaction itself, and so has to be alone.
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

    /// A pool that connects at its first use. Only inside of a runtime.
    pub(super) fn pool(self: &Arc<Self>, size: u32) -> PgPool {
        let (used, made) = (Arc::downgrade(self), Arc::downgrade(self));
        PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(CONNECT_TRIES)
            .idle_timeout(IDLE_MAX)
            .max_lifetime(LIFE_MAX)
            .test_before_acquire(false)
            .before_acquire(move |connection, age| {
                let server = Weak::upgrade(&used);
                Box::pin(async move {
                    match server {
                        Some(server) => Ok(server.is_good(connection, age).await),
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

    /// Whether a connection from the pool can be used: what was used a moment ago does not come
    /// from there.
    async fn is_good(&self, connection: &mut PgConnection, age: PoolConnectionMetadata) -> bool {
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

    /// Whether the server itself has got our settings with the connection.
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
                "a pooler stands before postgresql: no statement is prepared, other processes are \
                 heard of at the next poll, only a statement_timeout of the user bounds a write"
            );
        }
    }

    pub(super) fn is_pooled(&self) -> bool {
        self.standing.pooled.load(Ordering::Relaxed)
    }

    /// When one connection is lost, others often are too: they are asked before they are used.
    pub(super) fn suspect(&self) {
        self.standing.suspected.store(self.standing.now(), Ordering::Relaxed);
    }

    /// The server only reads: every connection made up to now is closed, even in use. False if that
    /// was so a moment ago, and so a new connection would lead there too.
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

    /// Whether what was made at that time is to be closed.
    pub(super) fn is_condemned(&self, made: Instant) -> bool {
        let made = made.saturating_duration_since(self.standing.started);
        self.standing.is_condemned(micros(made))
    }

    /// Whether what was good at that time has to be looked at again.
    pub(super) fn is_doubted(&self, good: Instant) -> bool {
        let good = micros(good.saturating_duration_since(self.standing.started));
        good <= self.standing.suspected.load(Ordering::Relaxed) || self.standing.is_condemned(good)
    }

    /// A connection dies with the runtime that it was opened in: when that ends, what was made up
    /// to then is closed. To be called in each runtime.
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
            // Closed and not asked: a connection without its runtime may answer once more, and fail
            // the statement after that.
            let _ = server.standing.condemned.fetch_max(server.standing.now(), Ordering::Relaxed);
        }
    }
}

/// How long the server works at a statement, and how long it waits for a lock, in milliseconds.
pub(super) fn limits(timeout: Duration) -> [u128; 2] {
    // The wait for a lock is shorter, so that its word is heard: nothing was stored.
    [timeout.as_millis(), timeout.as_millis() / 2]
}

/// What the address sets itself stays as it is.
fn with_limits(options: PgConnectOptions, timeout: Duration) -> PgConnectOptions {
    let [work, lock] = limits(timeout);
    let theirs = options.get_options().unwrap_or_default().to_owned();
    let ours = [
        (MARK, 1),
        ("statement_timeout", work),
        ("lock_timeout", lock),
        ("idle_in_transaction_session_timeout", work),
        // A client that is gone without a word is noticed within two minutes.
        ("tcp_keepalives_idle", 60),
        ("tcp_keepalives_interval", 10),
        ("tcp_keepalives_count", 6),
    ];
    options.options(ours.into_iter().filter(|(name, _)| !theirs.contains(name)))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
