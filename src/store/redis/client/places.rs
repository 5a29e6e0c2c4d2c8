//! Places of the bb8 pool: its connections, and room for more.

use std::{
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bb8_redis::bb8::{ErrorSink, ManageConnection, Pool, PooledConnection, QueueStrategy};

use crate::{
    error::Error,
    store::redis::client::{
        connection::{Connection, SHARE},
        connector::Connector,
    },
};

/// Owner of the places; notified of the outcome of connection attempts.
pub(in crate::store::redis) trait Keeper: Send + Sync {
    /// An attempt of `of` has opened a connection.
    fn opened(&self, connection: &Connection, of: &Alive);
    fn failed(&self, cause: Error);
    /// An attempt of `of` was dropped before it ended, and its place is lost.
    fn lost(&self, of: &Alive);
    /// An attempt has ended.
    fn ended(&self);
}

/// Number of attempts of one pool in progress.
pub(in crate::store::redis) type Alive = Arc<AtomicUsize>;

/// A bb8 pool. It starts a connection attempt as a task of the calling runtime, and counts it until
/// it reports its end. An attempt dropped with its runtime never does, and keeps its place; so
/// attempts in progress are counted here, too, and a pool that has lost places is replaced.
pub(in crate::store::redis) struct Places {
    pub(in crate::store::redis) pool: Pool<Opener>,
    alive: Alive,
}

impl Places {
    pub(in crate::store::redis) fn new(
        connector: &Arc<Connector>,
        keeper: &Weak<dyn Keeper>,
    ) -> Self {
        let alive = Alive::default();
        let opener = Opener {
            connector: Arc::clone(connector),
            keeper: Weak::clone(keeper),
            alive: Arc::clone(&alive),
        };
        let pool = Pool::builder()
            .max_size(connector.limits.pool_size)
            // The same connection while it is free, so that requests woken together share one write
            // and one read; the others serve under contention, and when it breaks.
            .queue_strategy(QueueStrategy::Lifo)
            .min_idle(None)
            // No reaper: it would need a runtime here, and broken connections are marked.
            .max_lifetime(None)
            .idle_timeout(None)
            // Only reads a flag; see `Opener::is_valid`.
            .test_on_check_out(true)
            // Longer than any caller waits.
            .connection_timeout(connector.limits.connect_timeout.saturating_mul(4))
            .retry_connection(false)
            .error_sink(Box::new(Failures(Weak::clone(keeper))))
            .build_unchecked(opener);
        Self { pool, alive }
    }

    /// An open connection: the one used last. If it is busy, the least busy one; if all are,
    /// another one is being opened.
    pub(in crate::store::redis) fn any(&self) -> Option<Connection> {
        let first = self.idle()?;
        if first.has_room() {
            return Some(first.clone());
        }
        let mut crowded = vec![first];
        // The pool opens another one, up to its maximum, since these are held here.
        while let Some(next) = self.idle() {
            if next.has_room() {
                return Some(next.clone());
            }
            crowded.push(next);
        }
        let least = crowded.iter().min_by_key(|held| held.health.in_flight() / SHARE);
        least.map(|held| (**held).clone())
    }

    /// Makes the pool start an attempt if there is none.
    fn idle(&self) -> Option<PooledConnection<'_, Opener>> {
        // Ready at once, or the caller that needs one waits.
        match pin!(self.pool.get()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(connection) => connection.ok(),
            Poll::Pending => None,
        }
    }

    /// Whether these attempts belong to these places.
    pub(in crate::store::redis) fn have(&self, alive: &Alive) -> bool {
        Arc::ptr_eq(&self.alive, alive)
    }

    pub(in crate::store::redis) fn are_awaited(&self) -> bool {
        self.alive.load(Ordering::Acquire) > 0
    }

    pub(in crate::store::redis) fn are_empty(&self) -> bool {
        self.pool.state().connections == 0
    }

    /// Whether there is no connection and no attempt. An attempt that has not started looks the
    /// same.
    pub(in crate::store::redis) fn are_lost(&self) -> bool {
        !self.are_awaited() && self.are_empty()
    }
}

/// Opens connections for bb8, and reports which are usable.
pub(in crate::store::redis) struct Opener {
    connector: Arc<Connector>,
    keeper: Weak<dyn Keeper>,
    alive: Alive,
}

/// Why the pool returns no connection.
#[derive(Debug)]
pub(in crate::store::redis) enum Fault {
    /// A connection broke; another is being opened.
    Stale,
    /// The attempt to connect failed.
    Connect(Error),
}

impl ManageConnection for Opener {
    type Connection = Connection;
    type Error = Fault;

    async fn connect(&self) -> Result<Connection, Fault> {
        let Some(keeper) = self.keeper.upgrade() else {
            return Err(Fault::Connect(Error::unavailable("the redis client has been dropped")));
        };
        let mut attempt = Attempt::new(&*keeper, &self.alive);
        let opened = self.connector.connect().await;
        attempt.ended = true;
        let connection = opened.map_err(Fault::Connect)?;
        keeper.opened(&connection, &self.alive);
        Ok(connection)
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Fault> {
        // The command that failed sets the flag; a PING would only double the round trips.
        if self.connector.is_good(connection) {
            return Ok(());
        }
        // For holders of a clone.
        connection.health.set_broken();
        Err(Fault::Stale)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_broken()
    }
}

/// A connection attempt in progress.
struct Attempt<'a> {
    keeper: &'a dyn Keeper,
    of: &'a Alive,
    ended: bool,
}

impl<'a> Attempt<'a> {
    fn new(keeper: &'a dyn Keeper, of: &'a Alive) -> Self {
        let _ = of.fetch_add(1, Ordering::AcqRel);
        Self { keeper, of, ended: false }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let _ = self.of.fetch_sub(1, Ordering::AcqRel);
        if !self.ended {
            // Its runtime has ended, and bb8 does not know.
            self.keeper.lost(self.of);
        }
        self.keeper.ended();
    }
}

/// Where bb8 reports failed attempts.
#[derive(Clone)]
struct Failures(Weak<dyn Keeper>);

impl ErrorSink<Fault> for Failures {
    fn sink(&self, fault: Fault) {
        if let (Fault::Connect(error), Some(keeper)) = (fault, self.0.upgrade()) {
            keeper.failed(error);
        }
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<Fault>> {
        Box::new(self.clone())
    }
}

impl std::fmt::Debug for Failures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Failures").finish_non_exhaustive()
    }
}
