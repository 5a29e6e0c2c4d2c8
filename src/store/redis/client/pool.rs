//! Connection pool: a few connections, shared by all requests, replaced when they break.

use std::{
    fmt,
    future::{Future as _, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak},
    task::Poll,
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    clock::compared::Compared,
    error::{ConfigError, Error},
    store::{
        availability::Availability,
        redis::client::{
            attempts::{Attempts, Ended},
            config::RedisConfig,
            connection::Connection,
            connector::Connector,
            current::Current,
            greet::Greeter,
            places::{Alive, Keeper, Places},
            script::Script,
            waits::{Waiting, Waits},
        },
    },
    telemetry::instruments::{Stopwatch, System},
};

/// How long a connection attempt may take to start.
const BEGIN_MAX: Duration = Duration::from_millis(20);

/// The pool. A connection is taken, cloned and returned at once, so that all requests share the few
/// there are.
#[derive(Clone)]
pub(in crate::store::redis) struct Connections(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) connector: Arc<Connector>,
    current: Current,
    /// Replaced when bb8 has lost places.
    places: RwLock<Arc<Places>>,
    open: Mutex<Open>,
    waits: Mutex<Waits>,
    pub(super) attempts: Attempts,
    /// Of a store that serves alone.
    pub(super) availability: Option<Arc<Availability>>,
    /// One connection that serves ends of sessions alone, where replicas confirm them.
    confirming: Option<Connections>,
    this: Weak<Self>,
}

#[derive(Default)]
struct Open {
    connections: Vec<Connection>,
    /// Whether a connection was ever opened.
    opened: bool,
}

impl Connections {
    /// Connections with `scripts`, whose servers `greeter` verifies, if there is one.
    pub(in crate::store::redis) fn new(
        config: &RedisConfig,
        scripts: &'static [Script],
        greeter: Option<Arc<dyn Greeter>>,
        compared: Compared,
        availability: Option<Arc<Availability>>,
    ) -> Result<Self, ConfigError> {
        let connector = Connector::new(config, scripts, greeter, compared)?;
        Ok(Self::over(connector, availability, None))
    }

    pub(super) fn over(
        connector: Connector,
        availability: Option<Arc<Availability>>,
        confirming: Option<Self>,
    ) -> Self {
        let connector = Arc::new(connector);
        Self(Arc::new_cyclic(|this: &Weak<Shared>| {
            let keeper: Weak<dyn Keeper> = Weak::<Shared>::clone(this);
            let places = RwLock::new(Arc::new(Places::new(&connector, &keeper)));
            let (current, open, waits, attempts) = Default::default();
            let this = Weak::clone(this);
            Shared {
                connector,
                current,
                places,
                open,
                waits,
                attempts,
                availability,
                confirming,
                this,
            }
        }))
    }

    /// Those for ends of sessions.
    pub(super) fn confirming(&self) -> Option<&Self> {
        self.0.confirming.as_ref()
    }

    /// A connection; waits only if there is none, until one is opened or an attempt fails.
    pub(in crate::store::redis) async fn get(&self) -> Result<Connection, Error> {
        if let Some(open) = self.0.current.get(&self.0.connector).or_else(|| self.0.any()) {
            return Ok(open);
        }
        let limit = self.0.connector.limits.connect_timeout.saturating_mul(2);
        let watch = Stopwatch::start();
        let connected = tokio::time::timeout(limit, self.connected()).await;
        watch.connection(System::Redis, connected.is_ok());
        connected.unwrap_or_else(|_| {
            let error = Error::unavailable("no redis connection in time");
            self.0.cannot_connect(&error);
            // The attempt would have failed by now, if its runtime were running.
            self.0.replace(|places| places.are_awaited() && places.are_empty());
            Err(error)
        })
    }

    async fn connected(&self) -> Result<Connection, Error> {
        let mut attempts = self.0.attempts.watch();
        let seen = attempts.borrow_and_update().failures;
        let _waiting = Waiting::new(&self.0.waits, || self.0.settle());
        loop {
            let places = self.0.places();
            let mut given = pin!(places.pool.get());
            let mut in_vain = pin!(self.0.in_vain(&places, &mut attempts, seen));
            let first = poll_fn(|context| match given.as_mut().poll(context) {
                Poll::Ready(given) => Poll::Ready(Ok(given)),
                Poll::Pending => in_vain.as_mut().poll(context).map(Err),
            });
            match first.await {
                Ok(Ok(connection)) => return Ok(connection.clone()),
                Err(Some(cause)) => return Err(cause),
                Ok(Err(_)) | Err(None) => {}
            }
        }
    }

    /// Comparison of this process' clock with the server's.
    pub(in crate::store::redis) fn compared(&self) -> &Compared {
        &self.0.connector.compared
    }

    /// A separate connection, behind which no request waits.
    pub(in crate::store::redis) async fn own(&self) -> Result<Connection, Error> {
        let opened = self.0.connector.connect().await;
        opened.inspect_err(|error| self.0.attempts.failed_aside(error.clone()))
    }

    pub(in crate::store::redis) fn scripts(&self) -> &'static [Script] {
        self.0.connector.scripts()
    }

    pub(in crate::store::redis) fn command_timeout(&self) -> Duration {
        self.0.connector.limits.command_timeout
    }

    /// Closes all connections and opens no other ones, or does so again.
    #[cfg(feature = "cli")]
    pub(in crate::store::redis) fn cut(&self, cut: bool) {
        self.0.connector.cut.store(cut, std::sync::atomic::Ordering::Relaxed);
        if cut {
            self.0.open().connections.iter().for_each(Connection::give_up);
        }
    }

    /// The open connections.
    #[cfg(feature = "_database")]
    pub(in crate::store::redis) fn open(&self) -> Vec<Connection> {
        self.0.open().connections.clone()
    }
}

impl Shared {
    /// A connection of the pool, which becomes the current one; `None` if none is open.
    fn any(&self) -> Option<Connection> {
        // Under the lock, which is cheaper than cloning a handle.
        let open = self.places.read().unwrap_or_else(PoisonError::into_inner).any();
        self.current.set(open.clone());
        open
    }

    fn places(&self) -> Arc<Places> {
        Arc::clone(&self.places.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The open connections.
    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing that can panic runs under this lock.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.connections.retain(|connection| !connection.is_broken());
        open
    }

    pub(super) fn alive(&self) -> u32 {
        u32::try_from(self.open().connections.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when waiting for a connection from `places` is pointless: with the cause if an
    /// attempt has failed after the first `seen` ones, without one if the places have been
    /// replaced.
    async fn in_vain(
        &self,
        places: &Arc<Places>,
        attempts: &mut watch::Receiver<Ended>,
        seen: u64,
    ) -> Option<Error> {
        loop {
            let changed = tokio::time::timeout(BEGIN_MAX, attempts.changed()).await;
            let ended = attempts.borrow_and_update();
            if ended.failures > seen {
                let cause = ended.last_cause.clone();
                return Some(cause.unwrap_or_else(|| Error::unavailable("no redis connection")));
            }
            drop(ended);
            if changed.is_err() && places.are_lost() {
                self.replace(|current| std::ptr::eq(current, &**places));
            }
            if !Arc::ptr_eq(&self.places(), places) {
                return None;
            }
        }
    }

    /// Replaces the places, keeping their connections, if the current ones have to go.
    fn replace(&self, have_to_go: impl FnOnce(&Places) -> bool) {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        if !have_to_go(&places) {
            return;
        }
        let keeper: Weak<dyn Keeper> = Weak::<Self>::clone(&self.this);
        let others = Arc::new(Places::new(&self.connector, &keeper));
        for connection in &self.open().connections {
            // Not more than before.
            let _ = others.pool.add(connection.clone());
        }
        let gone = std::mem::replace(&mut *places, others);
        drop(places);
        drop(gone);
        self.attempts.ended();
    }

    /// Clears the waiting state, if no attempt is in progress any more.
    fn settle(&self) {
        let awaited = self.places().are_awaited();
        let mut waits = self.waits();
        if waits.waiting == 0 && !awaited {
            waits.since = None;
        }
    }
}

impl Keeper for Shared {
    fn opened(&self, connection: &Connection, of: &Alive) {
        {
            let mut open = self.open();
            let lost = open.connections.is_empty();
            if std::mem::replace(&mut open.opened, true) && lost {
                // Before any caller can use this one.
                self.connector.reconnected();
            }
            open.connections.push(connection.clone());
        }
        let places = self.places();
        // A late connection, for replaced places; the current ones may be full.
        if !places.have(of) && places.pool.add(connection.clone()).is_err() {
            connection.health.set_broken();
        }
    }

    fn failed(&self, cause: Error) {
        self.cannot_connect(&cause);
    }

    fn lost(&self, of: &Alive) {
        self.replace(|places| places.have(of));
    }

    fn ended(&self) {
        self.settle();
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("open", &self.0.alive()).finish_non_exhaustive()
    }
}
