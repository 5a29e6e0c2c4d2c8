//! The connections: a few, shared by all requests, replaced when they break.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, atomic::AtomicU64},
    task::Poll,
    time::{Duration, Instant},
};

use bb8_redis::bb8::{ErrorSink, ManageConnection, Pool, QueueStrategy, RunError};
use redis::{AsyncConnectionConfig, Client, Cmd, Value, aio::MultiplexedConnection};
use tokio::sync::watch;

use super::{
    config::RedisConfig,
    failure::Failure,
    health::Health,
    script::{Call, Script},
};
use crate::error::{ConfigError, Error};

/// Commands that may wait for one connection before their senders do.
const PIPELINE: usize = 1024;

/// The pool. A connection is taken, cloned and given back at once, so that all requests send
/// over the few there are.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool<Manager>,
    failures: Failures,
}

/// What `write` gives: the server's answer, or the error that left it open whether it ran.
pub(super) type Answer = Result<Value, Error>;

impl Connections {
    pub(super) fn new(config: &RedisConfig) -> Result<Self, ConfigError> {
        let failures = Failures::default();
        let limits = config.limits()?;
        let manager = Manager { client: config.client()?, limits, generation: Arc::default() };
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
        Ok(Self { pool, failures })
    }

    /// A connection to send over; waits only if there is none, until one is made or an attempt to
    /// make one fails.
    pub(super) async fn get(&self) -> Result<Connection, Error> {
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

    /// Sends a command that changes nothing; once more over another connection if one broke.
    pub(super) async fn read(&self, command: &Cmd) -> Result<Value, Error> {
        match self.get().await?.send(command).await {
            Err(failure) if failure.lost => {
                let again = self.get().await?.send(command).await;
                again.map_err(|failure| failure.error)
            }
            result => result.map_err(|failure| failure.error),
        }
    }

    /// Calls a script that may as well run twice.
    pub(super) async fn repeatable(&self, call: &Call) -> Result<Value, Error> {
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
pub(super) struct Connection {
    inner: MultiplexedConnection,
    health: Arc<Health>,
    asked_time: Instant,
    server_millis: u64,
}

impl Connection {
    /// The server's clock is not where it was when it was asked; the next connections ask anew.
    pub(super) fn distrust_clocks(&self) {
        self.health.set_all_broken();
    }

    fn is_broken(&self) -> bool {
        self.health.is_broken()
    }

    /// What the server's clock will show in `duration`, in milliseconds; late rather than early by
    /// no more than the round trip that asked it.
    pub(super) fn server_time_in(&self, duration: Duration) -> u64 {
        let since = self.asked_time.elapsed().saturating_add(duration);
        self.server_millis.saturating_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Calls a script, and tells the server the script if it has forgotten it: nothing ran then.
    pub(super) async fn write(&mut self, call: &Call) -> Result<Answer, Error> {
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

    async fn send(&mut self, command: &Cmd) -> Result<Value, Failure> {
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

/// Opens connections for the pool.
struct Manager {
    client: Client,
    limits: Limits,
    generation: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) pool_size: u32,
    pub(super) connect_timeout: Duration,
    pub(super) command_timeout: Duration,
}

impl Manager {
    async fn open(&self) -> Result<Connection, redis::RedisError> {
        let health = Arc::new(Health::new(&self.generation));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.limits.connect_timeout))
            .set_pipeline_buffer_size(PIPELINE)
            .set_response_timeout(Some(self.limits.command_timeout));
        let mut inner = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        // Alone and first, since of a pipeline the library tells the cause of a failure only if the
        // server answered every command. The clock is asked together with who is there.
        let asked_time = Instant::now();
        let time: Value = redis::cmd("TIME").query_async(&mut inner).await?;
        let mut scripts = redis::pipe();
        Script::load_all(&mut scripts);
        let _: Vec<Value> = scripts.query_async(&mut inner).await?;
        let (seconds, micros): (u64, u64) = redis::from_redis_value(time)?;
        let server_millis = seconds.saturating_mul(1000).saturating_add(micros / 1000);
        Ok(Connection { inner, health, asked_time, server_millis })
    }
}

/// Why the pool has no connection to give.
#[derive(Debug)]
enum Fault {
    /// One that was there broke; another is on its way.
    Stale,
    /// The attempt to connect failed.
    Connect(Error),
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = Fault;

    async fn connect(&self) -> Result<Connection, Fault> {
        let opened = tokio::time::timeout(self.limits.connect_timeout, self.open()).await;
        match opened {
            Ok(opened) => opened.map_err(|error| Fault::Connect(Failure::of(error).error)),
            Err(_) => {
                Err(Fault::Connect(Error::unavailable("redis accepts no connection in time")))
            }
        }
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Fault> {
        // The flag is set by whatever command met the fault; a PING would only double the trips.
        if connection.is_broken() { Err(Fault::Stale) } else { Ok(()) }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_broken()
    }
}

/// How many attempts to connect failed, and why the last one did: for those who wait for one.
#[derive(Clone, Debug, Default)]
struct Failures(watch::Sender<(u64, Option<Error>)>);

impl Failures {
    fn count(&self) -> u64 {
        self.0.borrow().0
    }

    /// The cause of a failure after the first `seen` ones. Looks only once it is polled, which it
    /// is where there is no connection.
    async fn after(&self, seen: u64) -> Error {
        let mut failures = self.0.subscribe();
        let failure = failures.wait_for(|(count, _)| *count > seen).await;
        let error = failure.ok().and_then(|failure| failure.1.clone());
        error.unwrap_or_else(|| Error::unavailable("no redis connection"))
    }
}

impl ErrorSink<Fault> for Failures {
    fn sink(&self, fault: Fault) {
        if let Fault::Connect(error) = fault {
            self.0.send_modify(|(count, last)| {
                *count += 1;
                *last = Some(error);
            });
        }
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<Fault>> {
        Box::new(self.clone())
    }
}
