//! Copies in Redis of records that a database keeps: leased, filled, brought up to date, removed.
//!
//! Under `{prefix}{generation}:s:{id}` stands a copy (`R`, 16 hex digits of version, the envelope)
//! or a lease (`L` and 16 random bytes): the right to create the copy, which any write destroys.
//!
//! Specified in `docs/protocol.md`, sections 2.2 and 3.4.

use std::{fmt, sync::Arc, time::Duration};

use redis::{Cmd, Value};

use crate::{
    clock::{Clock, moment::Moment},
    error::{ConfigError, Error, ErrorKind},
    session::{
        record::{Activity, Record, format::ACTIVITY_OFFSET},
        token::SessionId,
        write_id::WriteId,
    },
    store::redis::{
        RedisConfig,
        client::{
            check::check,
            connection::Connection,
            connector,
            failure::Failure,
            greet::Greeter,
            incarnation::Peer,
            pool::Connections,
            script::{COPIES, Call, Script},
        },
        value::{self, HEAD_LEN, head},
    },
};

/// Characters of a generation and an id in a key, and what stands between.
const KEY_TAIL: usize = 16 + 3 + 43;

/// The copies in one Redis.
pub(crate) struct Cache {
    connections: Connections,
    keys: Keys,
}

/// A connection to use, and who it leads to.
pub(crate) struct Link {
    connection: Connection,
    peer: Arc<Peer>,
    keys: Keys,
}

#[derive(Clone)]
struct Keys {
    prefix: Arc<str>,
    clock: Clock,
}

/// What stands under a session's key.
#[derive(Debug)]
pub(crate) enum Found {
    Copy(Record),
    /// No copy, or a lease.
    Nothing,
    /// Bytes that are no copy of this version's.
    Unreadable,
}

/// The right to create a copy, as long as nobody wrote.
#[derive(Clone, Copy)]
pub(crate) struct Lease([u8; 17]);

impl Cache {
    /// Connects nothing.
    pub(crate) fn new(
        config: &RedisConfig,
        greeter: Arc<dyn Greeter>,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let prefix = config.checked_prefix()?.into();
        let connections = Connections::new(config, COPIES, Some(greeter))?;
        Ok(Self { connections, keys: Keys { prefix, clock } })
    }

    /// A connection to a server that is vouched for.
    pub(crate) async fn link(&self) -> Result<Link, Error> {
        let connection = self.connections.get().await?;
        self.with(connection).ok_or_else(|| Error::unavailable("a connection without a peer"))
    }

    /// All that are open.
    pub(crate) fn links(&self) -> Vec<Link> {
        self.connections.open().into_iter().filter_map(|one| self.with(one)).collect()
    }

    /// Whether the server is one that will do.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        check(&self.connections, &self.keys.prefix, &self.keys.prefix).await
    }

    /// How many connections are open, and how many there may be.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.connections.size()
    }

    fn with(&self, connection: Connection) -> Option<Link> {
        let peer = connection.peer.clone()?;
        Some(Link { connection, peer, keys: self.keys.clone() })
    }
}

impl Link {
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// One round trip.
    pub(crate) async fn get(&mut self, generation: u64, id: &SessionId) -> Result<Found, Fault> {
        let mut get = Cmd::with_capacity(2, 3 + self.keys.prefix.len() + KEY_TAIL);
        let _ = get.arg("GET").arg(self.keys.key(generation, id));
        let answer = match self.connection.send(&get).await {
            Err(failure) if failure.error.kind() == ErrorKind::Corrupt => {
                return Ok(Found::Unreadable);
            }
            answer => answer?,
        };
        Ok(match answer {
            Value::Nil => Found::Nothing,
            Value::BulkString(bytes) if bytes.first() == Some(&b'L') => Found::Nothing,
            Value::BulkString(bytes) => match value::decode(bytes.into()) {
                Ok(Some(record)) => Found::Copy(record),
                Ok(None) | Err(_) => Found::Unreadable,
            },
            _ => Found::Unreadable,
        })
    }

    /// Takes the lease, if nothing stands under the key.
    pub(crate) async fn lease(
        &mut self,
        generation: u64,
        id: &SessionId,
        random: WriteId,
        life: Duration,
    ) -> Result<Option<Lease>, Fault> {
        let mut lease = Lease([b'L'; 17]);
        for (place, byte) in lease.0.iter_mut().skip(1).zip(random) {
            *place = byte;
        }
        let mut set = redis::cmd("SET");
        let _ = set.arg(self.keys.key(generation, id)).arg(lease.0.as_slice());
        let _ = set.arg("NX").arg("PX").arg(crate::store::redis::millis(life));
        let taken = self.connection.send(&set).await?;
        Ok(matches!(taken, Value::Okay).then_some(lease))
    }

    /// Creates the copy, if the lease still stands.
    pub(crate) async fn fill(
        &mut self,
        generation: u64,
        id: &SessionId,
        lease: Lease,
        record: &Record,
    ) -> Result<(), Fault> {
        let mut call = Script::Fill.call(&[&self.keys.key(generation, id)]);
        call.arg(lease.0.as_slice()).arg(value::encode(record)).arg(self.keys.life(record.end()));
        self.call(&call).await.map(|_| ())
    }

    /// Replaces an older copy; creates none.
    pub(crate) async fn put(
        &mut self,
        generation: u64,
        id: &SessionId,
        record: &Record,
    ) -> Result<(), Fault> {
        let mut call = Script::Put.call(&[&self.keys.key(generation, id)]);
        call.arg(head(record.version()).as_slice()).arg(value::encode(record));
        call.arg(self.keys.life(record.end()));
        self.call(&call).await.map(|_| ())
    }

    /// Removes the copies, and with a lease the right to create one.
    pub(crate) async fn kill(&mut self, generation: u64, ids: &[SessionId]) -> Result<(), Fault> {
        let mut del = redis::cmd("DEL");
        for id in ids {
            let _ = del.arg(self.keys.key(generation, id));
        }
        Ok(self.connection.send(&del).await.map(|_| ())?)
    }

    /// Writes activity down in the copy of that version; answers whether that changed it, and
    /// `None` if there is none.
    pub(crate) async fn touch(
        &mut self,
        generation: u64,
        id: &SessionId,
        version: u64,
        activity: Activity,
    ) -> Result<Option<bool>, Fault> {
        let mut call = Script::Touch.call(&[&self.keys.key(generation, id)]);
        call.arg(head(version).as_slice()).arg(value::touch_fields(activity));
        call.arg(HEAD_LEN + ACTIVITY_OFFSET).arg(self.keys.life(activity.end));
        Ok(match self.call(&call).await? {
            Value::Int(1) => Some(true),
            Value::Int(2) => Some(false),
            _ => None,
        })
    }

    /// Makes sure that the server is the one it was; closes the connection otherwise.
    pub(crate) async fn check(&mut self, asked_at: Moment) -> Result<(), Error> {
        let replication = connector::section(&mut self.connection, "replication").await;
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

    /// Reads what is never there, as a session is read.
    pub(crate) async fn probe(&mut self) -> Result<(), Error> {
        let mut get = redis::cmd("GET");
        let _ = get.arg(format!("{}probe", self.keys.prefix));
        self.connection.send(&get).await.map(drop).map_err(|failure| failure.error)
    }

    /// No other command goes over this connection.
    pub(crate) fn close(&self) {
        self.connection.give_up();
    }

    async fn call(&mut self, call: &Call) -> Result<Value, Fault> {
        Ok(self.connection.call(call).await?)
    }
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) error: Error,
    /// The server answered, and it was no.
    pub(crate) refused: bool,
    /// The connection was lost; another may do better at once.
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
        id.push_to(&mut key);
        key
    }

    fn life(&self, end: crate::Timestamp) -> u64 {
        crate::store::redis::life(end, &self.clock)
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
