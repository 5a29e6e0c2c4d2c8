//! One write of a transaction.

use sqlx::sqlite::SqliteConnection;

use crate::{
    clock::timestamp::Timestamp,
    store::database::{
        sqlite::{
            renewal,
            statements::{Outcome, begin, delete, insert, save, touch},
            users,
        },
        write::{Write, Written},
    },
};

pub(super) async fn write(
    connection: &mut SqliteConnection,
    write: &Write,
    journal: bool,
    now: Timestamp,
) -> Outcome {
    if !users::admits(connection, write).await? {
        return Ok(Ok(Written::Revoked));
    }
    let written = match write {
        Write::Create { id, record, .. } => insert(connection, id, record, None).await,
        Write::Save { id, expected, record } => {
            save(connection, id, *expected, record, journal).await
        }
        Write::Delete { id, expected } => delete(connection, id, *expected, journal, now).await,
        Write::Begin { old, expected, new, record, .. } => {
            begin(connection, old, *expected, (new, record)).await
        }
        Write::Finish { old, expected, new } => {
            renewal::finish(connection, old, *expected, new, journal, now).await
        }
        Write::Abandon { old, new } => renewal::abandon(connection, old, new, now).await,
        Write::Touch { id, version, activity } => touch(connection, id, *version, *activity).await,
        Write::Revoke { user, keep } => {
            users::revoke_all(connection, (user, keep.as_ref()), journal, now).await
        }
    };
    users::make_room(connection, write, written?, journal, now).await
}
