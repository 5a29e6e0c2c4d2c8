//! The second step of a renewal.

use sqlx::{Row as _, sqlite::SqliteConnection};

use crate::{
    session::{record::Record, token::SessionId},
    store::database::{
        sqlite::statements::{Outcome, done, instead, kill, kill_as},
        write::{Times, Written},
    },
};

pub(super) async fn finish(
    connection: &mut SqliteConnection,
    old: &SessionId,
    expected: Option<u64>,
    new: &SessionId,
    journal: bool,
    times: Times,
) -> Outcome {
    if expected.is_none() && !is_sealed(connection, old).await? {
        // What was written under the old id since was acknowledged; the renewal was not.
        let query = "UPDATE trs_sessions AS heir SET version = heir.version + 1, \
            created = past.created, last_activity = past.last_activity, \
            idle_deadline = past.idle_deadline, ends = past.ends, user_id = past.user_id, \
            body = past.body FROM trs_sessions AS past \
            WHERE heir.id = ?1 AND heir.alive AND heir.replaces = ?2 AND past.id = ?2 \
            AND past.alive AND past.version <> heir.replaces_version";
        let query = sqlx::query(query).bind(new.to_string()).bind(old.to_string());
        let _ = query.execute(&mut *connection).await?;
    }
    let killed = kill_as(connection, old, expected, Some(new), (journal, times)).await?;
    if killed.is_none() {
        if let Ok(Written::Conflict(current)) = instead(connection, old).await? {
            // There was a write since, which must not be lost.
            return Ok(Ok(Written::Conflict(current)));
        }
        if let Some(ended) = end_with_the_old(connection, old, new, journal, times).await? {
            return Ok(Ok(ended));
        }
    }
    let query = "UPDATE trs_sessions SET replaces = NULL WHERE id = ? AND replaces = ?";
    let query = sqlx::query(query).bind(new.to_string()).bind(old.to_string());
    let _ = query.execute(&mut *connection).await?;
    if let Some((version, ended)) = killed {
        return Ok(Ok(Written::Done { version, ended }));
    }
    let query = sqlx::query("SELECT version FROM trs_sessions WHERE id = ?").bind(old.to_string());
    let dead = query.fetch_optional(connection).await?;
    let version: i64 = dead.map_or(Ok(0), |row| row.try_get(0))?;
    done(version.cast_unsigned())
}

/// Whether the content of the record under `id` is sealed, so that it can be opened under that id
/// only.
async fn is_sealed(connection: &mut SqliteConnection, id: &SessionId) -> Result<bool, sqlx::Error> {
    let query = sqlx::query("SELECT body FROM trs_sessions WHERE id = ?").bind(id.to_string());
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(false) };
    let record = Record::from_bytes(0, row.try_get::<Vec<u8>, _>(0)?.into());
    Ok(record.is_ok_and(|record| record.sealed.is_some()))
}

/// Ends `new` too if `old` was ended before this was finished: the session ends under any id.
async fn end_with_the_old(
    connection: &mut SqliteConnection,
    old: &SessionId,
    new: &SessionId,
    journal: bool,
    times: Times,
) -> Result<Option<Written>, sqlx::Error> {
    let query = "SELECT 1 FROM trs_sessions heir JOIN trs_sessions past ON past.id = heir.replaces \
        WHERE heir.id = ? AND heir.alive AND past.id = ? AND NOT past.alive";
    let query = sqlx::query(query).bind(new.to_string()).bind(old.to_string());
    if query.fetch_optional(&mut *connection).await?.is_none() {
        return Ok(None);
    }
    let _ = kill(connection, new, None, journal, times).await?;
    Ok(Some(Written::Gone))
}

pub(super) async fn abandon(
    connection: &mut SqliteConnection,
    old: &SessionId,
    new: &SessionId,
    times: Times,
) -> Outcome {
    let query = "UPDATE trs_sessions SET alive = 0, version = version + 1, ends = ?1, \
        replaces = NULL, body = x'' WHERE id = ?2 AND replaces = ?3 AND alive";
    let query = sqlx::query(query).bind(times.now).bind(new.to_string()).bind(old.to_string());
    let _ = query.execute(connection).await?;
    done(0)
}
