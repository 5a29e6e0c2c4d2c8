//! The shared state of a durable store.

use std::{
    fmt,
    future::Future,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    clock::{Clock, compared::Compared, moment::Moment},
    error::{ConfigError, Error},
    session::{token::SessionId, write_id::WriteIds},
    store::{
        database::{Database, DatabaseConfig, Row},
        durable::{
            authority::Authority,
            availability::Stores,
            breaker::Transition,
            parameters::Parameters,
            remembered_ids::{FreshIds, OverIds},
        },
        outcome::clocks_differ,
        redis::{
            RedisConfig,
            client::greet::Greeter as _,
            copies::{Cache, Fault},
        },
    },
    sync::single_flight::Loaders,
    telemetry::health::Serving,
};

pub(super) struct Engine {
    pub(super) authority: Arc<Authority>,
    pub(super) cache: Cache,
    pub(super) stores: Stores,
    pub(super) parameters: Parameters,
    pub(super) loaders: Loaders<SessionId, Result<Option<Row>, Error>>,
    /// Permits to read the database.
    pub(super) readers: Semaphore,
    pub(super) fresh_ids: FreshIds,
    pub(super) over_ids: OverIds,
    /// Whether a notification of the other instances is pending.
    pub(super) announcing: Arc<AtomicBool>,
    pub(super) write_ids: WriteIds,
    /// Fills in progress; only `close` waits for them, for a moment.
    pub(super) tracker: TaskTracker,
    clock: Clock,
    /// This process' clock compared with those of both stores.
    pub(super) compared: Compared,
    /// Whether the first write has compared the clocks.
    pub(super) looked: AtomicBool,
}

impl Engine {
    pub(super) fn new(
        redis: &RedisConfig,
        database: &DatabaseConfig,
        clock: Clock,
        parameters: Parameters,
        #[cfg(feature = "_hooks")] hooks: crate::store::durable::hooks::Hooks,
    ) -> Result<Self, ConfigError> {
        parameters.check_beside(database)?;
        #[cfg(feature = "_hooks")]
        let compared = hooks.compared.clone();
        #[cfg(not(feature = "_hooks"))]
        let compared = Compared::default();
        let clock = clock.beside(&compared);
        let database = Database::new(database, true, clock.clone())?;
        let authority = Arc::new(Authority::new(
            database,
            &parameters,
            #[cfg(feature = "_hooks")]
            hooks,
        ));
        let (greeter, lag) = (Arc::clone(&authority) as _, parameters.database_touch_interval);
        Ok(Self {
            cache: Cache::new(redis, greeter, clock.clone(), compared.clone(), lag)?,
            authority,
            stores: Stores::default(),
            loaders: Loaders::default(),
            readers: Semaphore::new(parameters.readers),
            fresh_ids: FreshIds::default(),
            over_ids: OverIds::default(),
            announcing: Arc::default(),
            write_ids: WriteIds::default(),
            tracker: TaskTracker::new(),
            parameters,
            clock,
            compared,
            looked: AtomicBool::new(false),
        })
    }

    pub(super) fn database(&self) -> &Database {
        &self.authority.database
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    pub(super) fn now(&self) -> Moment {
        self.authority.now()
    }

    /// Extra time of an acknowledgement: two leases, since a sign-in may end other sessions in its
    /// first step, and the session that it replaces in its second.
    pub(super) fn ack_delay(&self) -> Duration {
        if self.parameters.strict { self.parameters.lease * 2 } else { Duration::ZERO }
    }

    /// Start-up check of both stores: the database must be reachable, and Redis usable.
    pub(super) async fn check(&self) -> Result<(), Error> {
        self.database().check().await?;
        let redis = async {
            let _ = self.cache.link().await?;
            self.cache.check().await
        };
        let checked = self.within_redis(redis).await;
        let _ = self.poll(1).await;
        self.check_clocks()?;
        match checked {
            // It may come up later; until then the database serves sessions.
            Err(error) if error.kind() == crate::ErrorKind::Unavailable => {
                tracing::warn!(%error, "redis check failed: sessions are served by the database");
                Ok(())
            }
            result => result,
        }
    }

    fn check_clocks(&self) -> Result<(), Error> {
        let beyond = self.compared.beyond_check().filter(|_| self.clock.is_real());
        beyond.map_or(Ok(()), |(whose, seconds)| Err(clocks_differ(whose, seconds)))
    }

    /// Waits for Redis no longer than a request may.
    ///
    /// Cancellation safety: a command that is abandoned may still run; every one is harmless when
    /// late. Waits for copies in progress, and for deferred work of the database.
    pub(super) async fn close(&self) -> Result<(), Error> {
        let _ = self.tracker.close();
        let fills = self.tracker.wait();
        let _ = tokio::time::timeout(self.parameters.redis_timeout, fills).await;
        self.database().flush().await;
        Ok(())
    }

    pub(super) async fn within_redis<T, E: From<Error>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match tokio::time::timeout(self.parameters.redis_timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(Error::unavailable("no reply from redis in time").into()),
        }
    }

    /// A call to Redis succeeded or failed.
    pub(super) fn redis_said(&self, error: Option<&Error>) {
        match error {
            None => self.stores.redis().succeed(),
            Some(error) => {
                let transition = self.stores.redis().fail(error.clone(), self.now());
                self.redis_turned(transition, Some(error));
            }
        }
    }

    /// Redis became unavailable or available: reads go to the database until the next poll.
    pub(super) fn redis_turned(&self, transition: Option<Transition>, cause: Option<&Error>) {
        if let Some(Transition::Opened | Transition::Closed(_)) = transition {
            self.authority.lost_sight();
        }
        self.stores.announce(Serving::Redis, transition, cause);
    }

    /// Outcome of a change sent to Redis: accepted, rejected, or no reply.
    pub(super) fn redis_was_told(&self, fault: Option<&Fault>) {
        let transition = match fault {
            None => self.stores.redis().obey(),
            Some(fault) if fault.refused => self.stores.redis().refuse(fault.error.clone()),
            Some(fault) => return self.redis_said(Some(&fault.error)),
        };
        self.stores.announce(Serving::Redis, transition, fault.map(|fault| &fault.error));
    }

    /// A call to the database, sent at `asked`, succeeded or failed.
    pub(super) fn database_said(&self, asked: Moment, error: Option<&Error>) {
        match error {
            None => {
                let transition = self.stores.database().answer(self.now());
                self.stores.announce(Serving::Database, transition, None);
            }
            Some(error) => {
                let transition =
                    self.stores.database().fail_since(asked, error.clone(), self.now());
                self.stores.announce(Serving::Database, transition, Some(error));
            }
        }
    }

    #[cfg(feature = "_hooks")]
    pub(super) async fn pass(&self, place: &str) {
        self.authority.hooks.pass(place).await;
    }

    #[cfg(not(feature = "_hooks"))]
    #[allow(clippy::unused_async, clippy::unused_self, reason = "the same shape with hooks")]
    pub(super) async fn pass(&self, _: &str) {}
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("authority", &self.authority)
            .field("cache", &self.cache)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}
