//! Read statements, on read-only connections.

use sqlx::{
    Row as _,
    sqlite::{SqliteArguments, SqliteConnection, SqliteRow},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    error::Error,
    session::{record::format::HEAD_MAX, token::SessionId},
    store::database::{
        failure::{late, no_epoch},
        row::{Columns, Epoch, Polled, Row, Snapshot, corrupt, in_order, time},
        sqlite::{Sqlite, open, pool::Pool, typed},
    },
};

pub(super) const EPOCH: &str = "SELECT seq, generation, incarnation FROM trs_cache";

pub(super) const NOW: &str = "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)";

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

impl Sqlite {
    pub(in crate::store::database) async fn read(
        &self,
        id: &SessionId,
    ) -> Result<Option<Row>, Error> {
        let query = "SELECT version, alive, last_activity, idle_deadline, replaces, body, \
            moved_to, moved_at FROM trs_sessions \
            WHERE id = ? AND (alive OR moved_to IS NOT NULL)";
        let id = id.to_string();
        let rows = self.ask(sqlx::query(query).bind(&id));
        rows.await?.first().map(|row| columns(row, 0).and_then(Columns::row)).transpose()
    }

    pub(in crate::store::database) async fn read_each(
        &self,
        ids: &[SessionId],
    ) -> Result<Vec<Option<Result<Row, Error>>>, Error> {
        let query = "SELECT id, version, alive, last_activity, idle_deadline, replaces, body, \
            moved_to, moved_at FROM trs_sessions WHERE id IN (SELECT value FROM json_each(?)) \
            AND (alive OR moved_to IS NOT NULL)";
        let list = json(ids);
        let rows = self.ask(sqlx::query(query).bind(&list));
        Ok(in_order(ids, &found(&rows.await?, 0)))
    }

    pub(in crate::store::database) async fn epoch(&self) -> Result<Epoch, Error> {
        let rows = self.ask_aside(sqlx::query(EPOCH)).await?;
        epoch(rows.first().ok_or_else(no_epoch)?).map_err(typed)
    }

    pub(in crate::store::database) async fn epoch_of(&self, user: &str) -> Result<u64, Error> {
        let query = "SELECT epoch FROM trs_users WHERE user_id = ?";
        let rows = self.ask(sqlx::query(query).bind(user)).await?;
        let epoch = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(0)).map_err(typed)?;
        Ok(epoch.cast_unsigned())
    }

    pub(in crate::store::database) async fn sessions_of(
        &self,
        user: &str,
    ) -> Result<Vec<(SessionId, Result<Columns, Error>)>, Error> {
        // Without sessions that a renewal in progress replaces: the new id represents both.
        let query = "SELECT s.id, s.version, s.alive, s.last_activity, s.idle_deadline, \
            s.replaces, substr(s.body, 1, ?1), s.moved_to, s.moved_at \
            FROM trs_sessions s WHERE s.user_id = ?2 AND s.alive \
            AND s.id NOT IN (SELECT heir.replaces FROM trs_sessions heir \
                WHERE heir.user_id = ?2 AND heir.alive AND heir.replaces IS NOT NULL)";
        let most = i64::try_from(HEAD_MAX).unwrap_or(i64::MAX);
        let rows = self.ask(sqlx::query(query).bind(most).bind(user));
        Ok(found(&rows.await?, 0))
    }

    /// After the session with that sign-in time and id.
    pub(in crate::store::database) async fn sessions_page(
        &self,
        user: &str,
        after: &(i64, String),
        limit: i64,
    ) -> Result<Vec<(SessionId, Result<Columns, Error>)>, Error> {
        let query = "SELECT s.id, s.version, s.alive, s.last_activity, s.idle_deadline, \
            s.replaces, substr(s.body, 1, ?1), s.moved_to, s.moved_at FROM trs_sessions s \
            WHERE s.user_id = ?2 AND s.alive \
            AND s.created <= ?3 AND (s.created < ?3 OR s.id > ?4) \
            AND s.id NOT IN (SELECT heir.replaces FROM trs_sessions heir \
                WHERE heir.user_id = ?2 AND heir.alive AND heir.replaces IS NOT NULL) \
            ORDER BY s.created DESC, s.id LIMIT ?5";
        let most = i64::try_from(HEAD_MAX).unwrap_or(i64::MAX);
        let query = sqlx::query(query).bind(most).bind(user);
        let rows = self.ask(query.bind(after.0).bind(&after.1).bind(limit));
        Ok(found(&rows.await?, 0))
    }

    /// After the row with that id, by the primary key.
    #[cfg(feature = "cli")]
    pub(in crate::store::database) async fn page(
        &self,
        after: &str,
        bytes: i32,
        limit: i64,
    ) -> Result<Vec<(String, Result<Columns, Error>)>, Error> {
        let query = "SELECT id, version, alive, last_activity, idle_deadline, replaces, \
            substr(body, 1, ?1), moved_to, moved_at FROM trs_sessions \
            WHERE id > ?2 ORDER BY id LIMIT ?3";
        let rows = self.ask(sqlx::query(query).bind(bytes).bind(after).bind(limit)).await?;
        let row = |row: &SqliteRow| Ok((row.try_get(0)?, columns(row, 1)));
        rows.iter().map(row).collect::<Result<_, sqlx::Error>>().map_err(typed)
    }

    pub(in crate::store::database) async fn poll(&self, limit: i64) -> Result<Polled, Error> {
        let query = "SELECT c.seq, c.generation, c.incarnation, j.id, j.version, \
            CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM trs_cache c \
            LEFT JOIN (SELECT id, version FROM trs_journal LIMIT ?) j ON true";
        let rows = self.ask_aside(sqlx::query(query).bind(limit)).await?;
        let first = rows.first().ok_or_else(no_epoch)?;
        let (epoch, now) = (epoch(first).map_err(typed)?, first.try_get(5).map_err(typed)?);
        let journalled = |row: &SqliteRow| {
            let id = row.try_get::<Option<String>, _>(3).ok()??.parse().ok()?;
            Some((id, row.try_get::<i64, _>(4).ok()?.cast_unsigned()))
        };
        let journal = rows.iter().filter_map(journalled).collect();
        Ok(Polled { epoch, journal, now: time(now) })
    }

    pub(in crate::store::database) async fn snapshot(
        &self,
        ids: &[SessionId],
    ) -> Result<Snapshot, Error> {
        let query = "SELECT c.seq, c.generation, c.incarnation, \
            s.id, s.version, s.alive, s.last_activity, s.idle_deadline, s.replaces, s.body, \
            s.moved_to, s.moved_at \
            FROM trs_cache c LEFT JOIN trs_sessions s ON s.id IN (SELECT value FROM json_each(?))";
        let list = json(ids);
        let rows = self.ask(sqlx::query(query).bind(&list));
        let rows = rows.await?;
        let epoch = epoch(rows.first().ok_or_else(no_epoch)?).map_err(typed)?;
        Ok(Snapshot { epoch, rows: in_order(ids, &found(&rows, 3)) })
    }

    pub(super) async fn ask(&self, query: Query<'_>) -> Result<Vec<SqliteRow>, Error> {
        self.ask_by(&self.readers, query).await
    }

    /// On the connection reserved for the poll.
    pub(super) async fn ask_aside(&self, query: Query<'_>) -> Result<Vec<SqliteRow>, Error> {
        self.ask_by(&self.watch, query).await
    }

    async fn ask_by(
        &self,
        readers: &Pool<SqliteConnection>,
        query: Query<'_>,
    ) -> Result<Vec<SqliteRow>, Error> {
        let asked = async {
            let mut place = readers.take().await;
            if place.connection().is_none() {
                place = place.with(open::connect(&self.reading).await?);
            }
            let connection = place.connection().ok_or_else(late)?;
            let rows = query.fetch_all(connection).await.map_err(typed)?;
            place.give_back();
            Ok(rows)
        };
        timeout_at(Instant::now() + self.timeout, asked).await.unwrap_or_else(|_| Err(late()))
    }
}

/// The columns of a session, starting at `at`.
pub(super) fn columns(row: &SqliteRow, at: usize) -> Result<Columns, Error> {
    let read = || {
        Ok::<_, sqlx::Error>(Columns {
            version: row.try_get(at)?,
            alive: row.try_get(at + 1)?,
            last_activity: row.try_get(at + 2)?,
            idle_deadline: row.try_get(at + 3)?,
            replaces: row.try_get(at + 4)?,
            body: row.try_get(at + 5)?,
            moved_to: row.try_get(at + 6)?,
            moved_at: row.try_get(at + 7)?,
        })
    };
    read().map_err(|_| corrupt())
}

/// The columns of the epoch, which come first.
pub(super) fn epoch(row: &SqliteRow) -> Result<Epoch, sqlx::Error> {
    Ok(Epoch::of(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

/// The sessions among the rows, with the id at `at`.
fn found(rows: &[SqliteRow], at: usize) -> Vec<(SessionId, Result<Columns, Error>)> {
    let session = |row: &SqliteRow| {
        let id = row.try_get::<Option<String>, _>(at).ok()??.parse().ok()?;
        Some((id, columns(row, at + 1)))
    };
    rows.iter().filter_map(session).collect()
}

/// A list of ids as JSON for SQLite: no character of an id needs escaping.
fn json(ids: &[SessionId]) -> String {
    let ids: Vec<_> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    format!("[{}]", ids.join(","))
}
