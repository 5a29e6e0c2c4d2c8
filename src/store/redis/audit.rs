//! `Audit` of a Redis alone: every key has a TTL, and indexes and records agree.

use redis::{Cmd, FromRedisValue as _, Value};

use crate::{
    clock::{compared::Whose, timestamp::Timestamp},
    error::{Error, ErrorKind},
    session::{record::Record, token::SessionId},
    store::{
        Store as _, StoreFuture,
        audit::{Area, Audit, Audited, Kind, Obstacle, Own, Places, Subject, Suspicion, entry_of},
        cursor::Cursor,
        redis::{
            keys::{self, Class},
            maintenance::RedisMaintenance,
            value,
        },
    },
};

/// Keys per page.
const PAGE: usize = 500;
/// Records that are read at once to compare an index with them.
const HEADS_AT_ONCE: usize = 500;

/// What is under the key of a record.
#[allow(clippy::large_enum_variant, reason = "taken apart at once")]
enum Held {
    Nothing,
    Tombstone,
    /// Of a session that has moved.
    Moved,
    Record(Record),
    Unreadable,
}

/// An entry of a user's index: the id of a session and the time of its sign-in.
struct Entry<'a> {
    user: &'a str,
    id: SessionId,
    created: Timestamp,
    index: &'a [u8],
}

impl RedisMaintenance {
    fn prefix(&self) -> &str {
        self.store.index_prefix.strip_suffix("u:").unwrap_or_default()
    }

    async fn send_all(&self, commands: &[Cmd]) -> Result<Vec<Result<Value, Error>>, Error> {
        keys::send_all(&self.connections, commands).await
    }

    /// The life of a key, and the head of a record.
    fn reads(&self, key: &[u8]) -> impl Iterator<Item = Cmd> + use<> {
        let value = match keys::class(self.prefix(), key) {
            Class::Record(_) => Some(keys::head(key)),
            _ => None,
        };
        std::iter::once(keys::pttl(key)).chain(value)
    }

    async fn examine(&self, found: &[Vec<u8>]) -> Result<Vec<Suspicion>, Error> {
        let mut suspicions = Vec::new();
        let (mut records, mut indexes) = (Vec::new(), Vec::new());
        let reads: Vec<Cmd> = found.iter().flat_map(|key| self.reads(key)).collect();
        let mut replies = self.send_all(&reads).await?.into_iter();
        let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
        for key in found {
            let class = keys::class(self.prefix(), key);
            let subject = class.subject();
            let mut suspect = |kind| {
                let (subject, place) = (subject.clone(), key.clone());
                suspicions.push(Suspicion { kind, subject, seen: 0, place });
            };
            if keys::never_expires(&next()?) {
                suspect(Kind::KeyWithoutTtl);
            }
            match class {
                Class::Record(id) => match held(next())? {
                    Held::Record(record) => records.push((id, record, key)),
                    Held::Unreadable => suspect(Kind::Unreadable),
                    Held::Nothing | Held::Tombstone | Held::Moved => {}
                },
                Class::Index(user) => indexes.push((user, key)),
                _ => {}
            }
        }
        suspicions.append(&mut self.of_records(&records).await?);
        for (user, key) in indexes {
            suspicions.append(&mut self.of_index(user, key).await?);
        }
        Ok(suspicions)
    }

    /// One list at a time: that of one user may be as large as many pages.
    async fn of_index(&self, user: &str, key: &[u8]) -> Result<Vec<Suspicion>, Error> {
        let reply = self.send_all(&[all_entries(key)]).await?.pop().unwrap_or(Ok(Value::Nil));
        match listed(user, key, reply)? {
            Some(entries) => self.of_entries(&entries).await,
            None => Ok(vec![Suspicion {
                kind: Kind::Unreadable,
                subject: keys::class(self.prefix(), key).subject(),
                seen: 0,
                place: key.to_owned(),
            }]),
        }
    }

    /// Whether each live record is listed with its user.
    async fn of_records(
        &self,
        records: &[(SessionId, Record, &Vec<u8>)],
    ) -> Result<Vec<Suspicion>, Error> {
        let now = self.store.clock().now();
        // An index may expire a moment before the last record that it lists.
        let live = |record: &Record| record.user().is_some() && !record.deadlines.is_over(now);
        let records: Vec<_> = records.iter().filter(|(_, record, _)| live(record)).collect();
        let index = |record: &Record| self.store.index(record.user().unwrap_or_default());
        let reads: Vec<Cmd> = records
            .iter()
            .map(|(id, record, _)| {
                let mut get = redis::cmd("HGET");
                let _ = get.arg(index(record)).arg(id.to_string());
                get
            })
            .collect();
        let mut suspicions = Vec::new();
        for ((id, record, key), entry) in records.into_iter().zip(self.send_all(&reads).await?) {
            match entry {
                Ok(Value::Nil) => {}
                Ok(_) => continue,
                // A key of another type in the place of the index.
                Err(error) if error.kind() == ErrorKind::Corrupt => {}
                Err(error) => return Err(error),
            }
            suspicions.push(Suspicion {
                kind: Kind::NotInIndex,
                subject: Subject::entry(record.user().unwrap_or_default(), *id),
                seen: record.version(),
                place: (*key).clone(),
            });
        }
        Ok(suspicions)
    }

    /// Whether each entry of an index names a record of that user.
    async fn of_entries(&self, entries: &[Entry<'_>]) -> Result<Vec<Suspicion>, Error> {
        let mut suspicions = Vec::new();
        for entries in entries.chunks(HEADS_AT_ONCE) {
            let reads: Vec<Cmd> = entries
                .iter()
                .map(|entry| keys::head(self.store.key(&entry.id).as_bytes()))
                .collect();
            for (entry, reply) in entries.iter().zip(self.send_all(&reads).await?) {
                let (kind, seen) = match held(reply)? {
                    Held::Nothing => (Some(Kind::IndexEntryOrphaned), entry.created.as_millis()),
                    Held::Tombstone => (Some(Kind::EndedSessionInIndex), 0),
                    Held::Record(record) => {
                        (entry_of(entry.user, entry.created, &record), record.version())
                    }
                    // An unreadable one is found by its own key.
                    Held::Moved | Held::Unreadable => (None, 0),
                };
                suspicions.extend(kind.map(|kind| Suspicion {
                    kind,
                    subject: Subject::entry(entry.user, entry.id),
                    seen,
                    place: entry.index.to_owned(),
                }));
            }
        }
        Ok(suspicions)
    }

    async fn delete_all(&self, own: &Own) -> Result<(), Error> {
        let mut del = redis::cmd("DEL");
        for id in &own.ids {
            let _ = del.arg(self.store.key(id));
        }
        let _ = del.arg(self.store.index(&own.user));
        let _ = del.arg(format!("{}{}", self.store.attempts_prefix, own.bucket));
        // Safe to run twice.
        self.connections.read(&del).await.map(drop)
    }
}

impl Audit for RedisMaintenance {
    fn areas(&self) -> &'static [Area] {
        &[Area::Keys]
    }

    fn obstacle(&self) -> StoreFuture<'_, Option<Obstacle>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn clocks(&self) -> Vec<(&'static str, i64)> {
        let ahead = self.connections.compared().ahead(Whose::Redis);
        ahead.map(|ahead| ("redis", ahead)).into_iter().collect()
    }

    fn page<'a>(&'a self, _: Area, after: Option<&'a Cursor>) -> StoreFuture<'a, Audited> {
        Box::pin(async move {
            let scanned = keys::scan(&self.connections, self.prefix(), after, PAGE).await?;
            let (next, found) = scanned;
            let (suspicions, examined) = (self.examine(&found).await?, found.len() as u64);
            Ok(Audited { examined, suspicions, next, ..Audited::default() })
        })
    }

    fn again<'a>(&'a self, _: Area, places: &'a Places) -> StoreFuture<'a, Vec<Suspicion>> {
        Box::pin(async move {
            let places: Vec<_> = places.iter().cloned().collect();
            self.examine(&places).await
        })
    }

    fn overdue(&self, _: Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(std::future::ready(Ok(0)))
    }

    fn purge_nothing(&self) {}

    fn forget<'a>(&'a self, own: &'a Own) -> StoreFuture<'a, ()> {
        Box::pin(self.delete_all(own))
    }
}

fn all_entries(key: &[u8]) -> Cmd {
    let mut all = redis::cmd("HGETALL");
    let _ = all.arg(key);
    all
}

fn held(reply: Result<Value, Error>) -> Result<Held, Error> {
    Ok(match reply {
        Err(error) if error.kind() == ErrorKind::Corrupt => Held::Unreadable,
        Err(error) => return Err(error),
        Ok(Value::BulkString(bytes)) if bytes.is_empty() => Held::Nothing,
        Ok(Value::BulkString(bytes)) => match value::decode_head(bytes.into()) {
            Ok(None) => Held::Tombstone,
            Ok(Some(record)) if record.moved_to().is_some() => Held::Moved,
            Ok(Some(record)) => Held::Record(record),
            Err(_) => Held::Unreadable,
        },
        Ok(Value::Nil) => Held::Nothing,
        Ok(_) => Held::Unreadable,
    })
}

/// The entries of an index, without the epoch; `None` for a key of another type or with entries of
/// another form.
fn listed<'a>(
    user: &'a str,
    index: &'a [u8],
    reply: Result<Value, Error>,
) -> Result<Option<Vec<Entry<'a>>>, Error> {
    let reply = match reply {
        Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(None),
        reply => reply?,
    };
    let Ok(pairs) = Vec::<(String, String)>::from_redis_value(reply) else { return Ok(None) };
    let entry = |(name, value): (String, String)| {
        let created = Timestamp::from_millis(value.parse().ok()?);
        Some(Entry { user, id: name.parse().ok()?, created, index })
    };
    Ok(pairs.into_iter().filter(|(name, _)| name != "epoch").map(entry).collect())
}

#[cfg(test)]
mod tests {
    use crate::store::redis::{RedisConfig, audit::*};

    #[test]
    fn a_prefix_may_end_as_the_keys_of_indexes_do() {
        for prefix in ["session:", "menu:", "u:", "u:u:"] {
            let config = RedisConfig::new("redis://127.0.0.1").key_prefix(prefix);
            let store = RedisMaintenance::new(config).unwrap();
            assert_eq!(store.prefix(), prefix);
            let id = SessionId::from([7; 32]);
            let (record, index) = (store.store.key(&id), store.store.index("alice"));
            assert_eq!(keys::class(prefix, record.as_bytes()), Class::Record(id));
            assert_eq!(keys::class(prefix, index.as_bytes()), Class::Index("alice"));
        }
    }
}
