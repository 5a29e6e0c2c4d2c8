//! Copies of database records in Redis: leased, filled, updated, deleted.
//!
//! The value of `{prefix}{generation}:s:{id}`, with the end of the id in braces, is a copy (`R`, 16
//! hex digits of version, the envelope) or a lease (`L` and 16 random bytes): the right to create
//! the copy, which any write destroys; or for a while `N`, if the holder of a lease found no
//! record.
//!
//! Specified in `docs/protocol.md`, sections 2.2 and 3.4.
//!
//! | file | holds |
//! |---|---|
//! | `commands` | get, lease, fill, put, kill and touch |
//! | `audit` | all keys, and connections that are cut, for the command `validate` |

use std::{fmt, sync::Arc, time::Duration};

use redis::{FromRedisValue as _, Value};

use crate::{
    clock::{
        Clock,
        compared::{Compared, Whose},
        moment::Moment,
        timestamp::Timestamp,
    },
    error::{ConfigError, Error},
    session::{
        expiry::touch_throttle,
        placement::Placement,
        record::{Record, Touch},
        token::SessionId,
    },
    store::redis::{
        RedisConfig,
        client::{
            check::check,
            connection::Connection,
            failure::Failure,
            greet::Greeter,
            incarnation::{Peer, silent},
            pool::Connections,
            script::COPIES,
        },
        life, millis,
    },
};

#[cfg(feature = "cli")]
mod audit;
mod commands;

/// Length of generation, separator and id in a key.
const KEY_TAIL: usize = 16 + 3 + 45;

/// The value for an absent record.
const ABSENT: &[u8] = b"N";

/// The copies in one Redis.
pub(crate) struct Cache {
    connections: Connections,
    keys: Keys,
    /// Where new sessions are placed by their users.
    placement: Option<Placement>,
}

/// A connection, and the identity of its server.
pub(crate) struct Link {
    connection: Connection,
    peer: Arc<Peer>,
    keys: Keys,
    compared: Compared,
}

#[derive(Clone)]
struct Keys {
    prefix: Arc<str>,
    clock: Clock,
    lag: Duration,
}

/// The value under a session's key.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a box would cost each read an allocation")]
pub(crate) enum Found {
    Copy {
        record: Record,
        /// Created from a row that may lack activity, without activity since.
        behind: bool,
    },
    /// No copy, or a lease.
    Nothing,
    /// The database had no record when it was read last.
    Absent,
    /// Bytes that are not a copy of this format version.
    Unreadable,
}

/// The outcome of storing activity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touched {
    /// Whether the copy accepted it: false if it is as recent already, or the server is full.
    pub(crate) changed: bool,
    /// The activity stored in the database, according to the copy.
    pub(crate) stored: Option<Timestamp>,
}

/// The right to create a copy, unless another write came first.
#[derive(Clone, Copy)]
pub(crate) struct Lease([u8; 17]);

impl Cache {
    /// Opens no connection. Copies are kept for `lag` after their end, or a twentieth of the idle
    /// timeout.
    pub(crate) fn new(
        config: &RedisConfig,
        greeter: Arc<dyn Greeter>,
        clock: Clock,
        compared: Compared,
        lag: Duration,
    ) -> Result<Self, ConfigError> {
        let prefix = config.checked_prefix()?.into();
        let connections = Connections::new(config, COPIES, Some(greeter), compared, None)?;
        let (placement, places) = config.placement()?;
        let placement = places.then_some(placement);
        Ok(Self { connections, keys: Keys { prefix, clock, lag }, placement })
    }

    pub(crate) fn placement(&self) -> Option<Placement> {
        self.placement.clone()
    }

    /// A connection to a trusted server.
    pub(crate) async fn link(&self) -> Result<Link, Error> {
        let connection = self.connections.get().await?;
        self.with(connection)
            .ok_or_else(|| Error::unavailable("the redis connection has no known server"))
    }

    /// All open connections.
    pub(crate) fn links(&self) -> Vec<Link> {
        self.connections.open().into_iter().filter_map(|one| self.with(one)).collect()
    }

    /// Start-up check of the server.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        check(&self.connections, &self.keys.prefix, &self.keys.prefix).await
    }

    /// The state of the server.
    #[cfg(feature = "cli")]
    pub(crate) async fn status(&self, address: String) -> crate::store::maintenance::RedisStatus {
        crate::store::redis::maintenance::status(&self.connections, address).await
    }

    /// Number of open connections, and its maximum.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.connections.size()
    }

    /// Address of the primary that sentinels name, and time since they named another one.
    pub(crate) fn primary(&self) -> (Option<String>, Option<Duration>) {
        (self.connections.primary(), self.connections.switched_ago())
    }

    fn with(&self, connection: Connection) -> Option<Link> {
        let peer = connection.peer.clone()?;
        let compared = self.connections.compared().clone();
        Some(Link { connection, peer, keys: self.keys.clone(), compared })
    }
}

impl Link {
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Checks that the server is still the same; closes the connection otherwise.
    pub(crate) async fn check(&mut self, asked_at: Moment) -> Result<(), Error> {
        let replication = self.ask_who().await;
        match replication {
            Ok(said) if self.peer.incarnation().still_says(&said) => {
                self.peer.checked(asked_at);
                Ok(())
            }
            Ok(_) => {
                self.close();
                Err(Error::unavailable("the redis server has changed its role or its data"))
            }
            Err(error) => {
                self.close();
                Err(error)
            }
        }
    }

    /// Identity and time of the server: one round trip.
    async fn ask_who(&mut self) -> Result<String, Error> {
        let asked = self.compared.uptime();
        let mut info = redis::cmd("INFO");
        let _ = info.arg("replication");
        let sent = self.connection.send_all(&[info, redis::cmd("TIME")]).await;
        let mut answers = sent.map_err(|failure| failure.error)?.into_iter();
        let said = answers.next().unwrap_or(Ok(Value::Nil)).map_err(|failure| failure.error)?;
        if let Some(Ok(time)) = answers.next()
            && let Ok((seconds, micros)) = redis::from_redis_value::<(u64, u64)>(time)
        {
            let millis = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
            self.compared.note(Whose::Redis, Timestamp::from_millis(millis), asked);
        }
        String::from_redis_value(said).map_err(|_| silent())
    }

    /// Reads a key that never exists, as a session is read.
    pub(crate) async fn probe(&mut self) -> Result<(), Error> {
        let mut get = redis::cmd("GET");
        let _ = get.arg(format!("{}probe", self.keys.prefix));
        self.connection.send(&get).await.map(drop).map_err(|failure| failure.error)
    }

    /// No other command is sent over this connection.
    pub(crate) fn close(&self) {
        self.connection.give_up();
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) error: Error,
    /// The server replied with an error.
    pub(crate) refused: bool,
    /// The connection was lost; another one may succeed at once.
    pub(crate) lost: bool,
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self { refused: !failure.unknown, lost: failure.lost, error: failure.error }
    }
}

impl Keys {
    fn key(&self, generation: u64, id: &SessionId) -> String {
        use fmt::Write as _;
        let mut key = String::with_capacity(self.prefix.len() + KEY_TAIL);
        key.push_str(&self.prefix);
        let _ = write!(key, "{generation:016x}:s:");
        id.push_key_to(&mut key);
        key
    }

    /// A copy outlives its session by the time that activity in the database may lag, so that a
    /// session with an expired copy has expired, and one without a copy may have been used since.
    fn life(&self, activity: Touch) -> u64 {
        let behind = touch_throttle(activity.idle(), self.lag);
        let end = activity.end.saturating_since(self.clock.now());
        millis(end.saturating_add(behind).max(life(activity, &self.clock)))
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cache").field(&self.connections).finish()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.peer).finish()
    }
}
