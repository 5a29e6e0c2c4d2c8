//! Redis store: compare-and-set, every write is one script on one record.
//!
//! A record is a string under `{prefix}{generation}:s:{id}`, with the last three characters of the
//! id in braces, a hash tag: `R`, 16 hex digits of record version, then the envelope. A deleted one
//! leaves `T` (a tombstone) for a while, a moved one `M` with the new id and the record before the
//! move. Every key has a TTL, set by the command that writes it.
//!
//! | file | holds |
//! |---|---|
//! | `client` | connections to Redis |
//! | `store_impl` | `Store` and `UserStore` by Redis alone |
//! | `attempts` | failed attempts, for a limiter |
//! | `saving` | a save over the version before it |
//! | `ending` | the end of a session |
//! | `users` | session index and revocation epoch of a user |
//! | `sign_in` | a sign-in whose old session is in another slot of a cluster |
//! | `unconfirmed` | sign-ins that replicas have to confirm |
//! | `elsewhere` | sessions in another slot than the index of their user |
//! | `value` | the bytes under a record's key |
//! | `copies` | copies of database records, for the durable store |
//! | `entries` | entries of a cached directory |
//! | `foreign` | keys of another program, for an import |
//! | `maintenance` | enumeration and status, for the command line |
//! | `keys` | keys enumerated and classified, for the command line |
//! | `audit` | contradictions among records and indexes, for the command `validate` |
//! | `lua` | the scripts |

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use redis::Value;

use crate::{
    clock::Clock,
    error::{ConfigError, Error},
    session::{
        placement::Placement,
        record::{Record, Touch, format::ACTIVITY_OFFSET},
        token::SessionId,
    },
    store::{
        SaveOutcome, Store as _,
        outcome::dated_well,
        redis::{
            client::{
                cluster::decision::Follow, connection::Connection, script::Script, servers::Servers,
            },
            value::{HEAD_LEN, Mark, head},
        },
    },
    telemetry::events::Events,
};

mod attempts;
#[cfg(feature = "cli")]
mod audit;
pub(crate) mod client;
#[cfg(feature = "_database")]
pub(crate) mod copies;
mod elsewhere;
mod ending;
pub(crate) mod entries;
#[cfg(feature = "import")]
pub(crate) mod foreign;
#[cfg(feature = "cli")]
mod keys;
#[cfg(feature = "cli")]
pub(crate) mod maintenance;
mod saving;
mod sign_in;
mod store_impl;
mod unconfirmed;
mod users;
mod value;

pub use crate::store::redis::client::config::RedisConfig;

/// The generation in every key. Constant in a store with Redis alone.
const GENERATION: &str = "0";
/// Characters of an id in a key: 43, and two braces around the last three.
const KEY_TAIL: usize = 45;
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
/// On a primary behind Sentinel ([`RedisConfig::sentinel`]) a switch is noticed within a second; on
/// a cluster ([`RedisConfig::cluster`]) all sessions of a user are in one hash slot, and the
/// layer's tokens have the tag of their user. Where servers have replicas, an end of sessions is
/// acknowledged when one of them has it ([`RedisConfig::confirm`]).
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
    servers: Servers,
    key_prefix: Arc<str>,
    index_prefix: Arc<str>,
    placement: Placement,
    /// Whether the ids of new sessions have the tags of their users.
    places: bool,
    attempts_prefix: Arc<str>,
    /// Sessions under a new id that replicas have not confirmed yet.
    unconfirmed: Mutex<BTreeSet<SessionId>>,
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
        // Braces: one attempt counts in several buckets.
        let attempts_prefix = format!("{prefix}a:{{a}}").into();
        let events = Events::default();
        let servers = Servers::new(&config, &events)?;
        let (placement, places) = config.placement()?;
        Ok(Self {
            servers,
            key_prefix,
            index_prefix,
            placement,
            places,
            attempts_prefix,
            unconfirmed: Mutex::default(),
            events,
        })
    }

    fn key(&self, id: &SessionId) -> String {
        let mut key = String::with_capacity(self.key_prefix.len() + KEY_TAIL);
        key.push_str(&self.key_prefix);
        id.push_key_to(&mut key);
        key
    }

    fn life(&self, activity: Touch) -> u64 {
        millis(life(activity, &self.clock()))
    }

    async fn create(&self, id: &SessionId, record: &Record) -> Result<SaveOutcome, Error> {
        self.create_marked(id, record, None).await
    }

    /// With what the session still has to end.
    async fn create_marked(
        &self,
        id: &SessionId,
        record: &Record,
        mark: Option<&Mark>,
    ) -> Result<SaveOutcome, Error> {
        let key = self.key(id);
        let (value, life) = (value::encode_marked(record, mark), self.life(record.activity()));
        let build = |connection: &Connection| {
            // Not before the server's clock was read.
            dated_well(record, self.servers.compared())?;
            let mut call = Script::Create.call(&[&key]);
            call.arg(&value).arg(life).arg(connection.server_time_in(CREATE_DEADLINE));
            Ok(call)
        };
        match self.servers.call(&key, Follow::One, build).await? {
            Ok(Value::Int(1)) => Ok(SaveOutcome::Saved),
            Ok(_) => Ok(SaveOutcome::IdInUse),
            Err(lost) => Ok(SaveOutcome::Unknown(lost)),
        }
    }

    async fn touch_key(
        &self,
        id: &SessionId,
        version: u64,
        activity: Touch,
    ) -> Result<bool, Error> {
        let (key, life) = (self.key(id), self.life(activity));
        let build = |_: &Connection| {
            let mut call = Script::Touch.call(&[&key]);
            call.arg(head(version).as_slice()).arg(value::touch_fields(activity));
            call.arg(HEAD_LEN + ACTIVITY_OFFSET).arg(life);
            Ok(call)
        };
        let reply = self.servers.call(&key, Follow::One, build).await?;
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
            .field("servers", &self.servers)
            .field("keys", &self.key_prefix)
            .finish()
    }
}
