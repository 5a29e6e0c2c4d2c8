//! Multiplexed connection, shared by many requests.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{Arg, Cmd, Pipeline, Value, aio::MultiplexedConnection};
use tokio::task::AbortHandle;

use crate::{
    error::Error,
    store::redis::client::{
        failure::{Failure, fault, named},
        health::ConnectionHealth,
        incarnation::Peer,
        replicas::Behind,
        script::Call,
    },
    telemetry::{
        in_span::SpanExt as _,
        instruments::{Stopwatch, System},
    },
};

/// Commands in progress on one connection before another one is opened.
pub(super) const SHARE: usize = 256;

/// One multiplexed connection.
#[derive(Clone)]
pub(in crate::store::redis) struct Connection {
    pub(in crate::store::redis) inner: MultiplexedConnection,
    pub(in crate::store::redis) health: Arc<ConnectionHealth>,
    pub(in crate::store::redis) asked_time: Instant,
    pub(in crate::store::redis) server_millis: u64,
    /// Identity of the server, if the store checks it.
    pub(in crate::store::redis) peer: Option<Arc<Peer>>,
    /// Scripts are sent in full: the server does not support calls by hash.
    pub(in crate::store::redis) whole_scripts: Arc<AtomicBool>,
    /// Of a node of a configured cluster, whose redirects are followed.
    pub(in crate::store::redis) in_cluster: bool,
    pub(in crate::store::redis) driver: Arc<Driver>,
}

/// What is sent in the same write as a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store::redis) struct With {
    /// `ASKING` before it, at the node to which the key's slot is moving.
    pub(in crate::store::redis) asking: bool,
    pub(in crate::store::redis) behind: Behind,
}

/// The tasks of a connection: I/O, and authentication before its credentials expire. They end with
/// it.
pub(in crate::store::redis) struct Driver {
    io: AbortHandle,
    /// How long replies are awaited.
    pub(in crate::store::redis) command_timeout: Duration,
    authentication: OnceLock<AbortHandle>,
}

/// Result of a write: the server's reply, or the error that leaves its outcome unknown.
pub(in crate::store::redis) type Answer = Result<Value, Error>;

impl Connection {
    /// The server's clock has moved since it was measured; new connections measure it again.
    pub(in crate::store::redis) fn distrust_clocks(&self) {
        self.health.set_all_broken();
    }

    /// Whether another request is better served by it than by a further connection.
    pub(in crate::store::redis) fn has_room(&self) -> bool {
        self.health.in_flight() < SHARE
    }

    pub(in crate::store::redis) fn is_broken(&self) -> bool {
        self.health.is_broken()
    }

    /// Takes the connection out of use.
    #[cfg(feature = "_database")]
    pub(in crate::store::redis) fn give_up(&self) {
        self.health.set_broken();
    }

    /// The server's time after `duration`, in milliseconds; late by at most the round trip that
    /// measured it.
    pub(in crate::store::redis) fn server_time_in(&self, duration: Duration) -> u64 {
        let since = self.asked_time.elapsed().saturating_add(duration);
        self.server_millis.saturating_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Calls a script. Loads it if the server does not have it, in which case nothing ran; sends it
    /// in full to a server without calls by hash.
    pub(in crate::store::redis) async fn call(&mut self, call: &Call) -> Result<Value, Failure> {
        self.call_with(call, With::default()).await
    }

    /// The same with other commands in the same write.
    pub(in crate::store::redis) async fn call_with(
        &mut self,
        call: &Call,
        with: With,
    ) -> Result<Value, Failure> {
        if self.whole_scripts.load(Ordering::Relaxed) {
            return self.send_with(&call.whole(), with).await;
        }
        let mut result = self.send_with(&call.command, with).await;
        if matches!(&result, Err(failure) if failure.no_script) {
            result = match self.send(&call.script.load()).await {
                Ok(_) => self.send_with(&call.command, with).await,
                Err(failure) => Err(failure),
            };
        }
        match result {
            Err(refused) if refused.no_hashes => {
                let whole = self.send_with(&call.whole(), with).await;
                match whole {
                    // Neither is supported: the first error names the missing command.
                    Err(failure) if is_refused(&failure) => Err(refused),
                    whole => {
                        self.whole_scripts.store(true, Ordering::Relaxed);
                        whole
                    }
                }
            }
            result => result,
        }
    }

    /// Sends a command with others in the same write.
    pub(in crate::store::redis) async fn send_with(
        &mut self,
        command: &Cmd,
        with: With,
    ) -> Result<Value, Failure> {
        match with == With::default() {
            true => self.send(command).await,
            // Boxed: rare, and the usual call stays small.
            false => Box::pin(self.send_group(command, with)).await,
        }
    }

    pub(in crate::store::redis) async fn send(&mut self, command: &Cmd) -> Result<Value, Failure> {
        // Cancellation safety: the library keeps the slot of an abandoned command, so its reply is
        // never taken for another's.
        let (waiting, watch) = (self.health.wait(), Stopwatch::start());
        let span = System::Redis.span(|| name(command));
        let result = self.inner.send_packed_command(command).in_span(span).await;
        waiting.answered();
        let result = result.and_then(Value::extract_error);
        watch.call(System::Redis, || name(command), result.as_ref().err().map(fault));
        result.map_err(|error| self.failed(error))
    }

    /// Sends a command of the start of a connection; an error has its name.
    pub(in crate::store::redis) async fn ask(
        &mut self,
        name: &'static str,
        command: &Cmd,
    ) -> Result<Value, Error> {
        self.send(command).await.map_err(|failure| named(failure.error, name))
    }

    /// Sends several commands at once; returns a value or a failure for each.
    pub(in crate::store::redis) async fn send_all(
        &mut self,
        commands: &[Cmd],
    ) -> Result<Vec<Result<Value, Failure>>, Failure> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            let _ = pipeline.add_command(command.clone());
        }
        let (waiting, watch) = (self.health.wait(), Stopwatch::start());
        let span = System::Redis.span(|| b"PIPELINE");
        let sent = self.inner.send_packed_commands(&pipeline, 0, commands.len());
        let values = sent.in_span(span).await;
        waiting.answered();
        watch.call(System::Redis, || b"PIPELINE", values.as_ref().err().map(fault));
        let values = values.map_err(|error| self.failed(error))?;
        let each = values.into_iter().map(Value::extract_error);
        Ok(each.map(|value| value.map_err(|error| self.failed(error))).collect())
    }

    fn failed(&self, error: redis::RedisError) -> Failure {
        let failure = Failure::of(error);
        let failure = if self.in_cluster { failure.in_cluster() } else { failure };
        match failure {
            Failure { lost: true, .. } => self.health.set_all_broken(),
            Failure { broken: true, .. } => self.health.set_broken(),
            _ => {}
        }
        failure
    }
}

/// The name of a command, in capitals.
fn name(command: &Cmd) -> &[u8] {
    match command.args_iter().next() {
        Some(Arg::Simple(name)) => name,
        _ => b"",
    }
}

fn is_refused(failure: &Failure) -> bool {
    !failure.unknown && failure.error.kind() == crate::error::ErrorKind::Misconfigured
}

impl Driver {
    pub(in crate::store::redis) fn new(io: AbortHandle, command_timeout: Duration) -> Self {
        Self { io, command_timeout, authentication: OnceLock::new() }
    }

    /// Ends that task, too, with the connection.
    pub(in crate::store::redis) fn authenticates(&self, task: AbortHandle) {
        let _ = self.authentication.set(task);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.io.abort();
        if let Some(task) = self.authentication.get() {
            task.abort();
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
