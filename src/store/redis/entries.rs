//! Directory entries cached in Redis: read, leased, filled, removed.
//!
//! A key holds a hash of all entries of one kind of one user: a value under `v` and the entry's
//! name, and under `l` and the name the lease of the caller that is about to fill it. Deleting the
//! key removes both, so that nothing read before can be filled in after.

use std::{fmt, sync::Arc, time::Duration};

use redis::{FromRedisValue as _, Value};

use crate::{
    error::{ConfigError, Error, ErrorKind},
    session::write_id::WriteId,
    store::redis::{
        RedisConfig,
        client::{
            check::check,
            pool::Connections,
            script::{ENTRIES, Script},
        },
        millis,
    },
    telemetry::health::BackendHealth,
};

/// The entries in one Redis.
pub(crate) struct Entries {
    connections: Connections,
    prefix: Arc<str>,
}

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
        Ok(Self {
            connections: Connections::new(
                config,
                ENTRIES,
                None,
                crate::clock::compared::Compared::default(),
                None,
            )?,
            prefix,
        })
    }

    /// Prefix of all keys.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
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
        let both = match self.connections.write(&call).await {
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
        let filled = self.connections.repeatable(&call).await?;
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
        self.connections.read(&del).await.map(|_| ())
    }

    /// Removes all entries under the keys, and all leases.
    pub(crate) async fn remove(&self, keys: &[impl AsRef<str>]) -> Result<(), Error> {
        let mut del = redis::cmd("DEL");
        for key in keys {
            let _ = del.arg(key.as_ref());
        }
        // Safe to run twice.
        self.connections.read(&del).await.map(|_| ())
    }

    /// Start-up check of the server.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        check(&self.connections, &self.prefix, &self.prefix).await
    }

    pub(crate) fn health(&self) -> BackendHealth {
        self.connections.status()
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Corrupt, "the stored value is not a directory entry")
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("connections", &self.connections)
            .field("keys", &self.prefix)
            .finish()
    }
}
