//! Statements on a session's row.

use sqlx::{
    Row as _, Sqlite,
    query::Query,
    sqlite::{SqliteArguments, SqliteConnection},
};

use crate::{
    error::Error,
    session::{
        moved::HOPS_MAX,
        record::{Record, Touch},
        token::SessionId,
    },
    store::database::{
        row::{Columns, millis, moved_kept},
        sqlite::read::columns,
        write::{Ended, Fresh, Times, Written},
    },
};

/// The inner error is that of this write only.
pub(super) type Outcome = Result<Result<Written, Error>, sqlx::Error>;

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    id: &SessionId,
    expected: Option<u64>,
    journal: bool,
    times: Times,
) -> Outcome {
    if let Some((version, ended)) = kill(connection, id, expected, journal, times).await? {
        return Ok(Ok(Written::Done { version, ended }));
    }
    if expected.is_none() {
        let ended = kill_heirs(connection, id, journal, times).await?;
        if !ended.is_empty() {
            // The journal row of the old id is unchanged.
            return Ok(Ok(Written::Done { version: 0, ended }));
        }
    }
    instead(connection, id).await
}

/// Deletes the successors of a session that moved within the last minute; returns all of them.
/// Those deleted already come without a version: their deletion may not have been pushed to Redis.
async fn kill_heirs(
    connection: &mut SqliteConnection,
    id: &SessionId,
    journal: bool,
    times: Times,
) -> Result<Vec<Ended>, sqlx::Error> {
    let (mut id, mut ended) = (*id, Vec::new());
    for _ in 0..HOPS_MAX {
        let query = "SELECT moved_to FROM trs_sessions \
            WHERE id = ? AND NOT alive AND ends > ? AND moved_to IS NOT NULL";
        let query = sqlx::query(query).bind(id.to_string());
        let query = query.bind(times.now.saturating_sub(moved_kept()));
        let Some(row) = query.fetch_optional(&mut *connection).await? else { break };
        let Ok(heir) = row.try_get::<String, _>(0)?.parse() else { break };
        let query = "UPDATE trs_sessions SET body = x'' WHERE id = ?";
        let _ = sqlx::query(query).bind(id.to_string()).execute(&mut *connection).await?;
        id = heir;
        let killed = kill(connection, &id, None, journal, times).await?;
        let (version, others) = killed.map_or((None, Vec::new()), |(v, others)| (Some(v), others));
        ended.push(Ended { id, version });
        ended.extend(others);
    }
    Ok(ended)
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    id: &SessionId,
    record: &Record,
    replaces: Option<(&SessionId, u64)>,
    times: Times,
) -> Outcome {
    let query = "INSERT INTO trs_sessions (version, last_activity, idle_deadline, ends, user_id, \
        body, id, created, replaces, replaces_version, alive) \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT (id) DO NOTHING";
    let fresh = Fresh::of(record);
    let created = fresh.created;
    let query = with(query, fresh, times.of(record.end())).bind(id.to_string()).bind(created);
    let query = query.bind(replaces.map(|(old, _)| old.to_string()));
    let query = query.bind(replaces.map(|(_, version)| version.cast_signed()));
    if query.execute(connection).await?.rows_affected() == 0 {
        return Ok(Ok(Written::Taken));
    }
    done(record.version())
}

pub(super) async fn save(
    connection: &mut SqliteConnection,
    id: &SessionId,
    expected: u64,
    record: &Record,
    journal: bool,
    times: Times,
) -> Outcome {
    let query = "UPDATE trs_sessions SET version = ?, last_activity = ?, idle_deadline = ?, \
        ends = ?, user_id = ?, body = ? WHERE id = ? AND version = ? AND alive";
    let query = with(query, Fresh::of(record), times.of(record.end()))
        .bind(id.to_string())
        .bind(expected.cast_signed());
    if query.execute(&mut *connection).await?.rows_affected() == 0 {
        return instead(connection, id).await;
    }
    if journal {
        enter(connection, id, record.version()).await?;
    }
    done(record.version())
}

/// Creates a row for the successor of one that is alive at `expected`.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    old: &SessionId,
    expected: u64,
    (new, record): (&SessionId, &Record),
    times: Times,
) -> Outcome {
    let query = "SELECT 1 FROM trs_sessions WHERE id = ? AND version = ? AND alive";
    let query = sqlx::query(query).bind(old.to_string()).bind(expected.cast_signed());
    if query.fetch_optional(&mut *connection).await?.is_none() {
        return instead(connection, old).await;
    }
    insert(connection, new, record, Some((old, expected)), times).await
}

pub(super) async fn touch(
    connection: &mut SqliteConnection,
    id: &SessionId,
    version: u64,
    activity: Touch,
    times: Times,
) -> Outcome {
    let query = "UPDATE trs_sessions SET last_activity = ?1, idle_deadline = ?2, ends = ?3 \
        WHERE id = ?4 AND version = ?5 AND alive AND idle_deadline < ?2";
    let query = sqlx::query(query)
        .bind(millis(activity.last_activity))
        .bind(millis(activity.idle_deadline))
        .bind(times.of(activity.end))
        .bind(id.to_string())
        .bind(version.cast_signed());
    match query.execute(connection).await?.rows_affected() {
        0 => Ok(Ok(Written::Gone)),
        _ => done(version),
    }
}

/// Ends a row that is alive, at `expected` if that is given; returns its version, and the session
/// that it still had to replace, which ends with it.
pub(super) async fn kill(
    connection: &mut SqliteConnection,
    id: &SessionId,
    expected: Option<u64>,
    journal: bool,
    times: Times,
) -> Result<Option<(u64, Vec<Ended>)>, sqlx::Error> {
    kill_as(connection, id, expected, None, (journal, times)).await
}

/// The same for a session that continues under another id, if one is given.
pub(super) async fn kill_as(
    connection: &mut SqliteConnection,
    id: &SessionId,
    expected: Option<u64>,
    moved_to: Option<&SessionId>,
    (journal, times): (bool, Times),
) -> Result<Option<(u64, Vec<Ended>)>, sqlx::Error> {
    let killed = kill_one(connection, id, expected, moved_to, (journal, times)).await?;
    let Some((version, replaced)) = killed else { return Ok(None) };
    let mut ended = Vec::new();
    if let Some(id) = replaced.and_then(|id| id.parse().ok()) {
        let killed = kill_one(connection, &id, None, None, (journal, times)).await?;
        ended.push(Ended { id, version: killed.map(|(version, _)| version) });
    }
    Ok(Some((version, ended)))
}

async fn kill_one(
    connection: &mut SqliteConnection,
    id: &SessionId,
    expected: Option<u64>,
    moved_to: Option<&SessionId>,
    (journal, times): (bool, Times),
) -> Result<Option<(u64, Option<String>)>, sqlx::Error> {
    let query = "UPDATE trs_sessions \
        SET alive = 0, version = version + 1, ends = ?1, moved_to = ?4, \
            moved_at = CASE WHEN ?4 IS NULL THEN NULL ELSE ?5 END, \
            body = CASE WHEN ?4 IS NULL THEN x'' ELSE body END \
        WHERE id = ?2 AND alive AND (?3 IS NULL OR version = ?3) RETURNING version, replaces";
    let query = sqlx::query(query)
        .bind(times.now)
        .bind(id.to_string())
        .bind(expected.map(u64::cast_signed))
        .bind(moved_to.map(ToString::to_string))
        .bind(millis(times.ours));
    let Some(row) = query.fetch_optional(&mut *connection).await? else { return Ok(None) };
    let version = row.try_get::<i64, _>(0)?.cast_unsigned();
    if journal {
        enter(connection, id, version).await?;
    }
    Ok(Some((version, row.try_get(1)?)))
}

/// Adds a row to the journal: readers of a cache do not trust it for this id.
async fn enter(
    connection: &mut SqliteConnection,
    id: &SessionId,
    version: u64,
) -> Result<(), sqlx::Error> {
    let query = "INSERT INTO trs_journal (id, version) VALUES (?, ?) \
        ON CONFLICT (id) DO UPDATE SET version = max(version, excluded.version)";
    let query = sqlx::query(query).bind(id.to_string()).bind(version.cast_signed());
    query.execute(connection).await.map(|_| ())
}

/// The outcome if the row is not as expected.
pub(super) async fn instead(connection: &mut SqliteConnection, id: &SessionId) -> Outcome {
    let query = "SELECT version, alive, last_activity, idle_deadline, replaces, body, \
        moved_to, moved_at FROM trs_sessions WHERE id = ? AND alive";
    let found = sqlx::query(query).bind(id.to_string()).fetch_optional(connection).await?;
    let Some(found) = found else { return Ok(Ok(Written::Gone)) };
    let row = columns(&found, 0).and_then(Columns::row);
    Ok(row.map(|row| Written::Conflict(row.record)))
}

/// The first six parameters from a record, its end by the database's clock.
fn with<'q>(query: &'static str, fresh: Fresh, ends: i64) -> Query<'q, Sqlite, SqliteArguments> {
    sqlx::query(query)
        .bind(fresh.version)
        .bind(fresh.last_activity)
        .bind(fresh.idle_deadline)
        .bind(ends)
        .bind(fresh.user)
        .bind(fresh.body)
}

pub(super) fn done(version: u64) -> Outcome {
    Ok(Ok(Written::Done { version, ended: Vec::new() }))
}
