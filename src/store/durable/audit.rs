//! `Audit` of a database with Redis in front: the rows, and each copy compared with its row.
//!
//! A row is read first, then the journal, then the copy. A commit without a push has its journal
//! row until it is pushed. So the copy of a session that is not in the journal is at least as new
//! as the row that was read before; a newer one is no longer newer at the second look.

use std::collections::HashSet;

use crate::{
    clock::{compared::Whose, timestamp::Timestamp},
    error::Error,
    session::{record::Record, token::SessionId},
    store::{
        Store as _, StoreFuture,
        audit::{Area, Audit, Audited, Copies, Kind, Obstacle, Own, Places, Subject, Suspicion},
        cursor::Cursor,
        database::{Row, Snapshot},
        durable::maintenance::DurableMaintenance,
        redis::copies::Found,
    },
};

/// Journal rows that are read. With more, copies are not compared.
const PENDING_MAX: usize = 10_000;

const NOT_COMPARED: &str =
    "copies not compared: over 10,000 changes that redis has not confirmed, or a new generation";

impl DurableMaintenance {
    async fn examine(&self, keys: &[Vec<u8>]) -> Result<Audited, Error> {
        let epoch = self.database().epoch().await?;
        let mut found = self.redis.examine(keys, epoch.generation).await?;
        let ids: Vec<SessionId> = found.sessions.iter().map(|(id, _)| *id).collect();
        if ids.is_empty() {
            return Ok(audited(keys.len() as u64, found.suspicions));
        }
        let Snapshot { rows, .. } = self.database().snapshot(&ids).await?;
        let polled = self.database().poll(PENDING_MAX).await?;
        let copies = self.redis.read_copies(epoch.generation, &ids).await?;
        // A new generation discards them all.
        let comparable =
            polled.journal.len() <= PENDING_MAX && polled.epoch.generation == epoch.generation;
        let not_compared = (!comparable).then_some(NOT_COMPARED);
        if comparable {
            let pending: HashSet<SessionId> = polled.journal.iter().map(|(id, _)| *id).collect();
            for (((id, key), row), copy) in found.sessions.into_iter().zip(rows).zip(copies) {
                if pending.contains(&id) {
                    continue;
                }
                found.suspicions.extend(compare(row, copy).map(|(kind, seen)| Suspicion {
                    kind,
                    subject: Subject::session(id),
                    seen,
                    place: key,
                }));
            }
        }
        Ok(Audited { not_compared, ..audited(keys.len() as u64, found.suspicions) })
    }

    async fn page_of_keys(&self, after: Option<&Cursor>) -> Result<Audited, Error> {
        let (next, keys) = self.redis.scan(after).await?;
        Ok(Audited { next, ..self.examine(&keys).await? })
    }

    async fn obstacle_of_copies(&self) -> Result<Option<Obstacle>, Error> {
        let epoch = self.database().epoch().await?;
        let link = self.redis.link().await?;
        if *epoch.incarnation == *link.peer().incarnation().as_str() {
            return Ok(None);
        }
        let none = "no service has used this redis with this database yet: start it first";
        let other = "the copies are those of another redis, another prefix, or this redis before a \
                     restart: an instance with these variables invalidates them";
        Ok(Some(match epoch.incarnation.is_empty() {
            true => Obstacle { finding: None, text: none },
            false => Obstacle { finding: Some(Kind::CopiesOfAnotherRedis), text: other },
        }))
    }

    async fn forget_all(&self, own: &Own) -> Result<(), Error> {
        let forgotten = self.database().forget(own).await;
        // Keys in Redis expire, and rows do not: both are deleted as far as possible.
        let epoch = self.database().epoch().await?;
        self.redis.delete(epoch.generation, &own.ids).await?;
        forgotten
    }
}

fn audited(examined: u64, suspicions: Vec<Suspicion>) -> Audited {
    Audited { examined, suspicions, ..Audited::default() }
}

/// The contradiction between a row and its copy, and what shows it.
fn compare(row: Option<Result<Row, Error>>, copy: Found) -> Option<(Kind, u64)> {
    let copy = match (copy, &row) {
        (Found::Copy { record, .. }, _) => record,
        (Found::Unreadable, _) => return Some((Kind::Unreadable, 0)),
        // A note that there is nothing.
        (Found::Absent, Some(Ok(row))) if row.alive && row.replaces.is_none() => {
            return Some((Kind::CopyOlder, row.record.version()));
        }
        (Found::Absent | Found::Nothing, _) => return None,
    };
    let row = match row {
        Some(Ok(row)) if row.alive => row,
        // An unreadable row is found by its own id.
        Some(Err(_)) => return None,
        _ => return Some((Kind::CopyOfEndedSession, copy.version())),
    };
    let (ours, theirs) = (row.record.version(), copy.version());
    let kind = match theirs.cmp(&ours) {
        // The next request with the new id finishes the renewal, and ends the other one's copy.
        _ if row.replaces.is_some() => return None,
        std::cmp::Ordering::Less => Kind::CopyOlder,
        std::cmp::Ordering::Greater => Kind::CopyNewer,
        std::cmp::Ordering::Equal if is_same(&row.record, &copy) => return None,
        std::cmp::Ordering::Equal => Kind::CopyDiffers,
    };
    Some((kind, theirs))
}

/// Activity reaches the database late.
fn is_same(row: &Record, copy: &Record) -> bool {
    let mut row = row.clone();
    row.last_activity = copy.last_activity;
    row.deadlines.idle_deadline = copy.deadlines.idle_deadline;
    row == *copy
}

impl Audit for DurableMaintenance {
    fn areas(&self) -> &'static [Area] {
        &[Area::Rows, Area::Keys]
    }

    fn obstacle(&self) -> StoreFuture<'_, Option<Obstacle>> {
        Box::pin(self.obstacle_of_copies())
    }

    fn clocks(&self) -> Vec<(&'static str, i64)> {
        let ahead = |name, whose| self.compared.ahead(whose).map(|ahead| (name, ahead));
        let both = [ahead("redis", Whose::Redis), ahead("database", Whose::Database)];
        both.into_iter().flatten().collect()
    }

    fn page<'a>(&'a self, area: Area, after: Option<&'a Cursor>) -> StoreFuture<'a, Audited> {
        let longer = self.store.engine.parameters.stretch;
        match area {
            Area::Rows => Box::pin(self.database().examine_after(after, longer)),
            Area::Keys => Box::pin(self.page_of_keys(after)),
        }
    }

    fn again<'a>(&'a self, area: Area, places: &'a Places) -> StoreFuture<'a, Vec<Suspicion>> {
        match area {
            Area::Rows => Box::pin(self.database().examine_again(places)),
            Area::Keys => Box::pin(async move {
                let keys: Vec<_> = places.iter().cloned().collect();
                self.examine(&keys).await.map(|audited| audited.suspicions)
            }),
        }
    }

    fn pending(&self) -> StoreFuture<'_, Vec<(SessionId, u64)>> {
        Box::pin(async move { Ok(self.database().poll(PENDING_MAX).await?.journal) })
    }

    fn overdue(&self, last_write: Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(self.database().count_overdue(last_write, self.store.engine.parameters.stretch))
    }

    fn purge_nothing(&self) {
        self.database().purge_nothing();
    }

    fn forget<'a>(&'a self, own: &'a Own) -> StoreFuture<'a, ()> {
        Box::pin(self.forget_all(own))
    }

    fn copies(&self) -> Option<&dyn Copies> {
        Some(self)
    }
}

impl Copies for DurableMaintenance {
    fn cut(&self, cut: bool) {
        self.store.engine.cache.cut(cut);
    }

    fn are_trusted(&self) -> bool {
        let health = self.store.health();
        let trusted = health.copies.is_some_and(|copies| copies.trusted);
        trusted && health.redis.is_some_and(|redis| redis.answers)
    }

    fn version<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<u64>> {
        Box::pin(async move {
            let epoch = self.database().epoch().await?;
            let found = self.redis.read_copies(epoch.generation, std::slice::from_ref(id)).await?;
            Ok(found.into_iter().find_map(|found| match found {
                Found::Copy { record, .. } => Some(record.version()),
                _ => None,
            }))
        })
    }
}
