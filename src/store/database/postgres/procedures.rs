//! Procedure calls, for writes.

use std::time::Duration;

use sqlx::{Row as _, postgres::PgRow};

use crate::{
    clock::timestamp::Timestamp,
    error::Error,
    store::database::{
        postgres::{
            Postgres,
            batch::{Lines, outcomes},
            failure::is_full,
            options::limits,
        },
        row::{Epoch, corrupt, millis, moved_kept},
        write::{Batch, Executed, Failed, Purged, WriteFault},
    },
};

const CALL: &str = "CALL trs_write_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
    $15, $16, $17, $18, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";

impl Postgres {
    pub(in crate::store::database) async fn execute(
        &self,
        batch: &Batch,
        now: Timestamp,
    ) -> Result<Executed, Failed> {
        let lines = Lines::of(&batch.writes);
        let cleared: Vec<_> = batch.clears.iter().map(|(id, _)| id.to_string()).collect();
        let up_to: Vec<_> = batch.clears.iter().map(|(_, version)| version.cast_signed()).collect();
        // Below our own timeout, so that the server's error arrives: nothing was stored.
        let lock_timeout = limits(self.timeout)[1].to_string();
        let call = || {
            self.server
                .lone_statement(CALL)
                .bind(&lines.writes)
                .bind(&lines.ids)
                .bind(&lines.others)
                .bind(&lines.expected)
                .bind(&lines.versions)
                .bind(&lines.created)
                .bind(&lines.activities)
                .bind(&lines.deadlines)
                .bind(&lines.ends)
                .bind(&lines.users)
                .bind(&lines.epochs)
                .bind(&lines.limits)
                .bind(&lines.bodies)
                .bind(&cleared)
                .bind(&up_to)
                .bind(self.journal)
                .bind(millis(now))
                .bind(&lock_timeout)
        };
        let rows = self.tell(&self.requests, call).await.map_err(|failure| {
            let for_one = failure.for_one;
            Failed { fault: failure.into(), for_one }
        })?;
        Ok(executed(&rows, batch.writes.len())?)
    }

    pub(in crate::store::database) async fn bump(
        &self,
        from: &Epoch,
        to: &Epoch,
    ) -> Result<bool, WriteFault> {
        let bump = || {
            self.server
                .statement("SELECT trs_bump_1($1, $2, $3, $4)")
                .bind(from.generation.cast_signed())
                .bind(to.seq.cast_signed())
                .bind(to.generation.cast_signed())
                .bind(&*to.incarnation)
        };
        // A new generation ends an overload.
        let rows = self.tell(self.watch(), bump).await?;
        let bumped = rows.first().and_then(|row| row.try_get(0).ok());
        bumped.ok_or_else(|| WriteFault::Unknown(corrupt()))
    }

    /// By the server's clock.
    pub(in crate::store::database) async fn purge(
        &self,
        kept: Duration,
        limit: i64,
    ) -> Result<Purged, Error> {
        // A row being written need not be purged, nor its lock be waited for.
        let query = "WITH past AS MATERIALIZED \
            (SELECT (extract(epoch FROM now()) * 1000)::bigint - $1 AS until), \
            purged AS (DELETE FROM trs_sessions WHERE id IN (SELECT id FROM trs_sessions \
            WHERE ends < (SELECT until FROM past) ORDER BY ends LIMIT $2 \
            FOR UPDATE SKIP LOCKED) RETURNING 1), \
            forgotten AS (DELETE FROM trs_users WHERE user_id IN (SELECT user_id FROM trs_users \
            WHERE epoch < (SELECT until FROM past) ORDER BY epoch LIMIT $2 \
            FOR UPDATE SKIP LOCKED) RETURNING 1), \
            emptied AS (UPDATE trs_sessions SET body = '' WHERE id IN (SELECT id FROM trs_sessions \
            WHERE moved_to IS NOT NULL AND body <> '' \
            AND ends < (SELECT until + $1 - $3 FROM past) ORDER BY ends LIMIT $2 \
            FOR UPDATE SKIP LOCKED) RETURNING 1), \
            recovered AS (DELETE FROM trs_attempts WHERE (bucket, tag) IN \
            (SELECT bucket, tag FROM trs_attempts WHERE ends <= (SELECT until + $1 FROM past) \
            ORDER BY ends LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1) \
            SELECT (SELECT count(*) FROM purged), (SELECT count(*) FROM forgotten), \
            (SELECT count(*) FROM recovered)";
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let purge = || self.server.statement(query).bind(kept).bind(limit).bind(moved_kept());
        let rows = self.tell(&self.requests, purge).await.map_err(|failure| failure.error)?;
        let count = |place: usize| {
            let count = rows.first().and_then(|row| row.try_get::<i64, _>(place).ok());
            count.map_or(0, i64::cast_unsigned)
        };
        Ok(Purged { sessions: count(0), users: count(1), attempts: count(2) })
    }
}

impl Postgres {
    /// Whether the disk is full.
    #[allow(clippy::unused_self, reason = "the same shape as the other database")]
    pub(in crate::store::database) fn is_full(&self, error: &Error) -> bool {
        is_full(error)
    }

    /// Releases the reserved space, for logouts on a full disk.
    pub(in crate::store::database) async fn make_room(&self) -> Result<(), WriteFault> {
        let make = || self.server.statement("SELECT trs_make_room_1()");
        Ok(self.tell(self.watch(), make).await.map(drop)?)
    }

    /// Reserves the space again that was released.
    pub(in crate::store::database) async fn reserve(&self) -> Result<(), Error> {
        let reserve = || self.server.statement("SELECT trs_reserve_1()");
        self.tell(self.watch(), reserve).await.map(drop).map_err(|failure| failure.error)
    }
}

/// The procedure's result for `count` writes.
fn executed(rows: &[PgRow], count: usize) -> Result<Executed, WriteFault> {
    let row = rows.first().ok_or_else(|| WriteFault::Unknown(corrupt()))?;
    // Committed by now; an unreadable result leaves the outcome of each write unknown.
    let outcomes = outcomes(row, count);
    let outcomes = outcomes.map_err(|error| WriteFault::Unknown(corrupt().with_source(error)))?;
    Ok(Executed { outcomes, epoch: epoch(row) })
}

fn epoch(row: &PgRow) -> Option<Epoch> {
    let seq: Option<i64> = row.try_get(8).ok()?;
    Some(Epoch::of(seq?, row.try_get(9).ok()?, row.try_get(10).ok()?))
}
