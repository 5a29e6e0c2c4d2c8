//! The calls that write.

use sqlx::{Row as _, postgres::PgRow};

use super::Postgres;
use crate::{
    error::Error,
    store::database::{
        row::{Columns, Epoch, corrupt, millis},
        write::{Batch, Executed, Fresh, Write, WriteFault, Written},
    },
    timestamp::Timestamp,
};

const CALL: &str = "CALL trs_write_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
    $15, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";

impl Postgres {
    pub(in crate::store::database) async fn execute(
        &self,
        batch: &Batch,
        now: Timestamp,
    ) -> Result<Executed, WriteFault> {
        let lines = Lines::of(&batch.writes);
        let cleared: Vec<_> = batch.clears.iter().map(|(id, _)| id.to_string()).collect();
        let up_to: Vec<_> = batch.clears.iter().map(|(_, version)| version.cast_signed()).collect();
        // Below our own limit, so that the server's word is heard: nothing was stored.
        let lock_timeout = self.timeout / 2;
        let call = sqlx::query(CALL)
            .bind(&lines.writes)
            .bind(&lines.ids)
            .bind(&lines.others)
            .bind(&lines.expected)
            .bind(&lines.versions)
            .bind(&lines.activities)
            .bind(&lines.deadlines)
            .bind(&lines.ends)
            .bind(&lines.users)
            .bind(&lines.bodies)
            .bind(&cleared)
            .bind(&up_to)
            .bind(self.journal)
            .bind(millis(now))
            .bind(lock_timeout.as_millis().to_string());
        let rows = self.call(self.deadline(), call).await?;
        let row = rows.first().ok_or_else(|| WriteFault::Unknown(corrupt()))?;
        // Committed by now; an answer that cannot be read leaves open what came of each write.
        let outcomes = outcomes(row, batch.writes.len());
        let outcomes = outcomes.map_err(|error| WriteFault::Unknown(corrupt().because(error)))?;
        Ok(Executed { outcomes, epoch: epoch(row) })
    }

    pub(in crate::store::database) async fn bump(
        &self,
        from: &Epoch,
        to: &Epoch,
    ) -> Result<bool, WriteFault> {
        let bump = sqlx::query("SELECT trs_bump_1($1, $2, $3, $4)")
            .bind(from.generation.cast_signed())
            .bind(to.seq.cast_signed())
            .bind(to.generation.cast_signed())
            .bind(&*to.incarnation);
        let rows = self.call(self.deadline(), bump).await?;
        let bumped = rows.first().and_then(|row| row.try_get(0).ok());
        bumped.ok_or_else(|| WriteFault::Unknown(corrupt()))
    }

    pub(in crate::store::database) async fn purge(
        &self,
        before: Timestamp,
        limit: i64,
    ) -> Result<u64, Error> {
        // A row that is written just now is no row to purge, and its lock none to wait for.
        let query = "WITH purged AS (DELETE FROM trs_sessions WHERE id IN \
            (SELECT id FROM trs_sessions WHERE ends < $1 ORDER BY ends LIMIT $2 \
            FOR UPDATE SKIP LOCKED) RETURNING 1) SELECT count(*) FROM purged";
        let purge = sqlx::query(query).bind(millis(before)).bind(limit);
        let rows = self.call(self.deadline(), purge).await.map_err(|failure| failure.error)?;
        let purged = rows.first().and_then(|row| row.try_get::<i64, _>(0).ok());
        Ok(purged.map_or(0, i64::cast_unsigned))
    }
}

/// A batch by columns, as the procedure takes it.
#[derive(Default)]
struct Lines {
    writes: Vec<i16>,
    ids: Vec<String>,
    others: Vec<Option<String>>,
    expected: Vec<Option<i64>>,
    versions: Vec<Option<i64>>,
    activities: Vec<Option<i64>>,
    deadlines: Vec<Option<i64>>,
    ends: Vec<Option<i64>>,
    users: Vec<Option<String>>,
    bodies: Vec<Option<Vec<u8>>>,
}

impl Lines {
    fn of(writes: &[Write]) -> Self {
        let mut lines = Self::default();
        for write in writes {
            lines.ids.push(write.id().to_string());
            lines.push(write);
        }
        lines
    }

    fn push(&mut self, write: &Write) {
        let (number, other, expected, record) = match write {
            Write::Create { record, .. } => (0, None, None, Some(record)),
            Write::Save { expected, record, .. } => (1, None, Some(*expected), Some(record)),
            Write::Delete { expected, .. } => (2, None, *expected, None),
            Write::Move { expected, new, record, .. } => {
                (3, Some(new), Some(*expected), Some(record))
            }
            Write::Begin { expected, new, record, .. } => {
                (4, Some(new), Some(*expected), Some(record))
            }
            Write::Finish { expected, new, .. } => (5, Some(new), *expected, None),
            Write::Touch { version, activity, .. } => {
                self.activities.push(Some(millis(activity.last_activity)));
                self.deadlines.push(Some(millis(activity.idle_deadline)));
                self.ends.push(Some(millis(activity.end)));
                self.versions.push(Some(version.cast_signed()));
                (6, None, None, None)
            }
        };
        self.writes.push(number);
        self.others.push(other.map(ToString::to_string));
        self.expected.push(expected.map(u64::cast_signed));
        let fresh = record.map(Fresh::of);
        if number != 6 {
            self.versions.push(fresh.as_ref().map(|fresh| fresh.version));
            self.activities.push(fresh.as_ref().map(|fresh| fresh.last_activity));
            self.deadlines.push(fresh.as_ref().map(|fresh| fresh.idle_deadline));
            self.ends.push(fresh.as_ref().map(|fresh| fresh.ends));
        }
        let (user, body) = fresh.map_or((None, None), |fresh| (fresh.user, Some(fresh.body)));
        self.users.push(user);
        self.bodies.push(body);
    }
}

fn outcomes(row: &PgRow, count: usize) -> Result<Vec<Result<Written, Error>>, sqlx::Error> {
    let codes: Vec<i16> = row.try_get(0)?;
    let versions: Vec<Option<i64>> = row.try_get(1)?;
    let activities: Vec<Option<i64>> = row.try_get(2)?;
    let deadlines: Vec<Option<i64>> = row.try_get(3)?;
    let bodies: Vec<Option<Vec<u8>>> = row.try_get(4)?;
    let replaced: Vec<Option<String>> = row.try_get(5)?;
    if codes.len() != count {
        return Err(sqlx::Error::Protocol("an answer for another number of writes".into()));
    }
    let columns = codes.into_iter().zip(versions).zip(activities).zip(deadlines).zip(bodies);
    let columns = columns.zip(replaced);
    let outcomes = columns.map(|(columns, replaced)| {
        let ((((code, version), last_activity), idle_deadline), body) = columns;
        let version = version.unwrap_or_default();
        match code {
            0 => Ok(Written::Done {
                version: version.cast_unsigned(),
                replaced: replaced.and_then(|id| id.parse().ok()),
            }),
            1 => {
                let last_activity = last_activity.unwrap_or_default();
                let idle_deadline = idle_deadline.unwrap_or_default();
                let (body, alive) = (body.unwrap_or_default(), true);
                let columns =
                    Columns { version, alive, last_activity, idle_deadline, replaces: None, body };
                Ok(Written::Conflict(columns.row()?.record))
            }
            3 => Ok(Written::Taken),
            _ => Ok(Written::Gone),
        }
    });
    Ok(outcomes.collect())
}

fn epoch(row: &PgRow) -> Option<Epoch> {
    let seq: Option<i64> = row.try_get(6).ok()?;
    Some(Epoch::of(seq?, row.try_get(7).ok()?, row.try_get(8).ok()?))
}
