//! PostgreSQL: a batch of writes is one call of a procedure, and one round trip.
//!
//! | file | holds |
//! |---|---|
//! | `schema` | tables and procedures |
//! | `procedures` | calls of the procedures |
//! | `batch` | a batch of writes as arrays of columns |
//! | `read` | reads |
//! | `notify` | LISTEN and NOTIFY: a poll comes sooner |
//! | `listener` | the connection that listens |
//! | `failure` | errors of PostgreSQL |

use std::{
    fmt,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Connection,
    postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow},
};
use tokio::{sync::Mutex, time::timeout_at};

use crate::{
    error::{ConfigError, Error},
    store::database::{
        config::{DatabaseConfig, fault},
        failure::late,
        pool::{Pool, PoolSlot},
        postgres::{
            failure::{Failure, typed},
            listener::Listener,
        },
    },
};

mod batch;
mod failure;
mod listener;
mod notify;
mod procedures;
mod read;
mod schema;

/// Batches that may be under way at the same time. More would make each of them smaller.
const BATCHES_MAX: u32 = 4;
/// A connection that was idle for less is taken as it is: to ask it first would be a second trip.
const IDLE_UNCHECKED: Duration = Duration::from_secs(1);

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, PgArguments>;

/// How the server is reached.
pub(super) struct Postgres {
    options: PgConnectOptions,
    connections: Pool<PgConnection>,
    listener: Mutex<Listener>,
    timeout: Duration,
    writers: u32,
    journal: bool,
}

impl Postgres {
    pub(super) fn new(
        url: &str,
        config: &DatabaseConfig,
        journal: bool,
    ) -> Result<Self, ConfigError> {
        // The library's own text may hold a part of the address; it is not passed on.
        let Ok(options) = url.parse::<PgConnectOptions>() else {
            return fault("is not postgres://user@host:port/database");
        };
        let name = options.get_application_name().unwrap_or("tower-redis-session").to_owned();
        // Nothing of ours is a floating point number, and some poolers know no such setting.
        let options = options.disable_statement_logging().extra_float_digits(None);
        Ok(Self {
            options: options.application_name(&name),
            connections: Pool::new(config.pool_size),
            listener: Mutex::default(),
            timeout: config.timeout,
            writers: config.pool_size.min(BATCHES_MAX),
            journal,
        })
    }

    pub(super) fn writers(&self) -> usize {
        usize::try_from(self.writers).unwrap_or(1)
    }

    pub(super) fn pool(&self) -> (u32, u32) {
        self.connections.state()
    }

    /// A connection that is open, as far as one can know without a trip for each use.
    async fn connection(&self) -> Result<PoolSlot<'_, PgConnection>, Failure> {
        let mut slot = self.connections.take().await;
        if slot.since().elapsed() > IDLE_UNCHECKED {
            let answered = match slot.connection() {
                Some(connection) => connection.ping().await.is_ok(),
                None => true,
            };
            if !answered {
                slot.discard();
                self.connections.clear();
            }
        }
        if slot.connection().is_some() {
            return Ok(slot);
        }
        let connection = self.options.connect().await.map_err(Failure::of_connecting)?;
        Ok(slot.with(connection))
    }

    /// The answer to a statement, by `deadline`. A connection that was lost is closed hard, with
    /// those that wait.
    async fn call(&self, deadline: Instant, query: Query<'_>) -> Result<Vec<PgRow>, Failure> {
        // Part of the time is kept for the work, so that a server that cannot be reached is told
        // apart from one that does not answer.
        let connected_by = deadline - self.timeout / 4;
        let connected = timeout_at(connected_by.into(), self.connection()).await;
        let mut slot = connected.unwrap_or_else(|_| Err(Failure::refused(late())))?;
        let connection = slot.connection().ok_or_else(|| Failure::refused(late()))?;
        match timeout_at(deadline.into(), query.fetch_all(connection)).await {
            Ok(Ok(rows)) => {
                slot.give_back();
                Ok(rows)
            }
            Ok(Err(error)) => {
                let failure = Failure::of(error);
                if failure.lost {
                    self.connections.clear();
                } else {
                    slot.give_back();
                }
                Err(failure)
            }
            Err(_) => Err(Failure::unknown(late())),
        }
    }

    /// The answer to a statement that changes nothing: asked once more on a new connection if one
    /// was lost.
    async fn ask<'q>(&self, query: impl Fn() -> Query<'q>) -> Result<Vec<PgRow>, Error> {
        let deadline = self.deadline();
        let answer = match self.call(deadline, query()).await {
            Err(failure) if failure.lost => self.call(deadline, query()).await,
            answer => answer,
        };
        answer.map_err(|failure| failure.error)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Postgres");
        debug
            .field("host", &self.options.get_host())
            .field("port", &self.options.get_port())
            .field("database", &self.options.get_database());
        debug.field("connections", &self.connections).finish_non_exhaustive()
    }
}
