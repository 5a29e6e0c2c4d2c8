//! Ends of sessions: acknowledged once replicas have them, over connections that serve nothing
//! else.
//!
//! A replica that is promoted without the end of a session would bring it back. `WAIT` is sent in
//! the same write as the command, and blocks its connection until the replicas have replied.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use redis::{FromRedisValue as _, Value};

use crate::{
    clock::compared::Compared,
    error::{ConfigError, Error, ErrorKind},
    store::{
        availability::Availability,
        redis::client::{
            config::RedisConfig,
            connection::Connection,
            connector::Connector,
            failure::Failure,
            pool::Connections,
            replicas::{Behind, Change, Confirmation},
            script::Script,
        },
    },
};

/// When an end is sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::redis) enum Repeat {
    Never,
    /// It was not confirmed: what it finds then is confirmed with it.
    Unconfirmed,
    /// Also if there was no reply.
    Lost,
}

/// What is known of an end that is being sent.
#[derive(Debug)]
pub(in crate::store::redis) struct Ends {
    pub(in crate::store::redis) repeat: Repeat,
    /// Whether replicas have to confirm it.
    is_awaited: AtomicBool,
    /// The first reply, if it was not confirmed.
    first: Mutex<Option<Value>>,
}

impl Ends {
    pub(in crate::store::redis) fn new(repeat: Repeat) -> Self {
        Self { repeat, is_awaited: AtomicBool::new(false), first: Mutex::default() }
    }

    /// A connection to send it over, and what is sent behind it.
    pub(in crate::store::redis) async fn connection(
        &self,
        of: &Connections,
    ) -> Result<(Connection, Behind), Error> {
        let (connection, behind) = of.for_end().await?;
        if behind.waits() {
            self.is_awaited.store(true, Ordering::Relaxed);
        }
        Ok((connection, behind))
    }

    /// It was not confirmed, or failed otherwise.
    pub(in crate::store::redis) fn failed(&self, failure: &Failure) {
        if let Some(value) = failure.unconfirmed.as_deref() {
            self.is_awaited.store(true, Ordering::Relaxed);
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = first.get_or_insert_with(|| value.clone());
        }
    }

    /// Whether it is sent once more.
    pub(in crate::store::redis) fn repeats(&self, failure: &Failure) -> bool {
        match self.repeat {
            Repeat::Never => false,
            Repeat::Unconfirmed => failure.unconfirmed.is_some(),
            Repeat::Lost => true,
        }
    }

    /// Whether replicas have to confirm it, and the first reply if it was not confirmed.
    pub(in crate::store::redis) fn came_to(self) -> (bool, Option<Value>) {
        let first = self.first.into_inner().unwrap_or_else(PoisonError::into_inner);
        (self.is_awaited.into_inner(), first)
    }
}

impl Connections {
    /// The same for a store that ends sessions there: replicas confirm that, as configured.
    pub(in crate::store::redis) fn with_confirmation(
        config: &RedisConfig,
        scripts: &'static [Script],
        compared: Compared,
        availability: Option<Arc<Availability>>,
    ) -> Result<Self, ConfigError> {
        let Some(terms) = config.confirmation(&config.limits()?)? else {
            return Self::new(config, scripts, None, compared, availability);
        };
        let confirmation = Arc::new(Confirmation::new(terms));
        let connector = |config: &RedisConfig| {
            let connector = Connector::new(config, scripts, None, compared.clone())?;
            Ok::<_, ConfigError>(connector.confirming(&confirmation))
        };
        let others = connector(config)?;
        let one = connector(&config.clone().pool_size(1))?.beside(&others);
        // Its failures are not the store's: the others may work.
        let confirming = Self::over(one, None, None);
        Ok(Self::over(others, availability, Some(confirming)))
    }

    /// Logs what is missing for replicas to confirm ends: `node` is the server's name.
    pub(in crate::store::redis) async fn check_confirmation(
        &self,
        connection: &mut Connection,
        node: Option<&str>,
    ) -> Result<(), Error> {
        if self.confirming().is_none() {
            return Ok(());
        }
        let Some(replicas) = connection.health.replicas().cloned() else {
            // No finding: most servers have none.
            tracing::info!(
                node,
                "redis replicas unknown: ends of sessions unconfirmed without the right to INFO"
            );
            return Ok(());
        };
        if !connection.behind_an_end().waits() {
            return Ok(());
        }
        // Returns at once.
        match connection.send(redis::cmd("WAIT").arg(0).arg(1)).await {
            Ok(_) => Ok(()),
            Err(rejected) if rejected.error.kind() == ErrorKind::Misconfigured => {
                let _ = replicas.rejected(Instant::now());
                let (error, change) = (&rejected.error, Change::Rejected);
                tracing::warn!(node, %error, "{change}");
                Ok(())
            }
            Err(failure) => Err(failure.error),
        }
    }

    /// One of those that serve ends alone, where replicas confirm them.
    async fn for_end(&self) -> Result<(Connection, Behind), Error> {
        let connection = self.get().await?;
        let behind = connection.behind_an_end();
        match self.confirming() {
            Some(confirming) if behind.waits() => {
                let connection = confirming.get().await?;
                let behind = connection.behind_an_end();
                Ok((connection, behind))
            }
            _ => Ok((connection, behind)),
        }
    }
}

impl Connection {
    /// Reads the replicas of its server, before its first use.
    pub(in crate::store::redis) async fn read_replicas(
        &mut self,
        confirmation: &Confirmation,
    ) -> Result<(), Error> {
        match self.send(redis::cmd("INFO").arg("replication")).await {
            Ok(info) => {
                let info = String::from_redis_value(info).unwrap_or_default();
                self.health.has_replicas(confirmation.server(&info, Instant::now()));
                Ok(())
            }
            // Without the right nothing is confirmed, as `check()` reports.
            Err(rejected) if rejected.reply && !rejected.broken => Ok(()),
            Err(failure) => Err(failure.error),
        }
    }

    /// What is sent behind an end of sessions over it.
    pub(super) fn behind_an_end(&self) -> Behind {
        let replicas = self.health.replicas();
        replicas.map_or(Behind::Nothing, |replicas| replicas.behind(Instant::now()))
    }
}

#[cfg(test)]
mod tests;
