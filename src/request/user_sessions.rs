//! All sessions of one user: listing, revocation, clearing the platform.

use std::{sync::Arc, time::Duration};

use crate::{
    error::{Error, ErrorKind},
    request::{
        commit::{Settled, save_settled},
        shared::Backend,
    },
    session::{
        impersonation::without_platform,
        info::SessionInfo,
        page::{SessionCursor, SessionPage},
        record::Record,
        token::SessionId,
    },
    store::SaveOutcome,
    sync::{backoff::Backoff, carried::Carried},
    telemetry::{
        cause::By,
        event::{Event, EventDevice},
    },
};

/// Maximum number of sessions in a page.
const PAGE_MAX: usize = 1_000;
/// Attempts to read the list of a user's sessions: repeated while some move concurrently.
const LIST_ATTEMPTS: u32 = 8;
/// Pauses between attempts that found a session moving.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(1_280));

impl Backend {
    /// [`revoke`](Self::revoke), completing even if the caller is dropped.
    pub(crate) fn revoke_surely(
        self: &Arc<Self>,
        user: &str,
        id: &SessionId,
        by: By,
    ) -> Carried<Result<bool, Error>> {
        let (backend, user, id) = (Arc::clone(self), user.to_owned(), *id);
        let work = async move { backend.revoke(&user, &id, &by).await };
        Carried::new(self.tracker.track_future(work))
    }

    /// Ends every session of a user except `keep`; completes even if the caller is dropped.
    pub(crate) fn revoke_all_surely(
        self: &Arc<Self>,
        user: &str,
        keep: Option<SessionId>,
        by: By,
    ) -> Carried<Result<u64, Error>> {
        let (backend, user) = (Arc::clone(self), user.to_owned());
        Carried::new(self.tracker.track_future(async move {
            backend.bar_old_sessions(&user).await?;
            let count = backend.store.revoke_all(&user, keep.as_ref()).await?;
            // Connections of all layers on this store hear of it.
            let By { cause, actor } = by;
            backend.events.emit(Event::RevokedAll { user, count, cause, actor });
            Ok(count)
        }))
    }

    /// The live sessions of a user, the latest sign-in first.
    pub(crate) async fn sessions_of(
        &self,
        user: &str,
        current: Option<SessionId>,
    ) -> Result<Vec<SessionInfo>, Error> {
        let now = self.clock.now();
        let mut found = self.store.sessions_of(user).await?;
        found.retain(|(_, record)| !record.deadlines.is_over(now));
        found.sort_unstable_by_key(|(id, record)| (std::cmp::Reverse(record.created), *id));
        Ok(found.iter().map(|(id, record)| SessionInfo::of(*id, record, current)).collect())
    }

    /// A page of them, after `after`.
    pub(crate) async fn sessions_page(
        &self,
        user: &str,
        current: Option<SessionId>,
        after: Option<&SessionCursor>,
        limit: usize,
    ) -> Result<SessionPage, Error> {
        if !(1..=PAGE_MAX).contains(&limit) {
            let text = format!("a page has 1 to {PAGE_MAX} sessions");
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        let now = self.clock.now();
        let found = self.store.sessions_page(user, after, limit).await?;
        let last = found.last().filter(|_| found.len() == limit);
        let next = last.map(|(id, record)| SessionCursor::new(record.created, *id));
        let alive = found.iter().filter(|(_, record)| !record.deadlines.is_over(now));
        let sessions = alive.map(|(id, record)| SessionInfo::of(*id, record, current)).collect();
        Ok(SessionPage { sessions, next })
    }

    /// Ends one session of a user; the user of an id never changes.
    pub(super) async fn revoke(&self, user: &str, id: &SessionId, by: &By) -> Result<bool, Error> {
        let mut found = match self.store.load(id).await {
            Ok(found) => found,
            // Its user is unknown, and it opens no session.
            Err(error) if error.is_unreadable() => None,
            Err(error) => return Err(error),
        };
        // At the version that was read: if the session has moved concurrently, it is followed to
        // its new id.
        while let Some(record) = found.filter(|record| record.user() == Some(user)) {
            if record.moved_to().is_some() {
                let ended = self.store.delete(id).await?;
                if ended {
                    self.tell_of_revocation(*id, &record, by);
                }
                return Ok(ended);
            }
            found = match self.store.delete_version(id, record.version()).await? {
                SaveOutcome::Saved => {
                    self.tell_of_revocation(*id, &record, by);
                    return Ok(true);
                }
                SaveOutcome::Conflict(current) => Some(current),
                SaveOutcome::Unknown(cause) => return Err(cause),
                // It has ended or moved concurrently.
                _ => self.store.load(id).await?.filter(|record| record.moved_to().is_some()),
            };
        }
        Ok(false)
    }

    pub(super) fn tell_of_revocation(&self, id: SessionId, record: &Record, by: &By) {
        let user = record.user().unwrap_or_default().to_owned();
        let (device, By { cause, actor }) = (EventDevice::of(record), by.clone());
        self.events.emit(Event::Revoked { id, user, device, cause, actor });
    }
}

impl Backend {
    /// Clears the platform in every live session of a user; returns how many had one. Each session
    /// has its own budget, so their number does not matter.
    pub(crate) async fn clear_platform_of(&self, user: &str) -> Result<u64, Error> {
        let budget = self.rules.budget.saturating_add(self.acknowledgement);
        let (mut cleared, mut backoff) = (0, BACKOFF);
        for _ in 0..LIST_ATTEMPTS {
            let mut moved = false;
            for listed in self.within(budget, self.sessions_of(user, None)).await? {
                let done = self.within(budget, self.clear_platform(user, &listed.id)).await?;
                cleared += u64::from(done == Some(true));
                moved |= done.is_none();
            }
            if !moved {
                return Ok(cleared);
            }
            backoff.pause().await;
        }
        Err(Error::unavailable(
            "some sessions kept moving to new ids and may still have a platform",
        ))
    }

    /// Clears the platform of one session; returns whether it had one, `None` if it has moved to
    /// another id, or is about to. At the version that was read, so that no other change is lost;
    /// repeated on a conflict.
    async fn clear_platform(&self, user: &str, id: &SessionId) -> Result<Option<bool>, Error> {
        let mut found = match self.store.inspect(id).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            // It opens no session, and must not block the others.
            Err(error) if error.is_unreadable() => return Ok(Some(false)),
            Err(error) => return Err(error),
        };
        loop {
            if found.sealed.is_some() {
                return Err(Error::new(ErrorKind::Misconfigured, "records are sealed"));
            }
            if found.moved_to().is_some() {
                return Ok(None);
            }
            let over = found.deadlines.is_over(self.clock.now());
            // Also the platform that is restored when an impersonation ends.
            let values = without_platform(&found.values);
            let none = found.platform.is_none() && values.is_none();
            if over || none || found.user() != Some(user) {
                return Ok(Some(false));
            }
            let writer = self.write_ids.draw()?;
            let version = found.version.saturating_add(1);
            let values = values.unwrap_or_else(|| found.values.clone());
            let without = Record { version, writer, platform: None, values, ..found };
            found = match save_settled(self, id, &without).await? {
                Settled::Saved => return Ok(Some(true)),
                Settled::Conflict(current) => current,
                Settled::Gone | Settled::Taken => return Ok(None),
            };
        }
    }
}
