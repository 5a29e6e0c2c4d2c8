//! PostgreSQL: a batch of writes is one call of a procedure, and one round trip.
//!
//! There are three kinds of connections, together never more than the pool's size: those of
//! requests, one for work that ends an overload (the poll, a new generation, the check), so that it
//! never waits behind requests, and one for LISTEN.
//!
//! | file | holds |
//! |---|---|
//! | `schema` | tables and procedures |
//! | `procedures` | calls of the procedures |
//! | `batch` | a batch of writes as arrays of columns |
//! | `sign_ins` | failed attempts to sign in |
//! | `read` | reads |
//! | `audit` | rows as they are stored, for the command `validate` |
//! | `notify` | LISTEN and NOTIFY: a poll comes sooner |
//! | `listener` | the connection that listens |
//! | `lane` | statements, and the connections that execute them |
//! | `idle` | idle connections |
//! | `waiting` | waiting callers, and since when |
//! | `attempts` | attempts to connect |
//! | `pool` | the library's pool |
//! | `options` | address and settings of a connection |
//! | `authentication` | user name and password by a function, certificates |
//! | `server` | the server: its connections, and their validity |
//! | `statement` | a statement, prepared or as text |
//! | `failure` | classification of PostgreSQL's errors |

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::postgres::PgRow;
use tokio::sync::Mutex;

use crate::{
    error::{ConfigError, Error},
    store::database::{
        config::DatabaseConfig,
        postgres::{
            failure::{Failure, typed},
            lane::Lane,
            listener::Listener,
            server::Server,
            statement::Statement,
        },
    },
};

mod attempts;
#[cfg(feature = "cli")]
mod audit;
mod authentication;
mod batch;
mod failure;
mod idle;
mod lane;
mod listener;
mod notify;
mod options;
mod pool;
mod procedures;
mod read;
mod schema;
mod server;
mod sign_ins;
mod statement;
mod waiting;

/// Maximum number of concurrent batches. More would make each of them smaller.
const BATCHES_MAX: u32 = 4;

/// Connections to the server.
pub(super) struct Postgres {
    server: Arc<Server>,
    requests: Lane,
    /// For work that ends an overload; without it that work shares the requests' connections.
    watch: Option<Lane>,
    /// Without it changes are seen at the next poll.
    listener: Option<Mutex<Listener>>,
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
        Ok(Self::of(Server::new(url, config)?, config, journal))
    }

    /// On connections of an application's pool.
    #[cfg(feature = "sqlx-pool")]
    pub(super) fn of_pool(pool: &sqlx::PgPool, config: &DatabaseConfig, journal: bool) -> Self {
        Self::of(Server::of_pool(pool, config), config, journal)
    }

    fn of(server: Arc<Server>, config: &DatabaseConfig, journal: bool) -> Self {
        let timeout = config.timeout;
        // The connections of an application's pool are returned to it.
        let listens = journal && !server.is_shared();
        let Shares { requests, watches, listens } = Shares::of(config.pool_size, listens);
        Self {
            requests: Lane::new(&server, requests, timeout),
            watch: watches.then(|| Lane::new(&server, 1, timeout)),
            listener: listens.then(Mutex::default),
            server,
            timeout,
            writers: requests.min(BATCHES_MAX),
            journal,
        }
    }

    pub(super) fn writers(&self) -> usize {
        usize::try_from(self.writers).unwrap_or(1)
    }

    pub(super) fn pool(&self) -> (u32, u32) {
        let (open, idle) = self.requests.state();
        let (others, idle_others) = self.watch.as_ref().map_or((0, 0), Lane::state);
        let listens = self.listener.as_ref().is_some_and(|listener| {
            listener.try_lock().map_or(true, |listener| listener.0.is_some())
        });
        (open + others + u32::from(listens), idle + idle_others)
    }

    /// Whether requests have waited too long for a connection.
    pub(super) fn is_starved(&self) -> bool {
        self.requests.is_starved()
    }

    fn watch(&self) -> &Lane {
        self.watch.as_ref().unwrap_or(&self.requests)
    }

    /// The result of a read statement of a request.
    async fn ask(&self, query: impl Fn() -> Statement) -> Result<Vec<PgRow>, Error> {
        self.ask_by(&self.requests, query).await
    }

    /// Retried on a new connection if one was lost.
    async fn ask_by(
        &self,
        lane: &Lane,
        query: impl Fn() -> Statement,
    ) -> Result<Vec<PgRow>, Error> {
        let deadline = self.deadline();
        let answer = match lane.call(deadline, query()).await {
            Err(failure) if failure.lost() || failure.again => lane.call(deadline, query()).await,
            answer => answer,
        };
        answer.map_err(|failure| failure.error)
    }

    /// The result of a write statement: retried only if nothing was done.
    async fn tell(
        &self,
        lane: &Lane,
        statement: impl Fn() -> Statement,
    ) -> Result<Vec<PgRow>, Failure> {
        let deadline = self.deadline();
        match lane.call(deadline, statement()).await {
            Err(failure) if failure.again => lane.call(deadline, statement()).await,
            answer => answer,
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}

/// Number of connections of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shares {
    requests: u32,
    watches: bool,
    listens: bool,
}

impl Shares {
    /// In the smallest pools requests come first, then the poll.
    fn of(pool_size: u32, journal: bool) -> Self {
        let (watches, listens) = (pool_size > 1, pool_size > 2 && journal);
        Self { requests: pool_size - u32::from(watches) - u32::from(listens), watches, listens }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, (open, idle)) = (self.server.address(), self.pool());
        let mut debug = f.debug_struct("Postgres");
        debug
            .field("host", &address.get_host())
            .field("port", &address.get_port())
            .field("database", &address.get_database());
        debug.field("open", &open).field("idle", &idle).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::store::database::postgres::*;

    #[test]
    fn no_kind_of_connection_is_beyond_the_size_of_the_pool() {
        for (size, journal, requests, watches, listens) in [
            (1, true, 1, false, false),
            (2, true, 1, true, false),
            (3, true, 1, true, true),
            (8, true, 6, true, true),
            (1, false, 1, false, false),
            (2, false, 1, true, false),
            (8, false, 7, true, false),
        ] {
            let shares = Shares::of(size, journal);
            assert_eq!(shares, Shares { requests, watches, listens }, "{size}");
        }
    }
}
