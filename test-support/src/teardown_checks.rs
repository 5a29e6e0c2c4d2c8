//! What has to hold on every server when its test is done with it: the store asked for nothing that
//! the documented rights do not cover, every key of a session ends by itself, and no token is in
//! one.

use std::thread;
use std::time::Duration;

use redis::{Connection, RedisResult, Value};

use super::leak_monitor;
use super::redis_contents::flatten;
use super::redis_launch::Kind;
use super::redis_rights::{CONFIRMED, DURABLE, PREFIX, SESSIONS};
use super::redis_server::RedisServer;

/// A server that does not answer for so long was hung, or is busy, as its test wanted it.
const ANSWER: Duration = Duration::from_secs(1);

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl RedisServer {
    /// For a test that changes the rights of the documented users, or makes keys that stay.
    pub fn is_tampered_with(&self) {
        *self.tampered.lock().unwrap() = true;
    }

    pub(super) fn check_at_teardown(&self) {
        if thread::panicking() || *self.tampered.lock().unwrap() {
            return;
        }
        let mut faults = Vec::new();
        // A server that refuses (it loads, it is a replica without its primary) is no longer asked.
        let _ = self.look(&mut faults);
        assert!(faults.is_empty(), "on the Redis server of this test: {faults:#?}");
        leak_monitor::check();
    }

    fn look(&self, faults: &mut Vec<String>) -> RedisResult<()> {
        let client = redis::Client::open(self.admin_url())?;
        let mut connection = client.get_connection_with_timeout(ANSWER)?;
        connection.set_read_timeout(Some(ANSWER))?;
        let refusals: Vec<Vec<Value>> =
            redis::cmd("ACL").arg("LOG").arg(128).query(&mut connection)?;
        for refusal in refusals {
            let field = |name: &str| text_behind(&refusal, name);
            let (user, what) = (field("username"), field("object"));
            let is_ours = [SESSIONS, DURABLE, CONFIRMED].contains(&&*user);
            // `check` asks whoever may tell.
            let is_optional = user == SESSIONS && what == "info";
            if is_ours && !is_optional {
                faults.push(format!("{user} was refused the {} {what}", field("reason")));
            }
        }
        if let Kind::Node(_) = self.kind {
            // A replica shows its own copies then.
            redis::cmd("READONLY").exec(&mut connection)?;
        }
        let keys: Vec<Vec<u8>> =
            redis::cmd("KEYS").arg(format!("{PREFIX}*")).query(&mut connection)?;
        for key in keys {
            leak_monitor::stored("the name of a key", &key);
            match (look_at(&key, &mut connection, faults), &self.kind) {
                // Of a slot that moves, or has moved without it: nobody may see it.
                (Err(_), Kind::Node(_)) => {}
                (looked, _) => looked?,
            }
        }
        let log: Value = redis::cmd("SLOWLOG").arg("GET").arg(128).query(&mut connection)?;
        let mut bytes = Vec::new();
        flatten(&log, &mut bytes);
        leak_monitor::stored("the slow log", &bytes);
        Ok(())
    }
}

fn look_at(key: &[u8], connection: &mut Connection, faults: &mut Vec<String>) -> RedisResult<()> {
    let ttl: i64 = redis::cmd("PTTL").arg(key).query(connection)?;
    let name = String::from_utf8_lossy(key);
    if ttl == -1 {
        faults.push(format!("{name} has no end"));
    }
    let kind: String = redis::cmd("TYPE").arg(key).query(connection)?;
    let read = match kind.as_str() {
        "hash" => "HGETALL",
        "string" => "GET",
        _ => return Ok(()),
    };
    let value: Value = redis::cmd(read).arg(key).query(connection)?;
    let mut bytes = Vec::new();
    flatten(&value, &mut bytes);
    leak_monitor::stored(&name, &bytes);
    Ok(())
}

fn text_behind(pairs: &[Value], name: &str) -> String {
    let text = |value: &Value| redis::from_redis_value_ref::<String>(value).unwrap_or_default();
    let pair = pairs.chunks(2).find(|pair| text(&pair[0]) == name);
    pair.and_then(|pair| pair.get(1)).map(text).unwrap_or_default()
}
