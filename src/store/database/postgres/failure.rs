//! What an error of the client library or the server means for a session.

use std::io;

use crate::{
    error::{Error, ErrorKind},
    store::database::{migration, write::WriteFault},
};

/// What follows from an error.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// The statement may have been executed all the same, or be executed yet.
    pub(super) unknown: bool,
    /// The connection is of no further use.
    pub(super) lost: bool,
    /// What was in the statement, or a row that it wanted, is why: another would not fail so.
    pub(super) for_one: bool,
}

impl Failure {
    /// An error while a statement was under way.
    pub(super) fn of(error: sqlx::Error) -> Self {
        let state = state(&error).unwrap_or_default();
        // Classes 57, operator intervention, and 08, connection: the end of the transaction is
        // open. With any other word of the server it was rolled back.
        let answered = error.as_database_error().is_some();
        let open = state.starts_with("57") || state.starts_with("08");
        // 57014, a cancelled statement, leaves the connection as it was.
        let lost = !answered && !is_answer(&error) || open && state != "57014";
        // A value, a constraint, a row that is locked or was waited for in a circle.
        let for_one = ["22", "23", "40", "55"].iter().any(|class| state.starts_with(class));
        Self { unknown: open || !answered, lost, for_one, error: typed(error) }
    }

    /// No connection, and so nothing was done.
    pub(super) fn of_connecting(error: sqlx::Error) -> Self {
        let foreign = matches!(&error, sqlx::Error::Protocol(_))
            || matches!(&error, sqlx::Error::Io(io) if io.kind() == io::ErrorKind::InvalidData);
        // What a closed connection looks like to the library, in the place of an answer about TLS.
        let closed = error.to_string().contains("SSLRequest: 0x00");
        if foreign && !closed {
            let text = "what answers is not a postgresql server";
            return Self::refused(Error::new(ErrorKind::Misconfigured, text).because(error));
        }
        Self::refused(typed(error))
    }

    pub(super) fn refused(error: Error) -> Self {
        Self { error, unknown: false, lost: false, for_one: false }
    }

    /// No answer within the limit.
    pub(super) fn unknown(error: Error) -> Self {
        Self { error, unknown: true, lost: false, for_one: false }
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

pub(super) fn typed(error: sqlx::Error) -> Error {
    let misconfigured = |text| Error::new(ErrorKind::Misconfigured, text);
    let unavailable = |text| Error::new(ErrorKind::Unavailable, text);
    let state = state(&error).unwrap_or_default();
    let typed = match (state.as_str(), &error) {
        ("28P01" | "28000", _) => misconfigured("postgresql refuses the user name or password"),
        ("3D000", _) => misconfigured("the postgresql server does not have that database"),
        ("42501", _) => misconfigured("the postgresql user may not use our tables"),
        ("42P01" | "42883" | "3F000", _) => migration::no_tables(),
        ("25006", _) => unavailable("the postgresql server only reads: it is a replica"),
        ("53300", _) => unavailable("the postgresql server has no connection left"),
        ("53100", _) => unavailable("the disk of the postgresql server is full"),
        ("55P03", _) => unavailable("another transaction holds the session's row"),
        (state, _) if state.starts_with("22") => {
            Error::new(ErrorKind::Invalid, "postgresql cannot store what the session holds")
        }
        ("XX001" | "XX002", _) => misconfigured("the postgresql server's files are damaged"),
        (_, sqlx::Error::Tls(_)) => misconfigured("postgresql gives no connection with that TLS"),
        (_, sqlx::Error::RowNotFound) => crate::store::database::failure::no_epoch(),
        (state, _) if state.starts_with("42") => {
            misconfigured("the tables of the session store are not as they should be")
        }
        _ => unavailable("postgresql is unavailable"),
    };
    typed.because(error)
}

/// The server's five characters.
fn state(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}
