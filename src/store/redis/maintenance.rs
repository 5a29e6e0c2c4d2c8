//! `Maintenance` of a Redis alone: `SCAN` by the prefix of the records' keys.

use std::{future::Future, pin::Pin};

use redis::{Cmd, FromRedisValue as _, Value};

use crate::{
    clock::compared::Whose,
    error::{Causes, ConfigError, Error, ErrorKind},
    session::{record::Record, token::SessionId},
    store::{
        Store as _, StoreFuture, UserStore,
        audit::Audit,
        cursor::Cursor,
        maintenance::{
            Checked, Enumeration, Found, Maintenance, Page, Part, RedisStatus, Removed, Status,
            Stored, Tables,
        },
        outcome::clocks_differ,
        redis::{
            RedisConfig, RedisStore,
            client::{check::check, incarnation::field, pool::Connections},
            keys, value,
        },
    },
};

/// A `RedisStore`, and where it is.
pub(crate) struct RedisMaintenance {
    pub(super) store: RedisStore,
    /// Those of the store.
    pub(super) connections: Connections,
    address: String,
}

impl RedisMaintenance {
    /// Opens no connection.
    ///
    /// # Errors
    ///
    /// The first invalid setting; a cluster, whose keys are not enumerated.
    pub(crate) fn new(config: RedisConfig) -> Result<Self, ConfigError> {
        let address = address(&config)?;
        let store = RedisStore::new(config)?;
        let connections = store.servers.one().cloned().ok_or_else(|| {
            let fault = "is a cluster, and this command works on one redis server";
            ConfigError::new("redis cluster", fault)
        })?;
        Ok(Self { store, connections, address })
    }

    async fn scan(&self, after: Option<&Cursor>, part: Part) -> Result<Page, Error> {
        let prefix = &*self.store.key_prefix;
        let scanned = keys::scan(&self.connections, prefix, after, part.page_len());
        let (next, keys) = scanned.await?;
        let ids: Vec<SessionId> = keys
            .iter()
            .filter_map(|key| {
                std::str::from_utf8(key).ok()?.strip_prefix(prefix).and_then(keys::id_of)
            })
            .collect();
        if ids.is_empty() {
            return Ok(Page { sessions: Vec::new(), moved: Vec::new(), next });
        }
        Ok(Page { next, ..self.read(&ids, part).await? })
    }

    /// The server, and if it is usable its clock.
    async fn check_each(&self) -> Vec<Checked> {
        let connections = &self.connections;
        let result = check(connections, &self.store.key_prefix, &self.store.index_prefix).await;
        let mut checks = vec![Checked { part: "redis", result }];
        if checks.iter().all(|check| check.result.is_ok()) {
            let beyond = connections.compared().beyond_check();
            let result = beyond.map_or(Ok(()), |(whose, by)| Err(clocks_differ(whose, by)));
            checks.push(Checked { part: "clocks", result });
        }
        checks
    }

    /// The records under these ids, without tombstones.
    async fn read(&self, ids: &[SessionId], part: Part) -> Result<Page, Error> {
        let decode = match part {
            Part::Head => value::decode_head,
            Part::Whole => value::decode,
        };
        let commands: Vec<Cmd> = ids.iter().map(|id| self.get(id, part)).collect();
        let mut page =
            Page { sessions: Vec::with_capacity(ids.len()), moved: Vec::new(), next: None };
        let values = keys::send_all(&self.connections, &commands).await?;
        for (id, value) in ids.iter().zip(values) {
            let record = match value {
                // Expired since it was found.
                Ok(Value::Nil) => continue,
                Ok(Value::BulkString(bytes)) if bytes.is_empty() => continue,
                Ok(Value::BulkString(bytes)) => decode(bytes.into()),
                Ok(_) => Err(value::corrupt()),
                Err(error) if error.kind() == ErrorKind::Corrupt => Err(error),
                Err(error) => return Err(error),
            };
            match record {
                Ok(None) => {}
                Ok(Some(record)) if record.moved_to().is_some() => {
                    page.moved.push((*id, record));
                }
                Ok(Some(record)) => page.sessions.push((*id, Ok(record))),
                Err(error) => page.sessions.push((*id, Err(error))),
            }
        }
        Ok(page)
    }

    /// Without tombstones and what has moved.
    async fn stored(&self, ids: &[SessionId]) -> Result<Vec<Found>, Error> {
        let commands: Vec<Cmd> = ids.iter().map(|id| self.get(id, Part::Whole)).collect();
        let found = |value: Result<Value, Error>| match value {
            Ok(Value::Nil) => Ok(Ok(None)),
            Ok(Value::BulkString(bytes)) => {
                let live = |record: &Record| record.moved_to().is_none();
                let record = value::decode(bytes.into()).map(|record| record.filter(live));
                let stored = |record| Stored { record, replaces: None };
                Ok(record.map(|record| record.map(stored)))
            }
            Ok(_) => Ok(Err(value::corrupt())),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Err(error)),
            Err(error) => Err(error),
        };
        let values = keys::send_all(&self.connections, &commands).await?;
        values.into_iter().map(found).collect()
    }

    fn get(&self, id: &SessionId, part: Part) -> Cmd {
        let key = self.store.key(id);
        match part {
            Part::Head => keys::head(key.as_bytes()),
            Part::Whole => {
                let mut get = redis::cmd("GET");
                let _ = get.arg(key);
                get
            }
        }
    }
}

impl Enumeration for RedisMaintenance {
    fn store(&self) -> &dyn UserStore {
        &self.store
    }

    fn page<'a>(&'a self, after: Option<&'a Cursor>, part: Part) -> StoreFuture<'a, Page> {
        Box::pin(self.scan(after, part))
    }
}

impl Maintenance for RedisMaintenance {
    fn check(&self) -> Pin<Box<dyn Future<Output = Vec<Checked>> + Send + '_>> {
        Box::pin(self.check_each())
    }

    fn status(&self) -> Pin<Box<dyn Future<Output = Status> + Send + '_>> {
        Box::pin(async move {
            let redis = status(&self.connections, self.address.clone()).await;
            Status { redis: Some(redis), ..Status::default() }
        })
    }

    fn find<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        self.store.load(id)
    }

    fn find_each<'a>(&'a self, ids: &'a [SessionId]) -> StoreFuture<'a, Vec<Found>> {
        Box::pin(self.stored(ids))
    }

    fn run(&self) -> StoreFuture<'_, Option<String>> {
        Box::pin(async move {
            let info = info(&self.connections).await?;
            Ok(field(&info, "run_id").map(str::to_owned))
        })
    }

    fn purge(&self) -> StoreFuture<'_, Option<Removed>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn tables(&self) -> Option<Tables> {
        None
    }

    fn schema_version(&self) -> StoreFuture<'_, Option<i64>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn audit(&self) -> &dyn Audit {
        self
    }
}

/// Host, port, database and prefix of the keys; no credentials.
pub(crate) fn address(config: &RedisConfig) -> Result<String, ConfigError> {
    let (target, authentication) = config.target()?;
    let (place, database) = (target.describe(), authentication.database());
    Ok(format!("{place}, database {database}, keys {}*", config.checked_prefix()?))
}

/// The state of the server behind these connections.
pub(super) async fn status(connections: &Connections, address: String) -> RedisStatus {
    let mut status = RedisStatus { address, ..RedisStatus::default() };
    match info(connections).await {
        Err(error) => status.cause = Some(Causes(&error).to_string()),
        Ok(info) => {
            let text = |name| field(&info, name).map(str::to_owned);
            let number = |name| field(&info, name)?.parse().ok();
            status.available = true;
            status.version = text("valkey_version").or_else(|| text("redis_version"));
            status.used_memory = number("used_memory");
            status.max_memory = number("maxmemory");
            status.eviction_policy = text("maxmemory_policy");
            status.clock_ahead_ms = connections.compared().ahead(Whose::Redis);
            status.primary = connections.primary();
        }
    }
    status
}

/// `INFO`; empty where the user may not call it.
async fn info(connections: &Connections) -> Result<String, Error> {
    let mut connection = connections.get().await?;
    match connection.send(&redis::cmd("INFO")).await {
        Ok(info) => Ok(String::from_redis_value(info).unwrap_or_default()),
        Err(failure) if failure.error.kind() == ErrorKind::Misconfigured && !failure.broken => {
            Ok(String::new())
        }
        Err(failure) => Err(failure.error),
    }
}
