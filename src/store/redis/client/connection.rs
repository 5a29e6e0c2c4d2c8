//! The connections: a few, shared by all requests, replaced when they break.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use bb8_redis::bb8::{Pool, QueueStrategy, RunError};
use redis::{Cmd, Value, aio::MultiplexedConnection};

#[cfg(feature = "_database")]
use crate::store::redis::client::manager::OpenOnes;
use crate::{
    error::{ConfigError, Error},
    store::redis::client::{
        config::RedisConfig,
        failure::Failure,
        greet::Greeter,
        health::Health,
        incarnation::Peer,
        manager::{Failures, Fault, Manager},
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

/// What `write` gives: the server's answer, or the error that left it open whether it ran.
pub(in crate::store::redis) type Answer = Result<Value, Error>;

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

/// One multiplexed connection.
#[derive(Clone)]
pub(in crate::store::redis) struct Connection {
    pub(in crate::store::redis) inner: MultiplexedConnection,
    pub(in crate::store::redis) health: Arc<Health>,
    pub(in crate::store::redis) asked_time: Instant,
    pub(in crate::store::redis) server_millis: u64,
    /// Who it leads to, where a store asks for that.
    pub(in crate::store::redis) peer: Option<Arc<Peer>>,
}

impl Connection {
    /// The server's clock is not where it was when it was asked; the next connections ask anew.
    pub(in crate::store::redis) fn distrust_clocks(&self) {
        self.health.set_all_broken();
    }

    pub(in crate::store::redis) fn is_broken(&self) -> bool {
        self.health.is_broken()
    }

    /// Is not used for another command; nor are the others, if `all`.
    #[cfg(feature = "_database")]
    pub(in crate::store::redis) fn give_up(&self) {
        self.health.set_broken();
    }

    /// What the server's clock will show in `duration`, in milliseconds; late rather than early by
    /// no more than the round trip that asked it.
    pub(in crate::store::redis) fn server_time_in(&self, duration: Duration) -> u64 {
        let since = self.asked_time.elapsed().saturating_add(duration);
        self.server_millis.saturating_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Calls a script, and tells the server the script if it has forgotten it: nothing ran then.
    pub(in crate::store::redis) async fn write(&mut self, call: &Call) -> Result<Answer, Error> {
        let mut result = self.send(&call.command).await;
        if matches!(&result, Err(failure) if failure.no_script) {
            let _ = self.send(&call.script.load()).await.map_err(|failure| failure.error)?;
            result = self.send(&call.command).await;
        }
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(failure) if failure.unknown => Ok(Err(failure.error)),
            Err(failure) => Err(failure.error),
        }
    }

    pub(in crate::store::redis) async fn send(&mut self, command: &Cmd) -> Result<Value, Failure> {
        // Cancellation safety: the library keeps the place of a command whose caller is gone, so
        // its answer is never taken for another's.
        let waiting = self.health.wait();
        let result = self.inner.send_packed_command(command).await;
        waiting.answered();
        result.and_then(Value::extract_error).map_err(|error| {
            let failure = Failure::of(error);
            match failure {
                Failure { lost: true, .. } => self.health.set_all_broken(),
                Failure { broken: true, .. } => self.health.set_broken(),
                _ => {}
            }
            failure
        })
    }
}
