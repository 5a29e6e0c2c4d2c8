//! Keys of a Redis, for the command line: enumerated, classified, read in one round trip.

use redis::{Cmd, FromRedisValue as _, Value};

use crate::{
    error::Error,
    session::{placement::TAG_TEXT_LEN, record::format::HEAD_MAX, token::SessionId},
    store::{
        audit::Subject,
        cursor::Cursor,
        redis::{
            GENERATION,
            client::{failure::named, pool::Connections},
            value::HEAD_LEN,
        },
    },
};

/// More than the new id and the time before the head of a session that has moved.
const MOVED_LEN: usize = 64;

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
    if let Some(index) = rest.strip_prefix("u:") {
        return user_of(index).map_or(Class::Other, Class::Index);
    }
    let session = rest.split_once(":s:").and_then(|(generation, id)| {
        let id = id_of(id)?;
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

/// The id at the end of a record's key, where its last characters have braces.
pub(super) fn id_of(end: &str) -> Option<SessionId> {
    let (start, tag) = end.strip_suffix('}')?.split_once('{')?;
    (tag.len() == TAG_TEXT_LEN).then(|| format!("{start}{tag}").parse().ok())?
}

/// The user at the end of an index's key, behind a tag in braces.
fn user_of(end: &str) -> Option<&str> {
    let (tag, user) = end.strip_prefix('{')?.split_once('}')?;
    (tag.len() == TAG_TEXT_LEN).then_some(user)
}

/// The keys with that prefix after a position, and the next one.
pub(super) async fn scan(
    connections: &Connections,
    prefix: &str,
    after: Option<&Cursor>,
    count: usize,
) -> Result<(Option<Cursor>, Vec<Vec<u8>>), Error> {
    let mut scan = redis::cmd("SCAN");
    // A prefix has no character with a meaning in a pattern.
    let _ = scan
        .arg(Cursor::scan(after))
        .arg("MATCH")
        .arg(format!("{prefix}*"))
        .arg("COUNT")
        .arg(count);
    let found = connections.read(&scan).await.map_err(|error| named(error, "SCAN"))?;
    let (next, keys) = <(u64, Vec<Vec<u8>>)>::from_redis_value(found)
        .map_err(|_| Error::unavailable("redis replied to SCAN in another form"))?;
    Ok(((next != 0).then_some(Cursor::Scan(next)), keys))
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

/// The head of a record, without its values; empty for a key that does not exist.
pub(super) fn head(key: &[u8]) -> Cmd {
    let mut get = redis::cmd("GETRANGE");
    let _ = get.arg(key).arg(0).arg(HEAD_LEN + MOVED_LEN + HEAD_MAX - 1);
    get
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
