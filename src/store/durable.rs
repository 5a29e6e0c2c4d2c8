//! Durable store: an authoritative database, and copies in Redis with proof of when to trust them.
//!
//! The database has a **journal** row for every change that Redis may have missed. Only the holder
//! of a **lease** may create a copy, so nothing late brings a session back. A **generation** in
//! every key is bound to one run of one Redis process. An instance that could not poll the database
//! for a while **distrusts** Redis. Specified in `docs/protocol.md`.
//!
//! | file | holds |
//! |---|---|
//! | `builder` | `DurableStore::builder` and its settings |
//! | `parameters` | poll interval, lease and the other parameters, and their bounds |
//! | `engine` | the shared state |
//! | `store_impl` | `Store` and `UserStore` by a database and Redis |
//! | `load` | read: a trusted copy, else the row, and a new copy |
//! | `load_many` | read several at once |
//! | `write` | write: commit to the database, then update Redis |
//! | `push` | update or delete the copy in Redis after a commit |
//! | `renew` | move a session to a new id; revoke all of a user |
//! | `sign_ins` | failed attempts to sign in |
//! | `activity` | storing activity: often in Redis, rarely in the database |
//! | `remembered_ids` | ids that may be created, and ids of expired sessions |
//! | `ended` | expired and absent sessions, cached in Redis |
//! | `trust` | pure: whether a copy may be trusted |
//! | `journal` | pure: the update that a journal row requires |
//! | `sweep` | replay of journal rows that Redis may have missed |
//! | `authority` | generation of the copies and incarnation of Redis |
//! | `background` | health probes and journal polling |
//! | `breaker` | circuit breaker of each store |
//! | `availability` | log lines and events when the availability of a store changes |
//! | `status` | status of both stores and of the copies |
//! | `maintenance` | enumeration and status, for the command line |
//! | `audit` | contradictions between rows and copies, for the command `validate` |
//! | `hooks` | points where tests hold the store (feature `_hooks`) |

use std::{fmt, sync::Arc};

use crate::{
    error::Error,
    store::{
        StoreFuture,
        durable::{background::Keeper, engine::Engine},
    },
    sync::carried::Carried,
};

mod activity;
#[cfg(feature = "cli")]
mod audit;
mod authority;
mod availability;
mod background;
mod breaker;
pub(crate) mod builder;
mod ended;
mod engine;
#[cfg(feature = "_hooks")]
pub(crate) mod hooks;
mod journal;
mod load;
mod load_many;
#[cfg(feature = "cli")]
pub(crate) mod maintenance;
mod parameters;
mod push;
mod remembered_ids;
mod renew;
mod sign_ins;
mod status;
mod store_impl;
mod sweep;
mod trust;
mod write;

/// Sessions in a database, with copies in Redis: no user is signed out when Redis fails, no
/// acknowledged write is lost, and no logout is undone.
///
/// A read costs one round trip to Redis and none to the database, a write one to each. If Redis is
/// killed, hangs, restarts empty or from an old snapshot, or fails over, reads go to the database
/// and writes are acknowledged as before. If the database is unreachable, reads continue from Redis
/// [for a while](crate::DurableStoreBuilder::max_staleness_without_database), and writes fail.
///
/// A change is visible to its own instance at once, to others at once if Redis accepted it, else
/// within one [`lease`](crate::DurableStoreBuilder::lease).
///
/// Every instance has to use a `DurableStore` on that database: one that writes to the database
/// alone would not update Redis. [`migrate`](crate::RedisSessionLayer::migrate) at every start
/// creates the tables.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig, RedisSessionLayer};
///
/// let redis = RedisConfig::new("redis://127.0.0.1:6379/0");
/// let database = DatabaseConfig::new("sqlite:sessions.db");
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("sessions.db");
/// # let database = DatabaseConfig::new(format!("sqlite:{}", file.display()));
/// let store = DurableStore::builder(redis, database).build()?;
/// let layer = RedisSessionLayer::builder(store).build()?;
/// layer.migrate().await?;
/// # assert!(file.exists());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
///
/// # Limits
///
/// - Of two instances that cannot reach each other's store, either the acknowledgement waits
///   ([`strict`](crate::DurableStoreBuilder::strict)) or the other may serve stale data for one
///   lease.
/// - With the database unreachable no write and no logout is acknowledged; if Redis is unreachable
///   too, or another Redis is in place of the known one, reads return 503.
/// - A database that loses commits (an asynchronous failover, a restore from a backup) loses
///   sessions and brings ended ones back. Discard the copies then, and end the sessions in doubt;
///   the run-book says how. (A PostgreSQL with `synchronous_commit = off` loses none of ours: our
///   transactions turn it on. One with `fsync = off` does.)
/// - A Redis that serves older data under the same run id and replication id cannot be detected:
///   virtual machines restored from a memory snapshot, `DEBUG RELOAD`, proxies that change the
///   server behind one connection, reads from replicas, active-active replication. Not supported.
/// - A Redis whose user may not run `INFO` is not trusted: the database serves every read, and
///   `check()` reports it.
/// - A lost reply leaves the outcome unknown: a write that returned 503 may have happened.
/// - A logout stops later requests. One that has loaded its session finishes; its changes are
///   dropped.
pub struct DurableStore {
    engine: Arc<Engine>,
    keeper: Keeper,
}

impl DurableStore {
    fn new(engine: Engine) -> Self {
        Self { engine: Arc::new(engine), keeper: Keeper::default() }
    }

    /// The engine; the first use starts the background task.
    fn engine(&self) -> &Engine {
        self.keeper.keep(&self.engine);
        &self.engine
    }

    /// Runs `work` to its end even if the caller is dropped: a change committed and not pushed
    /// would cost others their copies.
    fn carry<'a, T: Send + 'static, W>(
        &'a self,
        work: impl FnOnce(Arc<Engine>) -> W,
    ) -> StoreFuture<'a, T>
    where
        W: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.keeper.keep(&self.engine);
        let work = work(Arc::clone(&self.engine));
        Box::pin(Carried::new(self.engine.tracker.track_future(work)))
    }
}

impl fmt::Debug for DurableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DurableStore").field(&self.engine).finish()
    }
}
