//! The connections: a few, shared by all requests, replaced when they break.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use bb8_redis::bb8::{Pool, QueueStrategy, RunError};
use redis::{Cmd, Value};

#[cfg(feature = "_database")]
use crate::store::redis::client::connector::OpenOnes;
use crate::{
    error::{ConfigError, Error},
    store::redis::client::{
        config::RedisConfig,
        connection::Connection,
        connector::{Failures, Fault, Manager},
        greet::Greeter,
        script::{Call, Script},
    },
    telemetry::status::StoreStatus,
};

/// The pool. A connection is taken, cloned and given back at once, so that all requests send
/// over the few there are.
#[derive(Clone)]
pub(in crate::store::redis) struct Connections {
    pool: Pool<Manager>,
    failures: Failures,
    #[cfg(feature = "_database")]
    open: OpenOnes,
    most: u32,
}

impl Connections {
    /// Connections that know `scripts`, and are asked by `greeter`, if there is one, who they
    /// lead to.
    pub(in crate::store::redis) fn new(
        config: &RedisConfig,
        scripts: &'static [Script],
        greeter: Option<Arc<dyn Greeter>>,
    ) -> Result<Self, ConfigError> {
        let failures = Failures::default();
        let limits = config.limits()?;
        let prefix = config.checked_prefix()?;
        let manager = Manager::new(config.client()?, limits, scripts, greeter, prefix);
        #[cfg(feature = "_database")]
        let open = manager.open_ones();
        let pool = Pool::builder()
            .max_size(limits.pool_size)
            // The same one as long as it is free, so that requests which wake together share one
            // write and one read; the others serve under contention, and when it breaks.
            .queue_strategy(QueueStrategy::Lifo)
            .min_idle(None)
            // No reaper: it would need a runtime here, and a broken connection tells it itself.
            .max_lifetime(None)
            .idle_timeout(None)
            // Only reads a flag; see `Manager::is_valid`.
            .test_on_check_out(true)
            .connection_timeout(limits.connect_timeout.saturating_mul(2))
            .retry_connection(false)
            .error_sink(Box::new(failures.clone()))
            .build_unchecked(manager);
        Ok(Self {
            pool,
            failures,
            #[cfg(feature = "_database")]
            open,
            most: limits.pool_size,
        })
    }

    /// A connection to send over; waits only if there is none, until one is made or an attempt to
    /// make one fails.
    pub(in crate::store::redis) async fn get(&self) -> Result<Connection, Error> {
        // Counted before the pool is asked: a failure that this very wait leads to is never missed.
        let seen = self.failures.count();
        let (mut connected, mut failed) = (pin!(self.pool.get()), pin!(self.failures.after(seen)));
        let first = poll_fn(|context| match connected.as_mut().poll(context) {
            Poll::Ready(connection) => Poll::Ready(Ok(connection)),
            Poll::Pending => failed.as_mut().poll(context).map(Err),
        });
        match first.await? {
            Ok(connection) => Ok(connection.clone()),
            Err(RunError::User(Fault::Connect(error))) => Err(error),
            Err(RunError::User(Fault::Stale) | RunError::TimedOut) => {
                Err(Error::unavailable("no redis connection in time"))
            }
        }
    }

    /// Those that are open, of a store whose connections are greeted.
    #[cfg(feature = "_database")]
    pub(in crate::store::redis) fn open(&self) -> Vec<Connection> {
        self.open.all()
    }

    /// How many are open, and why the last attempt to open one failed.
    pub(in crate::store::redis) fn status(&self) -> StoreStatus {
        let (away, last_cause) = self.failures.last(Instant::now());
        let connections = self.pool.state().connections;
        StoreStatus {
            answers: connections > 0 || !away,
            last_cause,
            connections,
            pool_size: self.most,
        }
    }

    /// How many are open, and the most there may be.
    #[cfg(feature = "_database")]
    pub(in crate::store::redis) fn size(&self) -> (u32, u32) {
        (self.pool.state().connections, self.most)
    }

    /// Sends a command that changes nothing; once more over another connection if one broke.
    pub(in crate::store::redis) async fn read(&self, command: &Cmd) -> Result<Value, Error> {
        match self.get().await?.send(command).await {
            Err(failure) if failure.lost => {
                let again = self.get().await?.send(command).await;
                again.map_err(|failure| failure.error)
            }
            result => result.map_err(|failure| failure.error),
        }
    }

    /// Calls a script that may as well run twice.
    pub(in crate::store::redis) async fn repeatable(&self, call: &Call) -> Result<Value, Error> {
        match self.get().await?.write(call).await? {
            Ok(value) => Ok(value),
            Err(_) => self.get().await?.write(call).await?,
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.pool.state();
        f.debug_struct("Connections").field("open", &state.connections).finish_non_exhaustive()
    }
}
