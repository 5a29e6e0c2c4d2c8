//! The connections: a few, shared by all requests, replaced when they break.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    clock::compared::{Compared, Whose},
    error::{ConfigError, Error},
    store::redis::client::{
        attempts::Attempts, config::RedisConfig, connection::Connection, connector::Connector,
        greet::Greeter, script::Script,
    },
    telemetry::status::StoreStatus,
};

/// Commands that one connection may have under way before another one is opened.
const SHARE: usize = 256;
/// How long requests may wait for a connection before the store tells that it is not ready.
const PATIENCE: Duration = Duration::from_millis(250);

/// The pool. All requests send over the few connections there are; nobody owns one.
#[derive(Clone)]
pub(in crate::store::redis) struct Connections(Arc<Pool>);

struct Pool {
    connector: Connector,
    slots: Mutex<Slots>,
    attempts: Attempts,
}

#[derive(Default)]
struct Slots {
    open: Vec<Connection>,
    /// Whether one was ever opened.
    opened: bool,
    /// Attempts under way; each is a task of its own, so that it outlives the request that asked.
    connecting: usize,
    waiting: usize,
    /// Since when somebody waits, or somebody waited for an attempt that is still under way.
    wanted_since: Option<Instant>,
}

impl Connections {
    /// Connections that know `scripts`, and are asked by `greeter`, if there is one, who they
    /// lead to.
    pub(in crate::store::redis) fn new(
        config: &RedisConfig,
        scripts: &'static [Script],
        greeter: Option<Arc<dyn Greeter>>,
        compared: Compared,
    ) -> Result<Self, ConfigError> {
        let connector = Connector::new(config, scripts, greeter, compared)?;
        let (slots, attempts) = Default::default();
        Ok(Self(Arc::new(Pool { connector, slots, attempts })))
    }

    /// A connection to send over; waits only if there is none, until one is made or an attempt to
    /// make one fails.
    pub(in crate::store::redis) async fn get(&self) -> Result<Connection, Error> {
        if let Some(connection) = self.0.any() {
            return Ok(connection);
        }
        let limit = self.0.connector.limits.connect_timeout.saturating_mul(2);
        let connected = tokio::time::timeout(limit, self.connected()).await;
        connected.unwrap_or_else(|_| {
            let error = Error::unavailable("no redis connection in time");
            self.0.attempts.failed(error.clone());
            Err(error)
        })
    }

    async fn connected(&self) -> Result<Connection, Error> {
        let mut attempts = self.0.attempts.watch();
        let seen = attempts.borrow_and_update().failures;
        let _waiting = Waiting::new(&self.0);
        loop {
            if let Some(connection) = self.0.any() {
                return Ok(connection);
            }
            // One that was under way may have ended with its runtime: then there is another.
            self.0.connect();
            let gone = attempts.changed().await.is_err();
            let ended = attempts.borrow_and_update();
            if gone || ended.failures > seen {
                let cause = ended.last_cause.clone();
                return Err(cause.unwrap_or_else(|| Error::unavailable("no redis connection")));
            }
        }
    }

    /// This process' clock beside the server's.
    pub(in crate::store::redis) fn compared(&self) -> &Compared {
        &self.0.connector.compared
    }

    /// A connection of the caller's own, which no request waits behind, nor it behind them.
    pub(in crate::store::redis) async fn own(&self) -> Result<Connection, Error> {
        self.0.connector.connect().await
    }

    pub(in crate::store::redis) fn scripts(&self) -> &'static [Script] {
        self.0.connector.scripts()
    }

    pub(in crate::store::redis) fn command_timeout(&self) -> Duration {
        self.0.connector.limits.command_timeout
    }

    /// Those that are open.
    #[cfg(feature = "_database")]
    pub(in crate::store::redis) fn open(&self) -> Vec<Connection> {
        let slots = self.0.slots();
        slots.open.iter().filter(|connection| !connection.is_broken()).cloned().collect()
    }

    /// How many are open, and why the last attempt to open one failed.
    pub(in crate::store::redis) fn status(&self) -> StoreStatus {
        let now = Instant::now();
        let (away, last_cause) = self.0.attempts.last(now);
        let (connections, late) = {
            let slots = self.0.slots();
            (slots.alive(), slots.is_late(now))
        };
        StoreStatus {
            answers: connections > 0 || !(away || late),
            last_cause,
            connections,
            pool_size: self.0.connector.limits.pool_size,
            clock_ahead: self.0.connector.compared.ahead(Whose::Redis),
        }
    }

    /// How many are open, and the most there may be.
    #[cfg(feature = "_database")]
    pub(in crate::store::redis) fn size(&self) -> (u32, u32) {
        (self.0.slots().alive(), self.0.connector.limits.pool_size)
    }
}

impl Pool {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        // Nothing that can panic runs under this lock.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn most(&self) -> usize {
        usize::try_from(self.connector.limits.pool_size).unwrap_or(usize::MAX)
    }

    /// The first one, so that requests which wake together share one write and one read; another
    /// one while that has much to do.
    fn any(self: &Arc<Self>) -> Option<Connection> {
        let mut slots = self.slots();
        slots.open.retain(|connection| self.connector.is_good(connection));
        let load = |connection: &&Connection| connection.health.in_flight() / SHARE;
        let found = slots.open.iter().min_by_key(load).cloned()?;
        slots.settle();
        let is_crowded = load(&&found) > 0 && slots.connecting == 0;
        if is_crowded && slots.open.len() < self.most() {
            slots.connecting += 1;
            drop(slots);
            self.start(1);
        }
        Some(found)
    }

    /// Has as many attempts under way as there are requests waiting, and places for them.
    fn connect(self: &Arc<Self>) {
        let mut slots = self.slots();
        let places = self.most().saturating_sub(slots.open.len());
        let missing = slots.waiting.min(places).saturating_sub(slots.connecting);
        slots.connecting += missing;
        drop(slots);
        self.start(missing);
    }

    fn opened(&self, connection: Connection) {
        let mut slots = self.slots();
        let lost = slots.open.iter().all(Connection::is_broken);
        if std::mem::replace(&mut slots.opened, true) && lost {
            self.connector.reconnected();
        }
        slots.open.push(connection);
    }

    /// Without the lock: a runtime that ends drops what is started on it at once.
    fn start(self: &Arc<Self>, attempts: usize) {
        for _ in 0..attempts {
            let attempt = Attempt(Arc::clone(self));
            let Ok(runtime) = tokio::runtime::Handle::try_current() else { continue };
            // Cancellation safety: dropped with its runtime, the attempt gives its place back.
            drop(runtime.spawn(async move {
                match attempt.0.connector.connect().await {
                    Ok(connection) => attempt.0.opened(connection),
                    Err(error) => attempt.0.attempts.failed(error),
                }
            }));
        }
    }
}

impl Slots {
    fn alive(&self) -> u32 {
        let alive = self.open.iter().filter(|connection| !connection.is_broken()).count();
        u32::try_from(alive).unwrap_or(u32::MAX)
    }

    /// Whether somebody waits for what does not come.
    fn is_late(&self, now: Instant) -> bool {
        self.wanted_since.is_some_and(|since| now.saturating_duration_since(since) > PATIENCE)
    }

    fn settle(&mut self) {
        if self.waiting == 0 && self.connecting == 0 {
            self.wanted_since = None;
        }
    }
}

/// An attempt to connect.
struct Attempt(Arc<Pool>);

impl Drop for Attempt {
    fn drop(&mut self) {
        {
            let mut slots = self.0.slots();
            slots.connecting -= 1;
            slots.settle();
        }
        self.0.attempts.ended();
    }
}

/// A request that waits for a connection.
struct Waiting<'a>(&'a Pool);

impl<'a> Waiting<'a> {
    fn new(pool: &'a Pool) -> Self {
        let mut slots = pool.slots();
        slots.waiting += 1;
        let _ = slots.wanted_since.get_or_insert_with(Instant::now);
        drop(slots);
        Self(pool)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut slots = self.0.slots();
        slots.waiting -= 1;
        slots.settle();
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("open", &self.0.slots().alive()).finish_non_exhaustive()
    }
}
