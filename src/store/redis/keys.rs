//! Keys of a Redis, for the command line: enumerated, classified, read in one round trip.

use redis::{Cmd, FromRedisValue as _, Value};

use crate::{
    error::Error,
    session::token::SessionId,
    store::{
        audit::Subject,
        redis::{
            GENERATION,
            client::{failure::named, pool::Connections},
        },
    },
};

/// What is stored under a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Class<'a> {
    /// A record of Redis alone.
    Record(SessionId),
    /// A copy of that generation.
    Copy(u64, SessionId),
    /// The sessions of a user.
    Index(&'a str),
    Other,
}

impl Class<'_> {
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Record(id) => Subject::session(*id),
            Self::Copy(_, id) => Subject::session(*id),
            Self::Index(user) => Subject::user(user),
            Self::Other => Subject::default(),
        }
    }
}

/// By the part of the key behind the prefix.
pub(super) fn class<'a>(prefix: &str, key: &'a [u8]) -> Class<'a> {
    let rest = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(prefix));
    let Some(rest) = rest else { return Class::Other };
    if let Some(user) = rest.strip_prefix("u:") {
        return Class::Index(user);
    }
    let session = rest.split_once(":s:").and_then(|(generation, id)| {
        let id = id.parse().ok()?;
        match generation {
            GENERATION => Some(Class::Record(id)),
            _ if generation.len() == 16 => {
                Some(Class::Copy(u64::from_str_radix(generation, 16).ok()?, id))
            }
            _ => None,
        }
    });
    session.unwrap_or(Class::Other)
}

/// The keys with that prefix after a cursor of `SCAN`, and the next cursor.
pub(super) async fn scan(
    connections: &Connections,
    prefix: &str,
    from: u64,
    count: usize,
) -> Result<(Option<u64>, Vec<Vec<u8>>), Error> {
    let mut scan = redis::cmd("SCAN");
    // A prefix has no character with a meaning in a pattern.
    let _ = scan.arg(from).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(count);
    let found = connections.read(&scan).await.map_err(|error| named(error, "SCAN"))?;
    let (next, keys) = <(u64, Vec<Vec<u8>>)>::from_redis_value(found)
        .map_err(|_| Error::unavailable("redis replied to SCAN in another form"))?;
    Ok(((next != 0).then_some(next), keys))
}

/// Reads, in one round trip; retried once over another connection.
pub(super) async fn send_all(
    connections: &Connections,
    commands: &[Cmd],
) -> Result<Vec<Result<Value, Error>>, Error> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let mut retried = false;
    loop {
        let mut connection = connections.get().await?;
        match connection.send_all(commands).await {
            Ok(values) => {
                let values = values.into_iter();
                return Ok(values.map(|value| value.map_err(|failure| failure.error)).collect());
            }
            Err(failure) if !retried && (failure.lost || failure.again) => retried = true,
            Err(failure) => return Err(failure.error),
        }
    }
}

/// Milliseconds until a key expires: -1 for never, -2 for a key that does not exist.
pub(super) fn pttl(key: &[u8]) -> Cmd {
    let mut pttl = redis::cmd("PTTL");
    let _ = pttl.arg(key);
    pttl
}

/// Whether a reply to `PTTL` is that of a key that never expires.
pub(super) fn never_expires(reply: &Value) -> bool {
    *reply == Value::Int(-1)
}
