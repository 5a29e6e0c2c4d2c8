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
    time::{Duration, Instant},
};

use redis::{Cmd, FromRedisValue as _, Value};

use crate::{
    clock::compared::Compared,
    error::{ConfigError, Error, ErrorKind},
    store::{
        availability::Availability,
        redis::client::{
            config::RedisConfig,
            connection::{Connection, With},
            connector::Connector,
            failure::{Failure, named},
            pool::Connections,
            replicas::{Behind, Change, Confirmation, Replicas, online},
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
        let one = connector(&config.clone().pool_size(1))?;
        // Its failures are not the store's: the others may work.
        let confirming = Self::over(one, None, None);
        Ok(Self::over(connector(config)?, availability, Some(confirming)))
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

    fn behind_an_end(&self) -> Behind {
        let replicas = self.health.replicas();
        replicas.map_or(Behind::Nothing, |replicas| replicas.behind(Instant::now()))
    }

    /// Sends a command with others in the same write.
    pub(in crate::store::redis) async fn send_group(
        &mut self,
        command: &Cmd,
        with: With,
    ) -> Result<Value, Failure> {
        let mut group = Vec::with_capacity(4);
        if with.asking {
            // The permission is for the next command of the connection, which others use.
            group.push(redis::cmd("ASKING"));
        }
        group.push(command.clone());
        let replicas = self.health.replicas().cloned();
        let within = replicas.as_ref().map(|replicas| replicas.within()).unwrap_or_default();
        group.extend(confirmation(with.behind, within));
        let mut replies = self.send_all(&group).await?.into_iter();
        let asked = if with.asking { replies.next() } else { None };
        let value = match (asked, replies.next()) {
            (_, Some(Ok(value))) => value,
            // The permission was rejected, and so the command.
            (Some(Err(refused)), Some(Err(_))) => {
                return Err(Failure { error: named(refused.error, "ASKING"), ..refused });
            }
            (_, Some(Err(failure))) => return Err(failure),
            (_, None) => return Err(Failure::silent()),
        };
        let Some(replicas) = replicas else { return Ok(value) };
        match is_confirmed(&replicas, with.behind, replies) {
            true => Ok(value),
            false => Err(Failure::unconfirmed(value)),
        }
    }
}

/// The commands behind an end of sessions.
fn confirmation(behind: Behind, within: Duration) -> impl Iterator<Item = Cmd> {
    let wait = |replicas: u32| {
        let mut wait = redis::cmd("WAIT");
        let _ = wait.arg(replicas).arg(u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
        wait
    };
    let (wait, reads) = match behind {
        Behind::Nothing => (None, false),
        Behind::Read => (None, true),
        Behind::Wait(replicas) => (Some(wait(replicas)), false),
        Behind::WaitAndRead(replicas) => (Some(wait(replicas)), true),
    };
    let read = reads.then(|| {
        let mut info = redis::cmd("INFO");
        let _ = info.arg("replication");
        info
    });
    wait.into_iter().chain(read)
}

/// Takes the replies to them. Whether as many replicas have the end as have to.
fn is_confirmed(
    replicas: &Replicas,
    behind: Behind,
    mut replies: impl Iterator<Item = Result<Value, Failure>>,
) -> bool {
    let waited = match behind {
        Behind::Wait(_) | Behind::WaitAndRead(_) => replies.next(),
        Behind::Nothing | Behind::Read => None,
    };
    let now = Instant::now();
    let mut changes = [None, None];
    if matches!(behind, Behind::Read | Behind::WaitAndRead(_)) {
        // A right that was withdrawn shows no replica any more.
        let info = replies.next().and_then(Result::ok).map(String::from_redis_value);
        let online = info.and_then(Result::ok).map_or(0, |info| online(&info));
        changes[0] = replicas.read(online, now);
    }
    let is_confirmed = match waited {
        None => !replicas.behind(now).waits(),
        Some(Err(rejected)) if rejected.error.kind() == ErrorKind::Misconfigured => {
            changes[1] = replicas.rejected(now);
            true
        }
        Some(waited) => {
            // Also a server that has become a replica: its error confirms nothing.
            let count = waited.ok().and_then(|count| u32::from_redis_value(count).ok());
            let (is_enough, change) = replicas.confirmed(count.unwrap_or(0), now);
            changes[1] = change;
            is_enough
        }
    };
    for change in changes.into_iter().flatten() {
        match change {
            Change::Required(replicas) => tracing::info!(replicas, "{change}"),
            Change::Confirmed => tracing::info!("{change}"),
            Change::Unconfirmed | Change::Rejected => tracing::warn!("{change}"),
        }
    }
    is_confirmed
}

#[cfg(test)]
mod tests;
