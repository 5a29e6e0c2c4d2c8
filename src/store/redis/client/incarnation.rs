//! Incarnation of a Redis server: the run of the process that holds the data. Pure.
//!
//! Specified in `docs/protocol.md`, section 2.2.

#![cfg_attr(not(feature = "_database"), allow(dead_code, reason = "for the durable store"))]

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    clock::moment::Moment,
    error::{Error, ErrorKind},
};

/// Run id and replication id of a primary, and the location of our keys in it. Another process, a
/// restart and a promotion each have another one, so it identifies the writes that the data
/// contains; and two instances with different locations never trust each other's copies.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Incarnation(Box<str>);

impl Incarnation {
    /// Parses the sections `server` and `replication` of `INFO`; `place` is the database number and
    /// the prefix of our keys.
    ///
    /// # Errors
    ///
    /// `Unavailable` for a replica, `Misconfigured` for a server that does not report them.
    pub(in crate::store::redis) fn parse(
        server: &str,
        replication: &str,
        place: &str,
    ) -> Result<Self, Error> {
        let run = field(server, "run_id").filter(|run| !run.is_empty());
        match (run, primary(replication)?) {
            (Some(run), Some(data)) => Ok(Self(format!("{run} {data} {place}").into())),
            _ => Err(silent()),
        }
    }

    #[cfg(all(test, feature = "_database"))]
    pub(in crate::store::redis) fn example(text: &str) -> Self {
        Self(text.into())
    }

    /// The text that the database stores.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the server still reports the same replication.
    pub(in crate::store::redis) fn still_says(&self, replication: &str) -> bool {
        let data = primary(replication).ok().flatten();
        data.is_some() && self.0.split(' ').nth(1) == data
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The server of a connection, and when it was last verified.
#[derive(Debug)]
pub(crate) struct Peer {
    incarnation: Incarnation,
    checked_at: AtomicU64,
}

impl Peer {
    pub(in crate::store::redis) fn new(incarnation: Incarnation, checked_at: Moment) -> Self {
        Self { incarnation, checked_at: AtomicU64::new(checked_at.as_millis()) }
    }

    #[cfg(all(test, feature = "_database"))]
    pub(crate) fn example(incarnation: &str, checked_at: Moment) -> Self {
        Self::new(Incarnation::example(incarnation), checked_at)
    }

    pub(crate) fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }
}

impl Peer {
    pub(crate) fn checked_at(&self) -> Moment {
        Moment::from_millis(self.checked_at.load(Ordering::Acquire))
    }

    /// It was verified at that time, and is unchanged.
    pub(in crate::store::redis) fn checked(&self, asked_at: Moment) {
        let _ = self.checked_at.fetch_max(asked_at.as_millis(), Ordering::AcqRel);
    }
}

/// The replication id, if the server is a primary.
fn primary(replication: &str) -> Result<Option<&str>, Error> {
    if field(replication, "role") != Some("master") {
        return Err(Error::new(ErrorKind::Unavailable, "the redis server is a replica"));
    }
    Ok(field(replication, "master_replid").filter(|data| !data.is_empty()))
}

pub(in crate::store::redis) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

pub(in crate::store::redis) fn silent() -> Error {
    let text =
        "redis does not report its run id and replication id, without which it is not trusted";
    Error::new(ErrorKind::Misconfigured, text)
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::incarnation::*;

    const SERVER: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:aa\r\n";
    const PRIMARY: &str = "# Replication\r\nrole:master\r\nmaster_replid:bb\r\n";

    #[test]
    fn only_a_primary_that_tells_both_ids_has_one() {
        for (name, server, replication, expected) in [
            ("primary", SERVER, PRIMARY, Ok("aa bb 0/session:")),
            ("replica", SERVER, "role:slave\r\nmaster_replid:bb\r\n", Err(ErrorKind::Unavailable)),
            ("no run id", "", PRIMARY, Err(ErrorKind::Misconfigured)),
            ("no replication id", SERVER, "role:master\r\n", Err(ErrorKind::Misconfigured)),
            (
                "an empty one",
                SERVER,
                "role:master\r\nmaster_replid:\r\n",
                Err(ErrorKind::Misconfigured),
            ),
        ] {
            let parsed = Incarnation::parse(server, replication, "0/session:");
            let parsed = parsed.as_ref().map(Incarnation::as_str).map_err(Error::kind);
            assert_eq!(parsed, expected, "{name}");
        }
    }

    #[test]
    fn another_replication_id_or_role_is_another_life() {
        let incarnation = Incarnation::parse(SERVER, PRIMARY, "0/a b:").unwrap();
        for (name, replication, same) in [
            ("the same", PRIMARY, true),
            ("promoted", "role:master\r\nmaster_replid:cc\r\n", false),
            ("demoted", "role:slave\r\nmaster_replid:bb\r\n", false),
            ("nothing", "", false),
        ] {
            assert_eq!(incarnation.still_says(replication), same, "{name}");
        }
    }
}
