//! Directory entries cached in Redis: read, leased, filled, removed.
//!
//! A key holds a hash of all entries of one kind of one user: a value under `v` and the entry's
//! name, and under `l` and the name the lease of the caller that is about to fill it. Deleting the
//! key removes both, so that nothing read before can be filled in after. All keys of a user have
//! the user's tag in braces: in a cluster they are in one slot, as the user's sessions are.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::join_all;
use redis::{FromRedisValue as _, Value};

use crate::{
    error::{ConfigError, Error, ErrorKind},
    session::{
        placement::{Placement, push_tag},
        write_id::WriteId,
    },
    store::redis::{
        RedisConfig,
        client::{
            cluster::decision::Follow,
            script::{Call, Script},
            servers::Servers,
        },
        ending::TOMBSTONE_OF_A_MOVE,
        millis,
    },
    telemetry::health::BackendHealth,
};

/// Maximum number of calls that remove one key of a slot that is moving.
const REMOVALS: usize = 4;

/// The entries in one Redis, or on the nodes of a cluster.
pub(crate) struct Entries {
    servers: Servers,
    prefix: Arc<str>,
    placement: Placement,
}

/// A node of a cluster, by its name; `None` is the only server, or a node that is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Server(Option<Arc<str>>);

/// An entry: the key of its hash, and its name there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) key: &'a str,
    pub(crate) name: &'a str,
}

/// The state of an entry.
pub(crate) struct Taken {
    /// The value, until it expires.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) filler: Filler,
}

/// The filler of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filler {
    /// None: the entry is fresh.
    Nobody,
    /// This caller, which holds the lease now.
    Ours,
    /// Another caller, which holds the lease.
    Theirs,
    /// None: Redis has no memory or no disk left.
    Full,
}

impl Entries {
    /// Opens no connection.
    pub(crate) fn new(config: &RedisConfig) -> Result<Self, ConfigError> {
        let prefix = format!("{}d:", config.checked_prefix()?).into();
        let (placement, _) = config.placement()?;
        Ok(Self { servers: Servers::of_entries(config)?, prefix, placement })
    }

    /// The key of a user's entries of one kind.
    pub(crate) fn key(&self, kind: char, user: &str) -> Box<str> {
        let mut key = format!("{}{{", self.prefix);
        push_tag(self.placement.tag(user), &mut key);
        key.push('}');
        key.push(kind);
        key.push(':');
        key.push_str(user);
        key.into()
    }

    /// The server of a key.
    pub(crate) fn server(&self, key: &str) -> Server {
        Server(self.servers.node_of(key))
    }

    /// All of them; of a cluster those that are known.
    pub(crate) fn all_servers(&self) -> Vec<Server> {
        if !self.servers.are_a_cluster() {
            return vec![Server(None)];
        }
        self.servers.nodes().into_iter().map(|name| Server(Some(name))).collect()
    }

    /// Reads an entry, and acquires the lease to fill it, for `life`, if it is missing or expires
    /// within `ahead`. One round trip.
    ///
    /// Never sent twice, and no two calls have the same lease: a late one would give its holder
    /// back a right that an invalidation has revoked since.
    pub(crate) async fn take(
        &self,
        entry: Entry<'_>,
        lease: &WriteId,
        life: Duration,
        ahead: Duration,
    ) -> Result<Taken, Error> {
        let mut call = Script::EntryTake.call(&[entry.key]);
        call.arg(entry.name).arg(lease.as_slice()).arg(millis(life)).arg(millis(ahead));
        let taken = self.servers.call(entry.key, Follow::One, |_| Ok(call.clone())).await;
        let both = match taken {
            Ok(Ok(Value::Array(both))) => both,
            Err(error) if error.kind() == ErrorKind::Corrupt => return Err(unreadable()),
            Err(error) | Ok(Err(error)) => return Err(error),
            Ok(Ok(_)) => return Err(unreadable()),
        };
        let [value, filler] = <[Value; 2]>::try_from(both).map_err(|_| unreadable())?;
        let value = Option::<Vec<u8>>::from_redis_value(value).map_err(|_| unreadable())?;
        let filler = match filler {
            Value::Int(0) => Filler::Nobody,
            Value::Int(1) => Filler::Ours,
            Value::Int(2) => Filler::Theirs,
            _ => Filler::Full,
        };
        Ok(Taken { value, filler })
    }

    /// Fills an entry, if the lease is still held; returns whether it was.
    pub(crate) async fn fill(
        &self,
        entry: Entry<'_>,
        lease: &WriteId,
        value: &[u8],
        life: Duration,
    ) -> Result<bool, Error> {
        let mut call = Script::EntryFill.call(&[entry.key]);
        call.arg(entry.name).arg(lease.as_slice()).arg(value).arg(millis(life));
        let filled = self.servers.repeatable(entry.key, Follow::One, &call).await?;
        Ok(matches!(filled, Value::Int(1)))
    }

    /// Releases the lease without filling.
    pub(crate) async fn release(&self, entry: Entry<'_>, lease: &WriteId) -> Result<(), Error> {
        self.fill(entry, lease, b"", Duration::ZERO).await.map(|_| ())
    }

    /// Removes an entry and its lease, whatever its holder.
    pub(crate) async fn clear(&self, entry: Entry<'_>) -> Result<(), Error> {
        let mut del = redis::cmd("HDEL");
        let _ = del.arg(entry.key).arg(format!("v{}", entry.name)).arg(format!("l{}", entry.name));
        // Safe to run twice.
        self.servers.read(entry.key, &del).await.map(|_| ())
    }

    /// Removes all entries under the keys, and all leases.
    pub(crate) async fn remove(&self, keys: &[impl AsRef<str>]) -> Result<(), Error> {
        let Some(first) = keys.first() else { return Ok(()) };
        if self.servers.are_a_cluster() {
            let removals = keys.iter().map(|key| self.remove_one(key.as_ref()));
            return join_all(removals).await.into_iter().collect();
        }
        let mut del = redis::cmd("DEL");
        for key in keys {
            let _ = del.arg(key.as_ref());
        }
        // Safe to run twice.
        self.servers.read(first.as_ref(), &del).await.map(|_| ())
    }

    /// Removes what is under a key of a cluster. If the slot is moving, also at the other node: a
    /// copy may be there, or arrive later.
    async fn remove_one(&self, key: &str) -> Result<(), Error> {
        let mut mode = "";
        for _ in 0..REMOVALS {
            let call = removal(key, mode);
            match self.servers.call(key, Follow::One, |_| Ok(call.clone())).await? {
                Ok(Value::Int(1)) => return Ok(()),
                // Of a lost reply it is unknown what the node said of the slot.
                Ok(_) | Err(_) => mode = "r",
            }
        }
        Err(Error::unavailable("the slot of a directory entry is moving"))
    }

    /// Start-up check of the server.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        self.servers.check(&self.prefix, &self.prefix).await
    }

    pub(crate) fn health(&self) -> BackendHealth {
        self.servers.status()
    }
}

fn removal(key: &str, mode: &str) -> Call {
    let mut call = Script::EntryRemove.call(&[key]);
    call.arg(millis(TOMBSTONE_OF_A_MOVE)).arg(mode);
    call
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Corrupt, "the stored value is not a directory entry")
}

impl Server {
    #[cfg(test)]
    pub(crate) fn named(name: &str) -> Self {
        Self(Some(name.into()))
    }

    /// The name of a node.
    pub(crate) fn node(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("servers", &self.servers)
            .field("keys", &self.prefix)
            .finish()
    }
}
