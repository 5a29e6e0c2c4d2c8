//! Classification of errors of the server and the client library: one table.

use std::io;

use crate::{
    error::{Error, ErrorKind},
    store::database::{migration, write::WriteFault},
};

/// What follows from an error.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// The statement may have been executed all the same, or be executed yet.
    pub(super) unknown: bool,
    /// What becomes of the connection, and of those that wait beside it.
    pub(super) connection: Connection,
    /// Nothing was done, and another connection may do it.
    pub(super) again: bool,
    /// What was in the statement, or a row that it wanted, is why: another would not fail so.
    pub(super) for_one: bool,
    /// A pooler that hands out connections by transaction stands between.
    pub(super) pooler: bool,
}

/// What is to be done with connections after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// As good as before.
    Keep,
    /// Of no further use. Those that were made before are asked before they are used.
    Close,
    /// It leads to a server that does not write, and so may all that were made before.
    CloseAll,
}

/// Whether the statement was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Surely not: rolled back, or never begun.
    NotDone,
    /// Surely not, and it is worth another try on another connection.
    Again,
    /// Unknown.
    Open,
}

/// A row of the table.
struct Answer {
    /// The server's five characters, or their beginning.
    state: &'static str,
    kind: ErrorKind,
    /// For an operator: what is wrong and, where something has to be done, what.
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

/// The first that fits counts. What is in no row is `Unavailable`, not done, and the connection
/// stays. <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const ANSWERS: &[Answer] = &[
    answer("28", Misconfigured, "postgresql refuses the user name or password", NotDone, Keep),
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
    // A statement that a pooler gave to another connection: never begun.
    answer("26000", Unavailable, "a pooler stands before postgresql", Again, Close),
    answer("42P05", Unavailable, "a pooler stands before postgresql", Again, Close),
    answer(
        "42",
        Misconfigured,
        "the tables of the session store are not as they should be",
        NotDone,
        Keep,
    ),
    answer(
        "25006",
        Unavailable,
        "the postgresql server only reads: it is a replica",
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
    // By the time-out that we gave the server, or by an operator: during a commit it is open.
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
    /// An error while a statement was under way.
    pub(super) fn of(error: sqlx::Error) -> Self {
        let Some(state) = state(&error) else {
            let read = is_answer(&error);
            let connection = if read { Keep } else { Close };
            return Self { unknown: true, connection, ..Self::refused(typed(error)) };
        };
        let row = row(&state);
        let (outcome, connection) =
            row.map_or((NotDone, Keep), |row| (row.outcome, row.connection));
        // A value, a constraint, a row that is locked or was waited for in a circle.
        let for_one = ["22", "23", "40", "55"].iter().any(|class| state.starts_with(class));
        let pooler = matches!(state.as_str(), "26000" | "42P05");
        let (unknown, again) = (outcome == Open, outcome == Again);
        Self { error: typed(error), unknown, connection, again, for_one, pooler }
    }

    /// No connection, and so nothing was done.
    pub(super) fn of_connecting(error: sqlx::Error) -> Self {
        // PgBouncer's word for a parameter that only a session of one's own can have.
        let pooler = state(&error).is_some_and(|state| state == "08P01")
            && error.to_string().contains("startup parameter");
        if pooler {
            return Self { pooler, again: true, ..Self::refused(typed(error)) };
        }
        let foreign = matches!(&error, sqlx::Error::Protocol(_))
            || matches!(&error, sqlx::Error::Io(io) if io.kind() == io::ErrorKind::InvalidData);
        // What a closed connection looks like to the library, in the place of an answer about TLS.
        let closed = error.to_string().contains("SSLRequest: 0x00");
        if foreign && !closed {
            let text = "what answers is not a postgresql server";
            return Self::refused(Error::new(Misconfigured, text).with_source(error));
        }
        Self::refused(typed(error))
    }

    pub(super) fn refused(error: Error) -> Self {
        let connection = Keep;
        Self { error, unknown: false, connection, again: false, for_one: false, pooler: false }
    }

    /// No answer within the limit.
    pub(super) fn unknown(error: Error) -> Self {
        Self { unknown: true, ..Self::refused(error) }
    }

    /// Built for a connection of another kind; never sent.
    pub(super) fn other_form() -> Self {
        let error = Error::unavailable("a pooler stands before postgresql");
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

/// The answer is there, but not what we read.
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

/// Whether no page was left for it.
pub(super) fn is_full(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    cause.and_then(state).is_some_and(|state| state == "53100")
}

pub(super) fn typed(error: sqlx::Error) -> Error {
    let row = state(&error).and_then(|state| row(&state));
    let typed = match (row, &error) {
        (Some(row), _) => Error::new(row.kind, row.text),
        (None, sqlx::Error::Tls(_)) => {
            Error::new(Misconfigured, "postgresql gives no connection with that TLS")
        }
        (None, sqlx::Error::RowNotFound) => crate::store::database::failure::no_epoch(),
        (None, sqlx::Error::Encode(_)) => {
            Error::new(Invalid, "postgresql cannot store what the session holds")
        }
        (None, _) => Error::unavailable("postgresql is unavailable"),
    };
    typed.with_source(error)
}

fn row(state: &str) -> Option<&'static Answer> {
    ANSWERS.iter().find(|row| state.starts_with(row.state))
}

/// The server's five characters.
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
            ("28000", Misconfigured, "password", NotDone, Keep),
            ("3D000", Misconfigured, "does not have that database", NotDone, Keep),
            ("42501", Misconfigured, "needs SELECT, INSERT, UPDATE and DELETE", NotDone, Keep),
            ("42P01", Misconfigured, "call migrate()", NotDone, Keep),
            ("42883", Misconfigured, "call migrate()", NotDone, Keep),
            ("3F000", Misconfigured, "call migrate()", NotDone, Keep),
            ("42703", Misconfigured, "not as they should be", NotDone, Keep),
            ("26000", Unavailable, "pooler", Again, Close),
            ("42P05", Unavailable, "pooler", Again, Close),
            ("25006", Unavailable, "only reads", Again, CloseAll),
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
