//! How connections are made, checked and given up.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant},
};

use bb8_redis::bb8::{ErrorSink, ManageConnection};
use redis::{AsyncConnectionConfig, Client, FromRedisValue as _, Value};
use tokio::sync::watch;

use crate::{
    error::Error,
    store::redis::client::{
        config::Limits,
        connection::Connection,
        failure::Failure,
        greet::Greeter,
        health::Health,
        incarnation::{Incarnation, Peer, silent},
        script::Script,
    },
    sync::circuit_breaker::{CircuitBreaker, Policy, Retry},
};

/// Commands that may wait for one connection before their senders do.
const PIPELINE: usize = 1024;

/// Opens connections for the pool.
pub(in crate::store::redis) struct Manager {
    client: Client,
    limits: Limits,
    generation: Arc<AtomicU64>,
    scripts: &'static [Script],
    greeter: Option<Arc<dyn Greeter>>,
    /// Where in a server our keys are: the database and the prefix.
    place: String,
    open: OpenOnes,
}

impl Manager {
    pub(in crate::store::redis) fn new(
        client: Client,
        limits: Limits,
        scripts: &'static [Script],
        greeter: Option<Arc<dyn Greeter>>,
        prefix: &str,
    ) -> Self {
        let (generation, open) = Default::default();
        let database = client.get_connection_info().redis_settings().db();
        let place = format!("{database}/{prefix}");
        Self { client, limits, generation, scripts, greeter, place, open }
    }

    #[cfg(feature = "_database")]
    pub(in crate::store::redis) fn open_ones(&self) -> OpenOnes {
        self.open.clone()
    }

    async fn open(&self) -> Result<Connection, Error> {
        let mut connection = self.dial().await.map_err(|error| Failure::of(error).error)?;
        if let Some(greeter) = &self.greeter {
            // Before its first use, and its age counted from before the question.
            let asked_at = greeter.now();
            let incarnation = self.ask(&mut connection).await?;
            greeter.greet(&incarnation).await?;
            connection.peer = Some(Arc::new(Peer::new(incarnation, asked_at)));
            self.open.add(connection.clone());
        }
        Ok(connection)
    }

    /// Asks the server at the other end who it is.
    async fn ask(&self, connection: &mut Connection) -> Result<Incarnation, Error> {
        let server = section(connection, "server").await?;
        let replication = section(connection, "replication").await?;
        Incarnation::parse(&server, &replication, &self.place)
    }

    async fn dial(&self) -> Result<Connection, redis::RedisError> {
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
        Script::load_all(self.scripts, &mut scripts);
        let _: Vec<Value> = scripts.query_async(&mut inner).await?;
        let (seconds, micros): (u64, u64) = redis::from_redis_value(time)?;
        let server_millis = seconds.saturating_mul(1000).saturating_add(micros / 1000);
        Ok(Connection { inner, health, asked_time, server_millis, peer: None })
    }
}

/// One section of `INFO`.
pub(in crate::store::redis) async fn section(
    connection: &mut Connection,
    name: &'static str,
) -> Result<String, Error> {
    let answer = connection.send(redis::cmd("INFO").arg(name)).await;
    let answer = answer.map_err(|failure| failure.error)?;
    String::from_redis_value(answer).map_err(|_| silent())
}

/// Why the pool has no connection to give.
#[derive(Debug)]
pub(in crate::store::redis) enum Fault {
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
            Ok(opened) => opened.map_err(Fault::Connect),
            Err(_) => {
                Err(Fault::Connect(Error::unavailable("redis accepts no connection in time")))
            }
        }
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Fault> {
        // The flag is set by whatever command met the fault; a PING would only double the trips.
        if self.has_broken(connection) { Err(Fault::Stale) } else { Ok(()) }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        let vouched = match (&self.greeter, &connection.peer) {
            (Some(greeter), Some(peer)) => greeter.vouches(peer.incarnation()),
            _ => true,
        };
        connection.is_broken() || !vouched
    }
}

/// The connections that were greeted and are not broken, for whoever has to ask each of them.
#[derive(Clone, Default)]
pub(in crate::store::redis) struct OpenOnes(Arc<Mutex<Vec<Connection>>>);

impl OpenOnes {
    fn add(&self, connection: Connection) {
        self.lock().push(connection);
    }

    #[cfg(feature = "_database")]
    pub(in crate::store::redis) fn all(&self) -> Vec<Connection> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|connection| !connection.is_broken());
        open
    }
}

/// How many attempts to connect failed, and why the last one did: for those who wait for one.
#[derive(Clone, Debug, Default)]
pub(in crate::store::redis) struct Failures(watch::Sender<Failed>);

#[derive(Clone, Debug)]
struct Failed {
    count: u64,
    breaker: CircuitBreaker<Instant>,
    last_cause: Option<Error>,
}

/// Whoever asks for readiness may keep requests away, which alone can find out that a server is
/// back that nobody asks any more.
const POLICY: Policy = Policy { threshold: 1, retry: Retry::After(Duration::from_secs(5)) };

impl Failures {
    pub(in crate::store::redis) fn count(&self) -> u64 {
        self.0.borrow().count
    }

    /// Whether the last one is still held against the server, and why it failed.
    pub(in crate::store::redis) fn last(&self, now: Instant) -> (bool, Option<String>) {
        let failed = self.0.borrow();
        (!failed.breaker.allows(now), failed.last_cause.as_ref().map(ToString::to_string))
    }

    /// The cause of a failure after the first `seen` ones. Looks only once it is polled, which it
    /// is where there is no connection.
    pub(in crate::store::redis) async fn after(&self, seen: u64) -> Error {
        let mut failures = self.0.subscribe();
        let failure = failures.wait_for(|failed| failed.count > seen).await;
        let cause = failure.ok().and_then(|failed| failed.last_cause.clone());
        cause.unwrap_or_else(|| Error::unavailable("no redis connection"))
    }
}

impl Default for Failed {
    fn default() -> Self {
        Self { count: 0, breaker: CircuitBreaker::new(POLICY), last_cause: None }
    }
}

impl ErrorSink<Fault> for Failures {
    fn sink(&self, fault: Fault) {
        if let Fault::Connect(error) = fault {
            self.0.send_modify(|failed| {
                failed.count += 1;
                let _ = failed.breaker.fail(Instant::now());
                failed.last_cause = Some(error);
            });
        }
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<Fault>> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::connector::*;

    #[test]
    fn a_failure_is_held_against_a_server_for_a_while_only() {
        let failures = Failures::default();
        let now = Instant::now();
        assert_eq!(failures.last(now), (false, None));
        failures.sink(Fault::Connect(Error::unavailable("refused")));
        let cause = Some("the session store is unavailable".to_owned());
        assert_eq!(failures.last(now), (true, cause.clone()));
        assert_eq!(
            failures.last(now + Duration::from_secs(10)),
            (false, cause),
            "somebody has to try"
        );
        assert_eq!(failures.count(), 1);
    }
}
