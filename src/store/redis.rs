//! Redis store: compare-and-set, every write is one script on one record.
//!
//! A record is a string under `{prefix}{generation}:s:{id}`: `R`, 16 hex digits of record version,
//! then the envelope. A deleted one leaves `T` (a tombstone) for a while, a moved one `M` with the
//! new id and the record before the move. Every key has a TTL, set by the command that writes it.
//!
//! | file | holds |
//! |---|---|
//! | `client` | connections to Redis |
//! | `store_impl` | `Store` and `UserStore` by Redis alone |
//! | `attempts` | failed attempts, for a limiter |
//! | `users` | session index and revocation epoch of a user |
//! | `value` | the bytes under a record's key |
//! | `copies` | copies of database records, for the durable store |
//! | `entries` | entries of a cached directory |
//! | `foreign` | keys of another program, for an import |
//! | `maintenance` | enumeration and status, for the command line |
//! | `keys` | keys enumerated and classified, for the command line |
//! | `audit` | contradictions among records and indexes, for the command `validate` |
//! | `lua` | the scripts |

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use redis::Value;

use crate::{
    clock::{Clock, compared::Compared},
    error::{ConfigError, Error},
    session::{
        moved::{HOPS_MAX, MOVED_KEPT},
        record::{
            Record, Touch,
            format::{ACTIVITY_OFFSET, USER_OFFSET},
        },
        token::SessionId,
    },
    store::{
        SaveOutcome, Store as _,
        availability::Availability,
        outcome::dated_well,
        redis::{
            client::{
                connection::Answer,
                pool::Connections,
                script::{self, Call, Script},
            },
            value::{HEAD_LEN, head},
        },
    },
    telemetry::{events::Events, health::Serving},
};

mod attempts;
#[cfg(feature = "cli")]
mod audit;
pub(crate) mod client;
#[cfg(feature = "_database")]
pub(crate) mod copies;
pub(crate) mod entries;
#[cfg(feature = "import")]
pub(crate) mod foreign;
#[cfg(feature = "cli")]
mod keys;
#[cfg(feature = "cli")]
pub(crate) mod maintenance;
mod store_impl;
mod users;
mod value;

pub use crate::store::redis::client::config::RedisConfig;

/// The generation in every key. Constant in a store with Redis alone.
const GENERATION: &str = "0";
/// Characters of an id in a key.
const KEY_TAIL: usize = 43;
/// Longest time that a record is kept after its end, so that a client that returns soon gets
/// "expired" and not "absent". The layer never uses such a record.
const KEPT_EXPIRED_MAX: Duration = Duration::from_secs(300);
/// Longest delay with which a create may reach the server.
const CREATE_DEADLINE: Duration = Duration::from_secs(2);
/// Lifetime of a tombstone: longer than any create can be late.
const TOMBSTONE: Duration = Duration::from_secs(60);

/// Sessions in Redis (6.2 or newer) or Valkey (7.2 or newer).
///
/// Requests share a few connections and send their commands without waiting for each other. The
/// first command opens the first connection, and a Redis that returns after an outage is used again
/// without a restart. Every wait is bounded by the limits in [`RedisConfig`].
///
/// With Redis alone a session lives as long as its key: a server that restarts from an old
/// snapshot, fails over to a replica that lags, or evicts keys under memory pressure can bring a
/// session back or lose one.
///
/// A server out of memory (`maxmemory` with `noeviction`) rejects new sessions and changes that
/// make one larger; reads, activity, other changes, logout and revocation still work.
///
/// ```
/// use tower_redis_session::{RedisConfig, RedisSessionLayer, RedisStore};
///
/// let store = RedisStore::new(RedisConfig::new("redis://127.0.0.1:6379/0"))?;
/// let layer = RedisSessionLayer::builder(store).build()?;
/// # drop(layer);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
pub struct RedisStore {
    connections: Connections,
    key_prefix: Arc<str>,
    index_prefix: Arc<str>,
    attempts_prefix: Arc<str>,
    availability: Arc<Availability>,
    events: Events,
}

impl RedisStore {
    /// A store with this configuration. Opens no connection.
    ///
    /// # Errors
    ///
    /// The first invalid setting; its text never contains the password.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// assert!(RedisStore::new(RedisConfig::new("redis://127.0.0.1")).is_ok());
    /// assert!(RedisStore::new(RedisConfig::new("http://127.0.0.1")).is_err());
    /// ```
    pub fn new(config: RedisConfig) -> Result<Self, ConfigError> {
        let prefix = config.checked_prefix()?;
        let key_prefix = format!("{prefix}{GENERATION}:s:").into();
        let index_prefix = format!("{prefix}u:").into();
        let attempts_prefix = format!("{prefix}a:").into();
        let events = Events::default();
        let availability = Arc::new(Availability::new(Serving::Redis, events.clone()));
        let (compared, records) = (Compared::default(), script::RECORDS);
        let connections =
            Connections::new(&config, records, None, compared, Some(Arc::clone(&availability)))?;
        Ok(Self { connections, key_prefix, index_prefix, attempts_prefix, availability, events })
    }

    fn key(&self, id: &SessionId) -> String {
        let mut key = String::with_capacity(self.key_prefix.len() + KEY_TAIL);
        key.push_str(&self.key_prefix);
        id.push_to(&mut key);
        key
    }

    fn life(&self, activity: Touch) -> u64 {
        millis(life(activity, &self.clock()))
    }

    async fn create(&self, id: &SessionId, record: &Record) -> Result<SaveOutcome, Error> {
        let connection = self.connections.get().await?;
        dated_well(record, self.connections.compared())?;
        let mut call = Script::Create.call(&[&self.key(id)]);
        call.arg(value::encode(record)).arg(self.life(record.activity()));
        call.arg(connection.server_time_in(CREATE_DEADLINE));
        match self.connections.write_over(connection.clone(), &call).await? {
            Ok(Value::Int(1)) => Ok(SaveOutcome::Saved),
            Ok(Value::Int(-1)) => {
                // The measured server clock is off: the next connection measures it again.
                connection.distrust_clocks();
                Ok(SaveOutcome::IdInUse)
            }
            Ok(_) => Ok(SaveOutcome::IdInUse),
            Err(lost) => Ok(SaveOutcome::Unknown(lost)),
        }
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: u64,
        record: &Record,
    ) -> Result<SaveOutcome, Error> {
        let index = record.user().map(|user| self.index(user));
        let key = self.key(id);
        let keys: Vec<&str> = std::iter::once(&*key).chain(index.as_deref()).collect();
        let mut call = Script::Save.call(&keys);
        call.arg(head(expected).as_slice());
        call.arg(value::encode(record)).arg(self.life(record.activity()));
        if index.is_some() {
            call.arg(id.to_string()).arg(record.created().as_millis());
            call.arg(self.index_life(record));
        }
        replaced(self.connections.write(&call).await?)
    }

    /// Deletes the value under `id`: a record at a version, or any value.
    fn kill(&self, id: &SessionId, expected: Option<u64>) -> Call {
        let mut call = Script::Kill.call(&[&self.key(id)]);
        call.arg(millis(TOMBSTONE)).arg(id.to_string());
        call.arg(HEAD_LEN + USER_OFFSET).arg(&*self.index_prefix);
        call.arg(expected.map(|expected| head(expected).to_vec()).unwrap_or_default());
        call.arg(&*self.key_prefix).arg(HOPS_MAX);
        call
    }

    async fn remove(&self, id: &SessionId, expected: u64) -> Result<SaveOutcome, Error> {
        let call = self.kill(id, Some(expected));
        replaced(self.connections.write(&call).await?)
    }

    async fn move_to(
        &self,
        old: &SessionId,
        expected: u64,
        new: &SessionId,
        record: &Record,
    ) -> Result<SaveOutcome, Error> {
        let connection = self.connections.get().await?;
        let mut call = Script::Renew.call(&[&self.key(old), &self.key(new)]);
        call.arg(head(expected).as_slice());
        call.arg(value::encode(record)).arg(self.life(record.activity()));
        call.arg(connection.server_time_in(CREATE_DEADLINE));
        call.arg(millis(MOVED_KEPT)).arg(new.to_string());
        match self.connections.write_over(connection.clone(), &call).await? {
            Ok(Value::Int(1)) => Ok(SaveOutcome::Saved),
            Ok(Value::Int(0)) => Ok(SaveOutcome::Gone),
            Ok(Value::Int(-1)) => {
                connection.distrust_clocks();
                Ok(SaveOutcome::IdInUse)
            }
            Ok(Value::Int(_)) => Ok(SaveOutcome::IdInUse),
            Ok(current) => conflict(current),
            Err(lost) => Ok(SaveOutcome::Unknown(lost)),
        }
    }

    async fn touch_key(
        &self,
        id: &SessionId,
        version: u64,
        activity: Touch,
    ) -> Result<bool, Error> {
        let mut call = Script::Touch.call(&[&self.key(id)]);
        call.arg(head(version).as_slice()).arg(value::touch_fields(activity));
        call.arg(HEAD_LEN + ACTIVITY_OFFSET).arg(self.life(activity));
        let reply = self.connections.write(&call).await?;
        Ok(matches!(reply, Ok(Value::Int(1))))
    }
}

fn record(value: Value) -> Result<Option<Record>, Error> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => value::decode(Bytes::from(bytes)),
        _ => Err(value::corrupt()),
    }
}

/// Decodes the reply of a script that changes the record at one version.
fn replaced(answer: Answer) -> Result<SaveOutcome, Error> {
    match answer {
        Ok(Value::Int(1)) => Ok(SaveOutcome::Saved),
        Ok(Value::Int(_)) => Ok(SaveOutcome::Gone),
        Ok(current) => conflict(current),
        Err(lost) => Ok(SaveOutcome::Unknown(lost)),
    }
}

fn conflict(current: Value) -> Result<SaveOutcome, Error> {
    Ok(record(current)?.map_or(SaveOutcome::Gone, SaveOutcome::Conflict))
}

/// TTL of a record's key: until its end, plus its idle timeout or `KEPT_EXPIRED_MAX` if less. Never
/// zero, which Redis rejects.
fn life(activity: Touch, clock: &Clock) -> Duration {
    let kept = activity.idle().min(KEPT_EXPIRED_MAX);
    let life = activity.end.saturating_since(clock.now()).saturating_add(kept);
    life.max(Duration::from_millis(1))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("connections", &self.connections)
            .field("keys", &self.key_prefix)
            .finish()
    }
}
