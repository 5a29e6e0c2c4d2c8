//! Read path: a trusted copy, else the database, which then fills the copy.
//!
//! Specified in `docs/protocol.md`, section 3.2.

use crate::{
    clock::moment::Moment,
    error::{Error, ErrorKind},
    session::{page::SessionCursor, record::Record, token::SessionId},
    store::{
        database::Row,
        durable::engine::Engine,
        redis::copies::{Fault, Found, Lease, Link},
    },
    telemetry::instruments::{CopyRead, copy_read},
};

/// Result of a lookup in Redis.
#[allow(clippy::large_enum_variant, reason = "a box would cost each read an allocation")]
enum Copy {
    Found(Record),
    /// The copy has expired.
    Over,
    /// The database had no row when it was read a moment ago.
    Absent,
    /// No copy, and the lease if it was acquired.
    Missing(Option<Fill>),
    /// The copy is not trusted, or Redis is unavailable.
    Doubtful,
}

impl Copy {
    const fn read(&self) -> CopyRead {
        match self {
            Self::Found(_) => CopyRead::Hit,
            Self::Over => CopyRead::Expired,
            Self::Absent => CopyRead::Absent,
            Self::Missing(_) => CopyRead::Miss,
            Self::Doubtful => CopyRead::Bypassed,
        }
    }
}

/// The right to create a copy of a row that is read after this.
pub(super) struct Fill {
    pub(super) link: Link,
    pub(super) generation: u64,
    pub(super) lease: Lease,
}

impl Engine {
    pub(super) async fn load(&self, id: &SessionId) -> Result<Option<Record>, Error> {
        let copy = self.copy(id).await;
        copy_read(copy.read());
        let fill = match copy {
            Copy::Found(record) => return Ok(Some(record)),
            Copy::Absent => return Ok(None),
            Copy::Over => return Box::pin(self.load_over(id)).await,
            Copy::Missing(fill) => fill,
            Copy::Doubtful => return self.load_without_redis(id).await,
        };
        let row = self.read(id).await?;
        match (fill, &row) {
            // Moved.
            (_, Some(row)) if !row.alive => self.shows_as_ended(id),
            (Some(fill), Some(row)) => self.fill(fill, *id, row),
            (fill, None) => Box::pin(self.nothing_there(fill, id)).await,
            (None, Some(_)) => {}
        }
        Ok(row.map(Row::into_record))
    }

    /// Reads the database only, and finishes no renewal.
    pub(super) async fn peek(&self, id: &SessionId) -> Result<Option<Record>, Error> {
        let asked = self.now();
        let row = self.database().read(id).await;
        self.database_said(asked, row.as_ref().err().filter(|error| is_away(error)));
        Ok(row?.and_then(Row::living).filter(|row| row.replaces.is_none()).map(|row| row.record))
    }

    /// Reads the database, or if that is unreachable, the copy in Redis.
    async fn load_without_redis(&self, id: &SessionId) -> Result<Option<Record>, Error> {
        let away = !self.stores.database().is_closed();
        // Before expiry is judged by a clock that was never compared.
        if !away && self.database().has_a_clock() && self.compared.is_unknown() {
            let _ = self.poll(1).await;
        }
        if away && let Some(record) = self.stretched(id).await {
            return Ok(Some(record));
        }
        match self.read(id).await {
            Err(error) if is_away(&error) && !away => {
                self.stretched(id).await.map(Some).ok_or(error)
            }
            result => {
                let row = result?;
                if row.as_ref().is_none_or(|row| !row.alive) {
                    self.shows_as_ended(id);
                }
                Ok(row.map(Row::into_record))
            }
        }
    }

    async fn copy(&self, id: &SessionId) -> Copy {
        if !self.stores.redis().is_closed() {
            return Copy::Doubtful;
        }
        let found = self.within_redis(self.ask_redis(id)).await;
        self.redis_said(found.as_ref().err());
        found.unwrap_or(Copy::Doubtful)
    }

    async fn ask_redis(&self, id: &SessionId) -> Result<Copy, Error> {
        match self.ask_once(id).await {
            Err(Fault { lost: true, .. }) => self.ask_once(id).await,
            result => result,
        }
        .map_err(|fault| fault.error)
    }

    /// One round trip, and one more for the lease if there is no copy.
    async fn ask_once(&self, id: &SessionId) -> Result<Copy, Fault> {
        let mut link = self.cache.link().await?;
        let now = self.now();
        let vouched = self.authority.trust().vouched(id, link.peer(), now);
        let Some(generation) = vouched else { return Ok(Copy::Doubtful) };
        match link.get(generation, id).await? {
            Found::Copy { record, .. } if !record.deadlines.is_over(self.clock().now()) => {
                return Ok(Copy::Found(record));
            }
            Found::Copy { behind: false, .. } => return Ok(Copy::Over),
            Found::Copy { .. } | Found::Unreadable => {
                match link.kill(generation, std::slice::from_ref(id)).await {
                    Err(fault) if fault.refused => return Ok(Copy::Missing(None)),
                    killed => killed?,
                }
            }
            Found::Absent => return Ok(Copy::Absent),
            Found::Nothing => {}
        }
        // Acquired before the database is read: a later commit destroys it.
        let Ok(random) = self.write_ids.draw() else { return Ok(Copy::Missing(None)) };
        let lease = link.lease(generation, id, random, self.parameters.fill_lease).await;
        let lease = match lease {
            // A full Redis accepts no copy, and reads continue.
            Err(fault) if fault.refused => None,
            lease => lease?,
        };
        Ok(Copy::Missing(lease.map(|lease| Fill { link, generation, lease })))
    }

    /// Reads Redis while the database cannot confirm the copy.
    async fn stretched(&self, id: &SessionId) -> Option<Record> {
        let asked = async {
            let mut link = self.cache.link().await?;
            // A round that waits for the database checks no server.
            let now = self.now();
            let is_checked = self.authority.trust().is_checked(link.peer(), now);
            if !is_checked {
                link.check(now).await?;
            }
            let (now, stretch) = (self.now(), self.parameters.stretch);
            let vouched = self.authority.trust().stretched(id, link.peer(), now, stretch);
            let Some(generation) = vouched else { return Ok::<_, Fault>(None) };
            match link.get(generation, id).await? {
                Found::Copy { record, .. } => Ok(Some(record)),
                Found::Nothing | Found::Absent | Found::Unreadable => Ok(None),
            }
        };
        self.within_redis(asked).await.ok().flatten()
    }

    /// The list of a user's sessions from the database, with the allowance for activity that has
    /// not reached it.
    pub(super) async fn sessions_of(&self, user: &str) -> Result<Vec<(SessionId, Record)>, Error> {
        let asked = self.now();
        self.listed(asked, self.database().sessions_of(user).await)
    }

    pub(super) async fn sessions_page(
        &self,
        user: &str,
        after: Option<&SessionCursor>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, Error> {
        let asked = self.now();
        self.listed(asked, self.database().sessions_page(user, after, limit).await)
    }

    fn listed(
        &self,
        asked: Moment,
        listed: Result<Vec<(SessionId, Record)>, Error>,
    ) -> Result<Vec<(SessionId, Record)>, Error> {
        self.database_said(asked, listed.as_ref().err().filter(|error| is_away(error)));
        let (mut listed, now) = (listed?, self.clock().now());
        for (_, head) in &mut listed {
            head.allow_for_late_activity(now, |idle| self.touch_interval(idle));
        }
        Ok(listed)
    }

    /// The row of a session whose copy, with activity that the row may lack, is lost.
    async fn read(&self, id: &SessionId) -> Result<Option<Row>, Error> {
        let mut row = self.row(id).await?;
        if let Some(row) = row.as_mut().filter(|row| row.alive)
            && !self.over_ids.contains(id, self.now())
        {
            row.record
                .allow_for_late_activity(self.clock().now(), |idle| self.touch_interval(idle));
        }
        Ok(row)
    }

    /// The row of a session: concurrent callers share one read, and the number of reads is bounded.
    pub(super) async fn row(&self, id: &SessionId) -> Result<Option<Row>, Error> {
        let row = self.loaders.load(*id, async {
            let asked_for = self.stores.database().is_closed();
            // Never closed; bounded by the layer's budget.
            let _turn = self.readers.acquire().await;
            // Became unavailable during the wait: no reason to wait for the same failure.
            if let Some(cause) = self.stores.database().cause_if_open().filter(|_| asked_for) {
                return Err(cause);
            }
            let asked = self.now();
            let row = self.database().read(id).await;
            self.database_said(asked, row.as_ref().err().filter(|error| is_away(error)));
            row
        });
        let Some(mut row) = row.await? else { return Ok(None) };
        if !row.alive {
            // Moved: returned, and never copied.
            return Ok(Some(row));
        }
        if let Some(old) = row.replaces {
            // An unfinished renewal: the old id ends before the new one is used.
            let _ = self.finish_renew(&old, None, id).await?;
            // With what was written under the old id in between.
            let Some(finished) = self.database().read(id).await? else { return Ok(None) };
            let Some(finished) = finished.living() else { return Ok(None) };
            row = finished;
        }
        Ok(Some(row))
    }

    /// Fills the copy in the background.
    fn fill(&self, fill: Fill, id: SessionId, row: &Row) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !row.alive || row.replaces.is_some() || row.record.deadlines.is_over(self.clock().now())
        {
            return;
        }
        let Fill { mut link, generation, lease } = fill;
        let (record, limit) = (row.record.clone(), self.parameters.redis_timeout);
        let behind = record.may_be_behind(self.clock().now());
        #[cfg(feature = "_hooks")]
        let hooks = self.authority.hooks.clone();
        let fill = async move {
            #[cfg(feature = "_hooks")]
            hooks.pass("before-fill").await;
            let filled = link.fill(generation, &id, lease, (&record, behind));
            if let Ok(Err(fault)) = tokio::time::timeout(limit, filled).await {
                tracing::debug!(session.id = %id, error = %fault.error, "copy not created");
            }
        };
        drop(runtime.spawn(self.tracker.track_future(fill)));
    }
}

/// Whether the database fails, not the single record: a password changed there is no better than a
/// cut cable.
pub(super) fn is_away(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Misconfigured)
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { error, refused: false, lost: false }
    }
}
