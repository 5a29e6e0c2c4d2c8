//! `Audit` of a database: columns and records agree, and ended sessions are deleted.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    clock::timestamp::Timestamp,
    error::Error,
    session::{record::Record, token::SessionId},
    store::{
        StoreFuture,
        audit::{
            Area, Audit, Audited, Ends, Kind, Obstacle, Own, Places, Subject, Suspicion, entry_of,
        },
        cursor::Cursor,
        database::{
            Database, DatabaseStore,
            access::ROW_KEPT,
            row::{StoredRow, millis, time},
            write::column_of,
        },
    },
};

/// Rows per page.
const PAGE: usize = 1_000;
/// How much later than due a row may be deleted: a purge runs once a minute, and for at most half a
/// minute.
const SLACK: Duration = Duration::from_secs(10 * 60);

/// Rows that ended before this time were due to be deleted at `now`; `longer` as for a purge.
fn due(now: Timestamp, longer: Duration) -> Timestamp {
    let kept = u64::try_from(kept(longer).as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(kept))
}

fn kept(longer: Duration) -> Duration {
    ROW_KEPT.saturating_add(longer).saturating_add(SLACK)
}

impl Database {
    /// The rows after `after`, examined.
    pub(crate) async fn examine_after(
        &self,
        after: Option<&Cursor>,
        longer: Duration,
    ) -> Result<Audited, Error> {
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let rows = self.engine().stored_after(Cursor::row(after), limit).await?;
        let next = rows.last().filter(|_| rows.len() >= PAGE);
        let next = next.map(|row| Cursor::Row(row.id.clone()));
        let now = self.poll(0).await?.now;
        let mut audited = Audited { examined: rows.len() as u64, next, ..Audited::default() };
        for row in &rows {
            audited.suspicions.extend(suspicion(row));
            audited.ends.add(ends(row, now, longer));
        }
        Ok(audited)
    }

    pub(crate) async fn examine_again(&self, places: &Places) -> Result<Vec<Suspicion>, Error> {
        let ids: Vec<String> =
            places.iter().filter_map(|id| String::from_utf8(id.clone()).ok()).collect();
        Ok(self.engine().stored(&ids).await?.iter().filter_map(suspicion).collect())
    }

    pub(crate) async fn count_overdue(
        &self,
        last_write: Timestamp,
        longer: Duration,
    ) -> Result<u64, Error> {
        self.engine().overdue(millis(due(last_write, longer))).await
    }

    pub(crate) async fn forget(&self, own: &Own) -> Result<(), Error> {
        let ids: Vec<String> = own.ids.iter().map(ToString::to_string).collect();
        self.engine().forget(&ids, &column_of(&own.user), own.bucket).await
    }
}

/// What is wrong with a row.
fn suspicion(row: &StoredRow) -> Option<Suspicion> {
    let id: Option<SessionId> = row.id.parse().ok();
    let of = |kind, subject| Suspicion {
        kind,
        subject,
        seen: row.version.cast_unsigned(),
        place: row.id.clone().into_bytes(),
    };
    let Some(id) = id else { return Some(of(Kind::Unreadable, Subject::default())) };
    if !row.alive {
        // What a session was before it moved is kept for a while.
        let kept = !row.moved && !row.head.is_empty();
        return kept.then(|| of(Kind::EndedRecordKept, Subject::session(id)));
    }
    if row.moved || row.head.is_empty() {
        let subject = Subject { id: Some(id), user: row.user.clone() };
        return Some(of(Kind::EndedSessionInIndex, subject));
    }
    let version = row.version.cast_unsigned();
    let Ok(record) = Record::head_from_bytes(version, Bytes::from(row.head.clone())) else {
        return Some(of(Kind::Unreadable, Subject::session(id)));
    };
    let subject = Subject { id: Some(id), user: record.user().map(str::to_owned) };
    let kind = match (&row.user, record.user().map(column_of)) {
        (None, None) => None,
        (None, Some(_)) => Some(Kind::NotInIndex),
        (Some(column), Some(user)) if *column == user => {
            entry_of(record.user().unwrap_or_default(), time(row.created), &record)
        }
        (Some(_), _) => Some(Kind::IndexEntryOfAnotherUser),
    };
    kind.map(|kind| of(kind, subject))
}

fn ends(row: &StoredRow, now: Timestamp, longer: Duration) -> Ends {
    // Of an ended session the time at which it ended.
    let last_write = time(if row.alive { row.created } else { row.ends }).min(now);
    let is_overdue = time(row.ends) < due(now, longer);
    Ends {
        overdue: u64::from(is_overdue),
        first_due: is_overdue.then(|| time(row.ends).saturating_add(kept(longer))),
        last_write: Some(last_write),
    }
}

impl Audit for DatabaseStore {
    fn areas(&self) -> &'static [Area] {
        &[Area::Rows]
    }

    fn obstacle(&self) -> StoreFuture<'_, Option<Obstacle>> {
        Box::pin(async move {
            let epoch = self.database.epoch().await?;
            let text = "a service with redis in front uses this database: set SESSION_STORAGE to \
                        durable, or start the service without redis first";
            Ok((!epoch.incarnation.is_empty())
                .then_some(Obstacle { finding: Some(Kind::CopiesOfAnotherRedis), text }))
        })
    }

    fn clocks(&self) -> Vec<(&'static str, i64)> {
        self.clock_check.ahead().map(|ahead| ("database", ahead)).into_iter().collect()
    }

    fn page<'a>(&'a self, _: Area, after: Option<&'a Cursor>) -> StoreFuture<'a, Audited> {
        Box::pin(self.database.examine_after(after, Duration::ZERO))
    }

    fn again<'a>(&'a self, _: Area, places: &'a Places) -> StoreFuture<'a, Vec<Suspicion>> {
        Box::pin(self.database.examine_again(places))
    }

    fn overdue(&self, last_write: Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(self.database.count_overdue(last_write, Duration::ZERO))
    }

    fn purge_nothing(&self) {
        self.database.purge_nothing();
    }

    fn forget<'a>(&'a self, own: &'a Own) -> StoreFuture<'a, ()> {
        Box::pin(self.database.forget(own))
    }
}
