//! Classification of a server's error replies: one table, pure.

use crate::error::ErrorKind;

/// What to do with the command and its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::redis) enum Then {
    /// Return the error.
    Tell,
    /// Close the connection.
    Close,
    /// The command did not run: retry.
    Again,
    /// The command did not run, and the same address may lead to another server by now: retry over
    /// a new connection.
    Elsewhere,
    /// The server does not have the script: load it, and call it again.
    Load,
}

/// One row of the table.
#[derive(Debug)]
pub(in crate::store::redis) struct Refusal {
    /// Error codes in capitals, or the text after `ERR`, in lower case.
    said: &'static [&'static str],
    pub(in crate::store::redis) kind: ErrorKind,
    pub(in crate::store::redis) text: &'static str,
    pub(in crate::store::redis) then: Then,
}

const fn row(
    said: &'static [&'static str],
    kind: ErrorKind,
    text: &'static str,
    then: Then,
) -> Refusal {
    Refusal { said, kind, text, then }
}

use ErrorKind::{Corrupt, Misconfigured, Unavailable};

/// The first matching row counts.
const REFUSALS: &[Refusal] = &[
    row(&["NOSCRIPT"], Unavailable, "redis has no cached script", Then::Load),
    row(&["WRONGTYPE"], Corrupt, "a session's key holds no string", Then::Tell),
    // Settings of ours, or of the server.
    row(&["NOAUTH"], Misconfigured, "redis requires a password", Then::Close),
    row(
        &["WRONGPASS", "invalid password", "without any password configured"],
        Misconfigured,
        "redis rejects the user name or password",
        Then::Close,
    ),
    row(
        &["DENIED"],
        Misconfigured,
        "redis accepts connections from its own machine only",
        Then::Close,
    ),
    row(
        &["NOPERM", "the user executing the script can't", "acl failure in script"],
        Misconfigured,
        "the redis user may not run our commands on our keys",
        Then::Tell,
    ),
    row(
        &["unknown command", "unknown redis command", "unknown subcommand"],
        Misconfigured,
        "redis does not know a command that sessions need",
        Then::Tell,
    ),
    row(
        &["cluster support disabled"],
        Misconfigured,
        "the redis server is not a node of a cluster: configure it by RedisConfig::new",
        Then::Tell,
    ),
    row(
        &["undeclared key", "not declared", "non local key"],
        Misconfigured,
        "the server allows scripts declared keys only, which is not supported",
        Then::Tell,
    ),
    row(
        &["db index", "select is not allowed"],
        Misconfigured,
        "the redis server does not have that database number",
        Then::Close,
    ),
    row(&["CROSSSLOT"], Misconfigured, CLUSTER, Then::Tell),
    row(&["MOVED", "ASK"], Misconfigured, CLUSTER, Then::Elsewhere),
    // A server that recovers, or is replaced by another.
    row(&["READONLY"], Unavailable, "the redis server is a replica", Then::Elsewhere),
    row(&["LOADING"], Unavailable, "redis is loading its data", Then::Elsewhere),
    row(
        &["MASTERDOWN"],
        Unavailable,
        "the redis server is a replica without its primary",
        Then::Elsewhere,
    ),
    row(&["CLUSTERDOWN"], Unavailable, "the redis cluster is down", Then::Again),
    row(&["TRYAGAIN"], Unavailable, "the redis cluster moves keys", Then::Again),
    row(&["OOM"], Unavailable, "redis has no memory left", Then::Again),
    row(
        &["MISCONF"],
        Unavailable,
        "redis cannot write to its disk, and rejects writes",
        Then::Tell,
    ),
    row(&["NOREPLICAS"], Unavailable, "redis has too few replicas, and rejects writes", Then::Tell),
    row(&["BUSY"], Unavailable, "redis is busy with a script", Then::Tell),
    row(&["max number of clients"], Unavailable, "redis accepts no more connections", Then::Close),
];

/// For a store that is configured with one server.
pub(in crate::store::redis) const CLUSTER: &str =
    "the server is a node of a redis cluster: configure its nodes by RedisConfig::cluster";

/// The row for an error `code` with its `detail`; `None` if there is none.
pub(in crate::store::redis) fn refusal(code: &str, detail: &str) -> Option<&'static Refusal> {
    // A script returns the error of a command in it; older servers put it into a text.
    let lower = detail.to_ascii_lowercase();
    let meant = |said: &&str| {
        if said.starts_with(|first: char| first.is_ascii_uppercase()) {
            code == *said || code == "ERR" && detail.contains(&format!("-{said} "))
        } else {
            lower.contains(said)
        }
    };
    REFUSALS.iter().find(|refusal| refusal.said.iter().any(meant))
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::answer::*;

    #[test]
    fn what_servers_say_in_their_versions_is_one_row() {
        for (name, code, detail, kind, then) in [
            (
                "6.2 in a script",
                "ERR",
                "Error running script (call to f_1): @user_script:1: \
                @user_script: 1: -OOM command not allowed",
                Unavailable,
                Then::Again,
            ),
            ("7.0 in a script", "OOM", "command not allowed. script: 1", Unavailable, Then::Again),
            (
                "7.0, a right",
                "ERR",
                "The user executing the script can't run this command or \
                subcommand script: 1",
                Misconfigured,
                Then::Tell,
            ),
            (
                "valkey, a right",
                "ERR",
                "ACL failure in script: No permissions to access a key",
                Misconfigured,
                Then::Tell,
            ),
            ("6.2, unknown", "ERR", "unknown command `INFO`, with args", Misconfigured, Then::Tell),
            ("7.0, unknown", "ERR", "unknown command 'INFO', with args", Misconfigured, Then::Tell),
            (
                "declared keys",
                "ERR",
                "script tried accessing undeclared key",
                Misconfigured,
                Then::Tell,
            ),
            ("full", "ERR", "max number of clients reached", Unavailable, Then::Close),
        ] {
            let found = refusal(code, detail).unwrap_or_else(|| panic!("{name}"));
            assert_eq!((found.kind, found.then), (kind, then), "{name}");
        }
        assert!(refusal("ERR", "syntax error").is_none());
    }
}
