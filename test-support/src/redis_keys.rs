//! The keys of a store with the default prefix.

use std::fmt::Display;

use tower_redis_session::{SessionId, store::Placement};

/// The key of a session's record in a store with Redis alone.
pub fn record_key(id: impl Display) -> String {
    format!("session:0:s:{}", key_end(id))
}

/// What the key of a record ends with: the id, its last three characters in braces.
pub fn key_end(id: impl Display) -> String {
    let id = id.to_string();
    let (start, tag) = id.split_at(40);
    format!("{start}{{{tag}}}")
}

/// The key of the list of a user's sessions.
pub fn index_key(user: &str) -> String {
    format!("session:u:{}{user}", tag(user))
}

/// The key of a user's entries in the cache of a directory; the kind is its letter.
pub fn entries_key(kind: char, user: &str) -> String {
    format!("session:d:{}{kind}:{user}", tag(user))
}

/// In braces.
fn tag(user: &str) -> String {
    let mut id = [0; 32];
    id[30..].copy_from_slice(&Placement::new("session:").tag(user));
    format!("{{{}}}", &SessionId::from(id).to_string()[40..])
}
