//! Maintenance writes: the journal, the epoch of the cache, and expired rows.

use sqlx::sqlite::SqliteConnection;

use crate::{
    session::token::SessionId,
    store::database::{
        row::{Epoch, moved_kept},
        sqlite::read::{EPOCH, NOW, epoch as epoch_of},
        write::Purged,
    },
};

pub(super) async fn clear(
    connection: &mut SqliteConnection,
    id: &SessionId,
    version: u64,
) -> Result<(), sqlx::Error> {
    let query = "DELETE FROM trs_journal WHERE id = ? AND version <= ?";
    let _ = sqlx::query(query)
        .bind(id.to_string())
        .bind(version.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn epoch(connection: &mut SqliteConnection) -> Result<Epoch, sqlx::Error> {
    epoch_of(&sqlx::query(EPOCH).fetch_one(connection).await?)
}

pub(super) async fn bump(
    connection: &mut SqliteConnection,
    from: &Epoch,
    to: &Epoch,
) -> Result<bool, sqlx::Error> {
    let query = "UPDATE trs_cache SET seq = ?, generation = ?, incarnation = ? \
        WHERE generation = ?";
    let query = sqlx::query(query).bind(to.seq.cast_signed()).bind(to.generation.cast_signed());
    let query = query.bind(&*to.incarnation).bind(from.generation.cast_signed());
    let bumped = query.execute(&mut *connection).await?.rows_affected() > 0;
    if bumped {
        let _ = sqlx::query("DELETE FROM trs_journal").execute(connection).await?;
    }
    Ok(bumped)
}

/// The time by SQLite's clock, which all processes of the machine share.
pub(super) async fn now(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(NOW).fetch_one(connection).await
}

/// Deletes rows that ended `kept` milliseconds ago, and users without newer sessions.
pub(super) async fn purge(
    connection: &mut SqliteConnection,
    kept: i64,
    limit: i64,
) -> Result<Purged, sqlx::Error> {
    let until = now(connection).await?.saturating_sub(kept);
    let query = "DELETE FROM trs_sessions WHERE id IN \
        (SELECT id FROM trs_sessions WHERE ends <= ? ORDER BY ends LIMIT ?)";
    let query = sqlx::query(query).bind(until).bind(limit);
    let sessions = query.execute(&mut *connection).await?.rows_affected();
    let moved = "UPDATE trs_sessions SET body = x'' WHERE id IN (SELECT id FROM trs_sessions \
        WHERE moved_to IS NOT NULL AND body <> x'' AND ends < ? ORDER BY ends LIMIT ?)";
    let moved = sqlx::query(moved).bind(now(connection).await?.saturating_sub(moved_kept()));
    let _ = moved.bind(limit).execute(&mut *connection).await?;
    let query = "DELETE FROM trs_users WHERE user_id IN \
        (SELECT user_id FROM trs_users WHERE epoch < ? ORDER BY epoch LIMIT ?)";
    let query = sqlx::query(query).bind(until).bind(limit);
    let users = query.execute(&mut *connection).await?.rows_affected();
    let query = "DELETE FROM trs_attempts WHERE (bucket, tag) IN \
        (SELECT bucket, tag FROM trs_attempts WHERE ends <= ? ORDER BY ends LIMIT ?)";
    let query = sqlx::query(query).bind(now(connection).await?).bind(limit);
    let attempts = query.execute(connection).await?.rows_affected();
    Ok(Purged { sessions, users, attempts })
}

/// Releases the reserve, and restarts the log: on a full disk both provide space for a while.
pub(super) async fn make_room(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let _ = sqlx::raw_sql("PRAGMA wal_checkpoint(RESTART)").execute(&mut *connection).await?;
    let _ = sqlx::query("DELETE FROM trs_reserve").execute(connection).await?;
    Ok(())
}

/// Creates the reserve again.
pub(super) async fn reserve(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let query = "INSERT INTO trs_reserve (one, room) SELECT 1, zeroblob(131072) \
        WHERE NOT EXISTS (SELECT 1 FROM trs_reserve)";
    let _ = sqlx::query(query).execute(connection).await?;
    Ok(())
}
