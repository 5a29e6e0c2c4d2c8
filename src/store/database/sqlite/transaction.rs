//! One write of a transaction.

use sqlx::sqlite::SqliteConnection;

use crate::store::database::{
    sqlite::{
        renewal,
        statements::{Outcome, begin, delete, insert, save, touch},
        users,
    },
    write::{Times, Write, Written},
};

pub(super) async fn write(
    connection: &mut SqliteConnection,
    write: &Write,
    journal: bool,
    times: Times,
) -> Outcome {
    if !users::admits(connection, write).await? {
        return Ok(Ok(Written::Revoked));
    }
    let written = match write {
        Write::Create { id, record, .. } => insert(connection, id, record, None, times).await,
        Write::Save { id, expected, record } => {
            save(connection, id, *expected, record, journal, times).await
        }
        Write::Delete { id, expected } => delete(connection, id, *expected, journal, times).await,
        Write::Begin { old, expected, new, record, .. } => {
            begin(connection, old, *expected, (new, record), times).await
        }
        Write::Finish { old, expected, new } => {
            renewal::finish(connection, old, *expected, new, journal, times).await
        }
        Write::Abandon { old, new } => renewal::abandon(connection, old, new, times).await,
        Write::Touch { id, version, activity } => {
            touch(connection, id, *version, *activity, times).await
        }
        Write::Revoke { user, keep } => {
            users::revoke_all(connection, (user, keep.as_ref()), journal, times).await
        }
    };
    users::make_room(connection, write, written?, journal, times).await
}
