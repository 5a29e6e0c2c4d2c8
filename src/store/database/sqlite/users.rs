//! Users: epoch and limit of sessions. Runs in a write transaction, without concurrent writes.

use sqlx::{Row as _, sqlite::SqliteConnection};

use crate::{
    error::Error,
    session::token::SessionId,
    store::database::{
        sqlite::statements::{Outcome, kill},
        write::{Ended, Times, Write, Written, column_of},
    },
};

/// Whether the user's epoch is at most the one read before the credentials were checked: an old
/// epoch may have been purged since.
pub(super) async fn admits(
    connection: &mut SqliteConnection,
    write: &Write,
) -> Result<bool, sqlx::Error> {
    let (Write::Create { record, terms, .. } | Write::Begin { record, terms, .. }) = write else {
        return Ok(true);
    };
    let (Some(user), Some(expected)) = (record.user(), terms.epoch) else { return Ok(true) };
    let query = sqlx::query("SELECT epoch FROM trs_users WHERE user_id = ?").bind(column_of(user));
    let row = query.fetch_optional(connection).await?;
    let epoch: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(epoch.cast_unsigned() <= expected)
}

/// Deletes the oldest sessions over the limit of a user who just got one more; expired ones first,
/// with the allowance for late activity.
pub(super) async fn make_room(
    connection: &mut SqliteConnection,
    write: &Write,
    written: Result<Written, Error>,
    journal: bool,
    times: Times,
) -> Outcome {
    let (record, terms, besides) = match write {
        Write::Create { id, record, terms } => (record, terms, vec![id]),
        Write::Begin { old, new, record, terms, .. } => (record, terms, vec![old, new]),
        _ => return Ok(written),
    };
    let (Ok(Written::Done { version, .. }), Some(limit), Some(user)) =
        (&written, terms.limit, record.user())
    else {
        return Ok(written);
    };
    let query = "SELECT s.id FROM trs_sessions s WHERE s.user_id = ?1 AND s.alive \
        AND s.id NOT IN (SELECT value FROM json_each(?2)) AND NOT EXISTS \
            (SELECT 1 FROM trs_sessions heir \
            WHERE heir.user_id = ?1 AND heir.alive AND heir.replaces = s.id) \
        ORDER BY s.ends + min((s.idle_deadline - s.last_activity) / 20, 300000) > ?3 DESC, \
        s.created DESC, s.id LIMIT -1 OFFSET ?4";
    let besides: Vec<_> = besides.iter().map(|id| format!("\"{id}\"")).collect();
    let query = sqlx::query(query)
        .bind(column_of(user))
        .bind(format!("[{}]", besides.join(",")))
        .bind(times.now)
        .bind(i64::from(limit.get()) - 1);
    let rows = query.fetch_all(&mut *connection).await?;
    let mut ended = Vec::new();
    for row in rows {
        kill_into(&mut ended, connection, row.try_get(0)?, journal, times).await?;
    }
    Ok(Ok(Written::Done { version: *version, ended }))
}

/// Changes the epoch, and ends all live sessions of that user.
pub(super) async fn revoke_all(
    connection: &mut SqliteConnection,
    (user, keep): (&str, Option<&SessionId>),
    journal: bool,
    times: Times,
) -> Outcome {
    let (user, keep) = (column_of(user), keep.map(ToString::to_string));
    let query = "INSERT INTO trs_users (user_id, epoch) VALUES (?1, ?2) \
        ON CONFLICT (user_id) DO UPDATE SET epoch = max(epoch + 1, ?2)";
    let query = sqlx::query(query).bind(&user).bind(times.now);
    let _ = query.execute(&mut *connection).await?;
    // Ended already, and perhaps not pushed to Redis.
    let query = "SELECT j.id, j.version FROM trs_journal j JOIN trs_sessions s ON s.id = j.id \
        WHERE s.user_id = ? AND NOT s.alive";
    let rows = sqlx::query(query).bind(&user).fetch_all(&mut *connection).await?;
    let mut ended = Vec::new();
    for row in rows {
        if let Ok(id) = row.try_get::<String, _>(0)?.parse() {
            let version = Some(row.try_get::<i64, _>(1)?.cast_unsigned());
            ended.push(Ended { id, version });
        }
    }
    let query = "SELECT id, ends FROM trs_sessions WHERE user_id = ?1 AND alive \
        AND id IS NOT ?2 AND (?2 IS NULL OR replaces IS NOT ?2)";
    let rows = sqlx::query(query).bind(&user).bind(keep).fetch_all(&mut *connection).await?;
    let mut killed = 0;
    for row in rows {
        let before = ended.len();
        kill_into(&mut ended, connection, row.try_get(0)?, journal, times).await?;
        let over = row.try_get::<i64, _>(1)? <= times.now;
        killed += u64::from(ended.len() > before && !over);
    }
    Ok(Ok(Written::Done { version: killed, ended }))
}

async fn kill_into(
    ended: &mut Vec<Ended>,
    connection: &mut SqliteConnection,
    id: String,
    journal: bool,
    times: Times,
) -> Result<(), sqlx::Error> {
    let Ok(id) = id.parse() else { return Ok(()) };
    if let Some((version, others)) = kill(connection, &id, None, journal, times).await? {
        ended.push(Ended { id, version: Some(version) });
        ended.extend(others);
    }
    Ok(())
}
