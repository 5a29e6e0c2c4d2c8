//! What a Redis server holds: its keys, their ends, their values, and a search through all of it.

use std::future::Future;

use redis::Value;
use redis::aio::MultiplexedConnection;

use super::redis_server::RedisServer;

impl RedisServer {
    /// Every key and its remaining milliseconds, -1 for a key without an end.
    pub async fn keys(&self) -> Vec<(String, i64)> {
        let mut connection = self.connection().await;
        let mut keys = Vec::new();
        for name in all_keys(&mut connection).await {
            let ttl = redis::cmd("PTTL").arg(&name).query_async(&mut connection).await.unwrap();
            // Gone between the two commands.
            if ttl != -2 {
                keys.push((String::from_utf8_lossy(&name).into_owned(), ttl));
            }
        }
        keys
    }

    #[track_caller]
    pub fn assert_every_key_has_a_ttl(&self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let eternal: Vec<_> =
                self.keys().await.into_iter().filter(|(_, ttl)| *ttl < 0).collect();
            assert!(eternal.is_empty(), "keys without a TTL ({place}): {eternal:?}");
        }
    }

    /// Every key with the bytes of its value: those of a string, or the elements of anything else
    /// one after the other.
    pub async fn dump(&self) -> Vec<(String, Vec<u8>)> {
        let mut connection = self.connection().await;
        let mut dump = Vec::new();
        for name in all_keys(&mut connection).await {
            let kind: String =
                redis::cmd("TYPE").arg(&name).query_async(&mut connection).await.unwrap();
            let mut read = match kind.as_str() {
                "string" => redis::cmd("GET"),
                "hash" => redis::cmd("HGETALL"),
                "set" => redis::cmd("SMEMBERS"),
                "list" | "zset" => redis::cmd(if kind == "list" { "LRANGE" } else { "ZRANGE" }),
                "none" => continue,
                other => panic!("a key of type {other}"),
            };
            read.arg(&name);
            if matches!(kind.as_str(), "list" | "zset") {
                read.arg(0).arg(-1);
            }
            let value: Value = read.query_async(&mut connection).await.unwrap();
            let mut bytes = Vec::new();
            flatten(&value, &mut bytes);
            dump.push((String::from_utf8_lossy(&name).into_owned(), bytes));
        }
        dump
    }

    /// The places (keys, values, slow log) in which `needle` stands. The slow log holds what
    /// [`Builder::log_every_command`] let in.
    pub async fn find_everywhere(&self, needle: impl AsRef<[u8]>) -> Vec<String> {
        let needle = needle.as_ref();
        let mut places = Vec::new();
        for (key, value) in self.dump().await {
            if contains(key.as_bytes(), needle) {
                places.push(format!("in the key {key}"));
            }
            if contains(&value, needle) {
                places.push(format!("in the value of {key}"));
            }
        }
        let mut connection = self.connection().await;
        let log: Value =
            redis::cmd("SLOWLOG").arg("GET").arg(-1).query_async(&mut connection).await.unwrap();
        let mut bytes = Vec::new();
        flatten(&log, &mut bytes);
        if contains(&bytes, needle) {
            places.push("in the slow log".to_owned());
        }
        places
    }
}

async fn all_keys(connection: &mut MultiplexedConnection) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(connection).await.unwrap();
    keys.sort();
    keys
}

pub(super) fn flatten(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::BulkString(text) => bytes.extend_from_slice(text),
        Value::SimpleString(text) => bytes.extend_from_slice(text.as_bytes()),
        Value::Array(values) | Value::Set(values) => {
            values.iter().for_each(|value| flatten(value, bytes))
        }
        Value::Map(pairs) => pairs.iter().for_each(|(name, value)| {
            flatten(name, bytes);
            flatten(value, bytes);
        }),
        _ => {}
    }
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
