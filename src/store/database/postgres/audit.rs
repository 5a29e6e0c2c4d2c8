//! Rows as they are stored, and the deletion of single ones, for the command `validate`.

use sqlx::{Row as _, postgres::PgRow};

use crate::{
    error::Error,
    session::record::format::HEAD_MAX,
    store::database::{
        postgres::{Postgres, typed},
        row::StoredRow,
    },
};

impl Postgres {
    /// After the row with that id, by the primary key.
    pub(in crate::store::database) async fn stored_after(
        &self,
        after: &str,
        limit: i64,
    ) -> Result<Vec<StoredRow>, Error> {
        let query = "SELECT id, version, alive, created, ends, user_id, moved_to IS NOT NULL, \
            substr(body, 1, $1) FROM trs_sessions WHERE id > $2 ORDER BY id LIMIT $3";
        let page = || self.server.statement(query).bind(head_len()).bind(after).bind(limit);
        let rows = self.ask(page).await?;
        rows.iter().map(stored).collect::<Result<_, _>>().map_err(typed)
    }

    pub(in crate::store::database) async fn stored(
        &self,
        ids: &[String],
    ) -> Result<Vec<StoredRow>, Error> {
        let query = "SELECT id, version, alive, created, ends, user_id, moved_to IS NOT NULL, \
            substr(body, 1, $1) FROM trs_sessions WHERE id = ANY ($2)";
        let ids = ids.to_vec();
        let rows = self.ask(|| self.server.statement(query).bind(head_len()).bind(&ids)).await?;
        rows.iter().map(stored).collect::<Result<_, _>>().map_err(typed)
    }

    /// Revoked users and attempts that ended before `time`; up to 1,001.
    pub(in crate::store::database) async fn overdue(&self, time: i64) -> Result<u64, Error> {
        let query = "SELECT count(*) FROM (SELECT 1 FROM (\
            SELECT 1 FROM trs_users WHERE epoch > 0 AND epoch < $1 \
            UNION ALL SELECT 1 FROM trs_attempts WHERE ends < $1) a LIMIT 1001) b";
        let rows = self.ask(|| self.server.statement(query).bind(time)).await?;
        let count = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(0)).map_err(typed)?;
        Ok(count.cast_unsigned())
    }

    /// Deletes these sessions, and what is stored of this user and in this bucket. One statement
    /// each: to repeat them is safe.
    pub(in crate::store::database) async fn forget(
        &self,
        ids: &[String],
        user: &str,
        bucket: i64,
    ) -> Result<(), Error> {
        let ids = ids.to_vec();
        for query in [
            "DELETE FROM trs_sessions WHERE id = ANY ($1)",
            "DELETE FROM trs_journal WHERE id = ANY ($1)",
        ] {
            let _ = self.ask(|| self.server.statement(query).bind(&ids)).await?;
        }
        let query = "DELETE FROM trs_users WHERE user_id = $1";
        let _ = self.ask(|| self.server.statement(query).bind(user)).await?;
        let query = "DELETE FROM trs_attempts WHERE bucket = $1";
        self.ask(|| self.server.statement(query).bind(bucket)).await.map(drop)
    }
}

fn stored(row: &PgRow) -> Result<StoredRow, sqlx::Error> {
    Ok(StoredRow {
        id: row.try_get(0)?,
        version: row.try_get(1)?,
        alive: row.try_get(2)?,
        created: row.try_get(3)?,
        ends: row.try_get(4)?,
        user: row.try_get(5)?,
        moved: row.try_get(6)?,
        head: row.try_get(7)?,
    })
}

fn head_len() -> i32 {
    i32::try_from(HEAD_MAX).unwrap_or(i32::MAX)
}
