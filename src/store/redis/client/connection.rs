//! One connection, which many requests send over at the same time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Cmd, Value, aio::MultiplexedConnection};

use crate::{
    error::Error,
    store::redis::client::{failure::Failure, health::Health, incarnation::Peer, script::Call},
};

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

/// What `write` gives: the server's answer, or the error that left it open whether it ran.
pub(in crate::store::redis) type Answer = Result<Value, Error>;

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
