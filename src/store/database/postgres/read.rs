//! Read statements.

use sqlx::{Row as _, postgres::PgRow};

use crate::{
    error::Error,
    session::{record::format::HEAD_MAX, token::SessionId},
    store::database::{
        failure::no_epoch,
        postgres::{Postgres, typed},
        row::{Columns, Epoch, Polled, Row, Snapshot, corrupt, in_order, time},
    },
};

impl Postgres {
    pub(in crate::store::database) async fn read(
        &self,
        id: &SessionId,
    ) -> Result<Option<Row>, Error> {
        let query = "SELECT version, alive, last_activity, idle_deadline, replaces, body, \
            moved_to, moved_at FROM trs_sessions \
            WHERE id = $1 AND (alive OR moved_to IS NOT NULL)";
        let id = id.to_string();
        let rows = self.ask(|| self.server.statement(query).bind(&id));
        rows.await?.first().map(|row| columns(row, 0).and_then(Columns::row)).transpose()
    }

    pub(in crate::store::database) async fn read_each(
        &self,
        ids: &[SessionId],
    ) -> Result<Vec<Option<Result<Row, Error>>>, Error> {
        let query = "SELECT id, version, alive, last_activity, idle_deadline, replaces, body, \
            moved_to, moved_at FROM trs_sessions WHERE id = ANY ($1) \
            AND (alive OR moved_to IS NOT NULL)";
        let list = list(ids);
        let rows = self.ask(|| self.server.statement(query).bind(&list));
        Ok(in_order(ids, &found(&rows.await?, 0)))
    }

    pub(in crate::store::database) async fn epoch(&self) -> Result<Epoch, Error> {
        let query = "SELECT seq, generation, incarnation FROM trs_cache";
        let rows = self.ask_by(self.watch(), || self.server.statement(query)).await?;
        epoch(rows.first().ok_or_else(no_epoch)?).map_err(typed)
    }

    pub(in crate::store::database) async fn epoch_of(&self, user: &str) -> Result<u64, Error> {
        let query = "SELECT epoch FROM trs_users WHERE user_id = $1";
        let rows = self.ask(|| self.server.statement(query).bind(user)).await?;
        let epoch = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(0)).map_err(typed)?;
        Ok(epoch.cast_unsigned())
    }

    pub(in crate::store::database) async fn sessions_of(
        &self,
        user: &str,
    ) -> Result<Vec<(SessionId, Result<Columns, Error>)>, Error> {
        // Without sessions that a renewal in progress replaces: the new id represents both.
        let query = "SELECT s.id, s.version, s.alive, s.last_activity, s.idle_deadline, \
            s.replaces, substr(s.body, 1, $1), s.moved_to, s.moved_at \
            FROM trs_sessions s WHERE s.user_id = $2 AND s.alive \
            AND s.id NOT IN (SELECT heir.replaces FROM trs_sessions heir \
                WHERE heir.user_id = $2 AND heir.alive AND heir.replaces IS NOT NULL)";
        let most = i32::try_from(HEAD_MAX).unwrap_or(i32::MAX);
        let rows = self.ask(|| self.server.statement(query).bind(most).bind(user));
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
            s.replaces, substr(s.body, 1, $1), s.moved_to, s.moved_at FROM trs_sessions s \
            WHERE s.user_id = $2 AND s.alive \
            AND s.created <= $3 AND (s.created < $3 OR s.id COLLATE \"C\" > $4) \
            AND s.id NOT IN (SELECT heir.replaces FROM trs_sessions heir \
                WHERE heir.user_id = $2 AND heir.alive AND heir.replaces IS NOT NULL) \
            ORDER BY s.created DESC, s.id COLLATE \"C\" LIMIT $5";
        let most = i32::try_from(HEAD_MAX).unwrap_or(i32::MAX);
        let rows = self.ask(|| {
            let query = self.server.statement(query).bind(most).bind(user);
            query.bind(after.0).bind(&after.1).bind(limit)
        });
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
            substr(body, 1, $1), moved_to, moved_at FROM trs_sessions \
            WHERE id > $2 ORDER BY id LIMIT $3";
        let rows = self.ask(|| self.server.statement(query).bind(bytes).bind(after).bind(limit));
        let row = |row: &PgRow| Ok((row.try_get(0)?, columns(row, 1)));
        rows.await?.iter().map(row).collect::<Result<_, sqlx::Error>>().map_err(typed)
    }

    pub(in crate::store::database) async fn poll(&self, limit: i64) -> Result<Polled, Error> {
        let query = "SELECT c.seq, c.generation, c.incarnation, j.id, j.version, \
            (extract(epoch FROM clock_timestamp()) * 1000)::bigint, pg_is_in_recovery() \
            FROM trs_cache c LEFT JOIN (SELECT id, version FROM trs_journal LIMIT $1) j ON true";
        let poll = || self.server.statement(query).bind(limit);
        let rows = self.ask_by(self.watch(), poll).await?;
        let first = rows.first().ok_or_else(no_epoch)?;
        if first.try_get(6).map_err(typed)? {
            // Fails closed: a replica may lack committed writes.
            let _ = self.server.condemn();
            return Err(Error::unavailable("the postgresql server is a replica"));
        }
        let (epoch, now) = (epoch(first).map_err(typed)?, first.try_get(5).map_err(typed)?);
        let journalled = |row: &PgRow| {
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
            FROM trs_cache c LEFT JOIN trs_sessions s ON s.id = ANY ($1)";
        let list = list(ids);
        let rows = self.ask(|| self.server.statement(query).bind(&list));
        let rows = rows.await?;
        let epoch = epoch(rows.first().ok_or_else(no_epoch)?).map_err(typed)?;
        Ok(Snapshot { epoch, rows: in_order(ids, &found(&rows, 3)) })
    }
}

/// The columns of a session, starting at `at`.
fn columns(row: &PgRow, at: usize) -> Result<Columns, Error> {
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
fn epoch(row: &PgRow) -> Result<Epoch, sqlx::Error> {
    Ok(Epoch::of(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

/// The sessions among the rows, with the id at `at`.
fn found(rows: &[PgRow], at: usize) -> Vec<(SessionId, Result<Columns, Error>)> {
    let session = |row: &PgRow| {
        let id = row.try_get::<Option<String>, _>(at).ok()??.parse().ok()?;
        Some((id, columns(row, at + 1)))
    };
    rows.iter().filter_map(session).collect()
}

fn list(ids: &[SessionId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}
