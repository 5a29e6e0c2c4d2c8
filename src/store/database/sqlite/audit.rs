//! Rows as they are stored, and the deletion of single ones, for the command `validate`.

use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    error::Error,
    session::record::format::HEAD_MAX,
    store::database::{
        row::StoredRow,
        sqlite::{Sqlite, typed},
        write::WriteFault,
    },
};

impl Sqlite {
    /// After the row with that id, by the primary key.
    pub(in crate::store::database) async fn stored_after(
        &self,
        after: &str,
        limit: i64,
    ) -> Result<Vec<StoredRow>, Error> {
        let query = "SELECT id, version, alive, created, ends, user_id, moved_to IS NOT NULL, \
            substr(body, 1, ?1) FROM trs_sessions WHERE id > ?2 ORDER BY id LIMIT ?3";
        let rows = self.ask(sqlx::query(query).bind(head_len()).bind(after).bind(limit)).await?;
        rows.iter().map(stored).collect::<Result<_, _>>().map_err(typed)
    }

    pub(in crate::store::database) async fn stored(
        &self,
        ids: &[String],
    ) -> Result<Vec<StoredRow>, Error> {
        let query = "SELECT id, version, alive, created, ends, user_id, moved_to IS NOT NULL, \
            substr(body, 1, ?1) FROM trs_sessions WHERE id IN (SELECT value FROM json_each(?2))";
        let ids = list(ids);
        let rows = self.ask(sqlx::query(query).bind(head_len()).bind(&ids)).await?;
        rows.iter().map(stored).collect::<Result<_, _>>().map_err(typed)
    }

    /// Revoked users and attempts that ended before `time`; up to 1,001.
    pub(in crate::store::database) async fn overdue(&self, time: i64) -> Result<u64, Error> {
        let query = "SELECT count(*) FROM (SELECT 1 FROM (\
            SELECT 1 FROM trs_users WHERE epoch > 0 AND epoch < ?1 \
            UNION ALL SELECT 1 FROM trs_attempts WHERE ends < ?1) LIMIT 1001)";
        let rows = self.ask(sqlx::query(query).bind(time)).await?;
        let count = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(0)).map_err(typed)?;
        Ok(count.cast_unsigned())
    }

    /// Deletes these sessions, and what is stored of this user and in this bucket.
    pub(in crate::store::database) async fn forget(
        &self,
        ids: &[String],
        user: &str,
        bucket: i64,
    ) -> Result<(), Error> {
        let ids = list(ids);
        let forgotten = self.begin().await?.run(async |connection| {
            for query in [
                "DELETE FROM trs_sessions WHERE id IN (SELECT value FROM json_each(?))",
                "DELETE FROM trs_journal WHERE id IN (SELECT value FROM json_each(?))",
            ] {
                let _ = sqlx::query(query).bind(&ids).execute(&mut *connection).await?;
            }
            let query = sqlx::query("DELETE FROM trs_users WHERE user_id = ?").bind(user);
            let _ = query.execute(&mut *connection).await?;
            let query = sqlx::query("DELETE FROM trs_attempts WHERE bucket = ?").bind(bucket);
            query.execute(&mut *connection).await.map(drop)
        });
        let (transaction, ()) = forgotten.await?;
        transaction.commit().await.map_err(WriteFault::into_error)?.end();
        Ok(())
    }
}

fn stored(row: &SqliteRow) -> Result<StoredRow, sqlx::Error> {
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

fn head_len() -> i64 {
    i64::try_from(HEAD_MAX).unwrap_or(i64::MAX)
}

/// As JSON: a row that this crate did not write may have any id.
fn list(ids: &[String]) -> String {
    serde_json::Value::from(ids).to_string()
}
