//! Classification of errors of the server and the client library: one table.

use std::io;

#[cfg(feature = "tls")]
use crate::store::certificates::disagreement;
use crate::{
    error::{Error, ErrorKind},
    store::database::{failure::cause, migration, write::WriteFault},
};

/// The consequences of an error.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// The statement may have been executed all the same, or still be.
    pub(super) unknown: bool,
    /// What to do with the connection, and with other idle ones.
    pub(super) connection: Connection,
    /// Nothing was done, and another connection may succeed.
    pub(super) again: bool,
    /// The cause is a value in the statement, or a row that it needs: other statements would not
    /// fail.
    pub(super) for_one: bool,
    /// A pooler in transaction mode is in front of the server.
    pub(super) pooler: bool,
}

/// What to do with connections after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// Keep it.
    Keep,
    /// Unusable. Older connections are validated before their next use.
    Close,
    /// It leads to a read-only server, and so may all older ones.
    CloseAll,
}

/// Whether the statement was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Certainly not: rolled back, or never started.
    NotDone,
    /// Certainly not, and worth a retry on another connection.
    Again,
    /// Unknown.
    Open,
}

/// A row of the table.
struct Answer {
    /// The SQLSTATE, or its prefix.
    state: &'static str,
    kind: ErrorKind,
    /// For an operator: the fault and, where needed, the remedy.
    text: &'static str,
    outcome: Outcome,
    connection: Connection,
}

const fn answer(
    state: &'static str,
    kind: ErrorKind,
    text: &'static str,
    outcome: Outcome,
    connection: Connection,
) -> Answer {
    Answer { state, kind, text, outcome, connection }
}

use Connection::{Close, CloseAll, Keep};
use ErrorKind::{Invalid, Misconfigured, Unavailable};
use Outcome::{Again, NotDone, Open};

/// The first match counts. An error without a row is `Unavailable`, not done, and the connection is
/// kept. <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const ANSWERS: &[Answer] = &[
    answer("28P01", Misconfigured, "postgresql rejects the user name or password", NotDone, Keep),
    answer(
        "28",
        Misconfigured,
        "postgresql rejects the user, its password or client certificate, or requires TLS",
        NotDone,
        Keep,
    ),
    answer(
        "3D000",
        Misconfigured,
        "the postgresql server does not have that database",
        NotDone,
        Keep,
    ),
    answer(
        "42501",
        Misconfigured,
        "the postgresql user may not use our tables: \
         it needs SELECT, INSERT, UPDATE and DELETE on all trs_ tables, EXECUTE on all trs_ \
         functions, and to make them the right to CREATE",
        NotDone,
        Keep,
    ),
    answer("42P01", Misconfigured, migration::NO_TABLES, NotDone, Keep),
    answer("42883", Misconfigured, migration::NO_TABLES, NotDone, Keep),
    answer("3F000", Misconfigured, migration::NO_TABLES, NotDone, Keep),
    // A statement that a pooler sent to another connection: never started.
    answer("26000", Unavailable, "a pooler is in front of postgresql", Again, Close),
    answer("42P05", Unavailable, "a pooler is in front of postgresql", Again, Close),
    answer(
        "42",
        Misconfigured,
        "the tables of the session store differ from the expected schema",
        NotDone,
        Keep,
    ),
    answer(
        "25006",
        Unavailable,
        "the postgresql server is read-only: it is a replica",
        Again,
        CloseAll,
    ),
    answer("25P03", Unavailable, "postgresql ended a connection that was idle", NotDone, Close),
    answer(
        "25P04",
        Unavailable,
        "postgresql ended a transaction that was too long",
        NotDone,
        Close,
    ),
    answer("0A000", Unavailable, "the tables were changed while in use", Again, Close),
    answer("53100", Unavailable, "the disk of the postgresql server is full", NotDone, Keep),
    answer("53200", Unavailable, "the postgresql server is out of memory", NotDone, Keep),
    answer("53300", Unavailable, "the postgresql server has no connection left", NotDone, Close),
    answer("53", Unavailable, "the postgresql server is out of resources", NotDone, Keep),
    answer("55P03", Unavailable, "another transaction holds the session's row", NotDone, Keep),
    // By the timeout that we set in the server, or by an operator: during a commit it is unknown.
    answer("57014", Unavailable, "postgresql did not finish in time", Open, Keep),
    answer("57P03", Unavailable, "the postgresql server is starting or stopping", NotDone, Close),
    answer("57", Unavailable, "the postgresql server ended the connection", Open, Close),
    answer("08", Unavailable, "the connection to postgresql was lost", Open, Close),
    answer("58", Unavailable, "the postgresql server cannot use its files", Open, Close),
    answer("22", Invalid, "postgresql cannot store what the session holds", NotDone, Keep),
    answer("XX001", Misconfigured, "the postgresql server's files are damaged", NotDone, Keep),
    answer("XX002", Misconfigured, "the postgresql server's files are damaged", NotDone, Keep),
];

impl Failure {
    /// An error during a statement.
    pub(super) fn of(error: sqlx::Error) -> Self {
        let Some(state) = state(&error) else {
            let read = is_answer(&error);
            let connection = if read { Keep } else { Close };
            return Self { unknown: true, connection, ..Self::refused(typed(error)) };
        };
        let row = row(&state);
        let (outcome, connection) =
            row.map_or((NotDone, Keep), |row| (row.outcome, row.connection));
        // A value, a constraint, a locked row, or a deadlock.
        let for_one = ["22", "23", "40", "55"].iter().any(|class| state.starts_with(class));
        let pooler = matches!(state.as_str(), "26000" | "42P05");
        let (unknown, again) = (outcome == Open, outcome == Again);
        Self { error: typed(error), unknown, connection, again, for_one, pooler }
    }

    /// No connection, so nothing was done.
    pub(super) fn of_connecting(error: sqlx::Error) -> Self {
        #[cfg(feature = "tls")]
        if let sqlx::Error::Io(io) = &error
            && let Some(text) = disagreement("postgresql", io)
        {
            return Self::refused(Error::new(Misconfigured, text).with_source(error));
        }
        // PgBouncer's error for a parameter that it does not support in transaction mode.
        let pooler = state(&error).is_some_and(|state| state == "08P01")
            && error.to_string().contains("startup parameter");
        if pooler {
            return Self { pooler, again: true, ..Self::refused(typed(error)) };
        }
        let foreign = matches!(&error, sqlx::Error::Protocol(_))
            || matches!(&error, sqlx::Error::Io(io) if io.kind() == io::ErrorKind::InvalidData);
        // The library's error for a connection closed during the TLS negotiation.
        let closed = error.to_string().contains("SSLRequest: 0x00");
        if foreign && !closed {
            let text = "the peer is not a postgresql server";
            return Self::refused(Error::new(Misconfigured, text).with_source(error));
        }
        Self::refused(typed(error))
    }

    pub(super) fn refused(error: Error) -> Self {
        let connection = Keep;
        Self { error, unknown: false, connection, again: false, for_one: false, pooler: false }
    }

    /// No reply within the timeout.
    pub(super) fn unknown(error: Error) -> Self {
        Self { unknown: true, ..Self::refused(error) }
    }

    /// Built for a connection of another kind; never sent.
    pub(super) fn other_form() -> Self {
        let error = Error::unavailable("a pooler is in front of postgresql");
        Self { again: true, ..Self::refused(error) }
    }

    pub(super) fn has_no_tables(error: &sqlx::Error) -> bool {
        state(error)
            .is_some_and(|state| row(&state).is_some_and(|row| row.text == migration::NO_TABLES))
    }

    pub(super) fn lost(&self) -> bool {
        self.connection == Close
    }
}

impl From<Failure> for WriteFault {
    fn from(failure: Failure) -> Self {
        if failure.unknown { Self::Unknown(failure.error) } else { Self::Refused(failure.error) }
    }
}

/// There is a reply, but not the expected one.
fn is_answer(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::RowNotFound
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::Decode(_)
    )
}

/// Whether the disk is full.
pub(super) fn is_full(error: &Error) -> bool {
    cause(error).and_then(state).is_some_and(|state| state == "53100")
}

pub(super) fn typed(error: sqlx::Error) -> Error {
    let row = state(&error).and_then(|state| row(&state));
    let typed = match (row, &error) {
        (Some(row), _) => Error::new(row.kind, row.text),
        (None, sqlx::Error::Tls(cause)) => Error::new(Misconfigured, tls_fault(cause.as_ref())),
        (None, sqlx::Error::PoolClosed) => {
            Error::new(Unavailable, "the application has closed its pool")
        }
        (None, sqlx::Error::RowNotFound) => crate::store::database::failure::no_epoch(),
        (None, sqlx::Error::Encode(_)) => {
            Error::new(Invalid, "postgresql cannot store what the session holds")
        }
        (None, _) => Error::unavailable("postgresql is unavailable"),
    };
    typed.with_source(error)
}

/// The library has no kind for it.
fn tls_fault(cause: &dyn std::error::Error) -> &'static str {
    let text = cause.to_string();
    match () {
        () if text.contains("server does not support TLS") => {
            "the postgresql server does not use TLS"
        }
        () if text.contains("built without TLS") => {
            "the postgresql address requires TLS, which needs the crate feature `tls`"
        }
        () => "the postgresql host or certificates cannot be used for TLS",
    }
}

fn row(state: &str) -> Option<&'static Answer> {
    ANSWERS.iter().find(|row| state.starts_with(row.state))
}

/// The SQLSTATE.
fn state(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

#[cfg(test)]
mod tests {
    use crate::store::database::postgres::failure::*;

    /// What an operator reads, and what becomes of statement and connection.
    #[test]
    fn each_answer_says_what_is_wrong_and_what_to_do_with_the_connection() {
        for (state, kind, part, outcome, connection) in [
            ("28P01", Misconfigured, "password", NotDone, Keep),
            ("28000", Misconfigured, "client certificate", NotDone, Keep),
            ("3D000", Misconfigured, "does not have that database", NotDone, Keep),
            ("42501", Misconfigured, "needs SELECT, INSERT, UPDATE and DELETE", NotDone, Keep),
            ("42P01", Misconfigured, "call migrate()", NotDone, Keep),
            ("42883", Misconfigured, "call migrate()", NotDone, Keep),
            ("3F000", Misconfigured, "call migrate()", NotDone, Keep),
            ("42703", Misconfigured, "differ from the expected schema", NotDone, Keep),
            ("26000", Unavailable, "pooler", Again, Close),
            ("42P05", Unavailable, "pooler", Again, Close),
            ("25006", Unavailable, "read-only", Again, CloseAll),
            ("25P03", Unavailable, "idle", NotDone, Close),
            ("0A000", Unavailable, "changed", Again, Close),
            ("53100", Unavailable, "disk", NotDone, Keep),
            ("53200", Unavailable, "memory", NotDone, Keep),
            ("53300", Unavailable, "no connection left", NotDone, Close),
            ("55P03", Unavailable, "holds the session's row", NotDone, Keep),
            ("57014", Unavailable, "in time", Open, Keep),
            ("57P01", Unavailable, "ended the connection", Open, Close),
            ("57P02", Unavailable, "ended the connection", Open, Close),
            ("57P03", Unavailable, "starting or stopping", NotDone, Close),
            ("08006", Unavailable, "lost", Open, Close),
            ("58030", Unavailable, "files", Open, Close),
            ("22021", Invalid, "cannot store", NotDone, Keep),
            ("XX001", Misconfigured, "damaged", NotDone, Keep),
        ] {
            let row = row(state).unwrap();
            assert!(row.text.contains(part), "{state}: {}", row.text);
            let said = (row.kind, row.outcome, row.connection);
            assert_eq!(said, (kind, outcome, connection), "{state}");
        }
        assert!(row("40001").is_none() && row("P0001").is_none());
    }
}
