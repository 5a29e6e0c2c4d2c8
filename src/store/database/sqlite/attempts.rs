//! Failed attempts to sign in, under the write lock.

use sqlx::{Row as _, sqlite::SqliteConnection};

use crate::{
    clock::timestamp::Timestamp,
    error::Error,
    store::{
        attempts::{AttemptKey, AttemptOutcome, AttemptRow, AttemptWrite, Change},
        database::{
            sqlite::{Sqlite, maintenance},
            write::WriteFault,
        },
    },
};

impl Sqlite {
    pub(in crate::store::database) async fn attempt(
        &self,
        write: &AttemptWrite,
    ) -> Result<AttemptOutcome, Error> {
        let transaction = self.begin().await?;
        let decided = transaction.run(async |connection| decide(connection, write).await);
        let (transaction, (outcome, changed)) = decided.await?;
        if changed {
            transaction.commit().await.map_err(WriteFault::into_error)?.end();
        } else {
            // A throttled attempt costs no write to the disk.
            transaction.roll_back().await?;
        }
        Ok(outcome)
    }
}

async fn decide(
    connection: &mut SqliteConnection,
    write: &AttemptWrite,
) -> Result<(AttemptOutcome, bool), sqlx::Error> {
    let now = maintenance::now(connection).await?;
    let mut found = Vec::with_capacity(write.counters.len() + 1);
    for key in write.keys() {
        found.push(read(connection, &key).await?);
    }
    let (outcome, changes) = write.decide(&found, Timestamp::from_millis(now.cast_unsigned()));
    let changed = changes.iter().any(|change| *change != Change::Keep);
    for (place, (key, change)) in write.keys().zip(changes).enumerate() {
        match change {
            Change::Keep => {}
            Change::Remove => remove(connection, &key).await?,
            Change::Put(row) => {
                let row = match make_room(connection, &key, write, now).await? {
                    0 => row,
                    displaced => write.taking_over(place, row, displaced, now.cast_unsigned()),
                };
                put(connection, &key, row).await?;
            }
        }
    }
    Ok((outcome, changed))
}

async fn read(
    connection: &mut SqliteConnection,
    key: &AttemptKey,
) -> Result<Option<AttemptRow>, sqlx::Error> {
    let query =
        "SELECT failures, since, opens, ends FROM trs_attempts WHERE bucket = ? AND tag = ?";
    let query = sqlx::query(query).bind(key.bucket).bind(key.tag.as_slice());
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    let number = |at: usize| row.try_get::<i64, _>(at).map(i64::cast_unsigned);
    let failures = u32::try_from(number(0)?).unwrap_or(u32::MAX);
    Ok(Some(AttemptRow { failures, since: number(1)?, opens: number(2)?, ends: number(3)? }))
}

async fn remove(connection: &mut SqliteConnection, key: &AttemptKey) -> Result<(), sqlx::Error> {
    let query = "DELETE FROM trs_attempts WHERE bucket = ? AND tag = ?";
    let query = sqlx::query(query).bind(key.bucket).bind(key.tag.as_slice());
    query.execute(connection).await.map(|_| ())
}

/// Deletes ended rows, and of a full bucket the row with the fewest failures, but none of this
/// attempt; returns their number, 0 where the key has a row already.
async fn make_room(
    connection: &mut SqliteConnection,
    key: &AttemptKey,
    write: &AttemptWrite,
    now: i64,
) -> Result<u32, sqlx::Error> {
    if read(connection, key).await?.is_some() {
        return Ok(0);
    }
    let ended = "DELETE FROM trs_attempts WHERE bucket = ? AND ends <= ?";
    let _ = sqlx::query(ended).bind(key.bucket).bind(now).execute(&mut *connection).await?;
    let displaced = "DELETE FROM trs_attempts WHERE bucket = ?1 AND tag = \
        (SELECT tag FROM trs_attempts WHERE bucket = ?1 AND tag NOT IN (?3, ?4, ?5, ?6, ?7) \
        ORDER BY failures, ends LIMIT 1) \
        AND (SELECT count(*) FROM trs_attempts WHERE bucket = ?1) >= ?2 RETURNING failures";
    let mut displaced = sqlx::query(displaced).bind(key.bucket).bind(write.ways);
    let own: Vec<_> = write.keys().collect();
    for place in 0..5 {
        displaced = displaced.bind(own.get(place).unwrap_or(key).tag.to_vec());
    }
    let displaced = displaced.fetch_optional(connection).await?;
    let failures = displaced.map(|row| row.try_get::<i64, _>(0)).transpose()?;
    Ok(failures.map_or(0, |failures| u32::try_from(failures).unwrap_or(u32::MAX)))
}

async fn put(
    connection: &mut SqliteConnection,
    key: &AttemptKey,
    row: AttemptRow,
) -> Result<(), sqlx::Error> {
    let query = "INSERT INTO trs_attempts (bucket, tag, failures, since, opens, ends) \
        VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (bucket, tag) DO UPDATE SET \
        failures = excluded.failures, since = excluded.since, opens = excluded.opens, \
        ends = excluded.ends";
    let query = sqlx::query(query).bind(key.bucket).bind(key.tag.as_slice()).bind(row.failures);
    let query = query.bind(row.since.cast_signed()).bind(row.opens.cast_signed());
    query.bind(row.ends.cast_signed()).execute(connection).await.map(|_| ())
}
