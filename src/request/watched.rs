//! Sessions watched by live connections of this process, and their ends.

use std::{
    collections::{HashMap, hash_map::Entry},
    mem,
    ops::RangeInclusive,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::timestamp::Timestamp,
    error::Error,
    session::{record::Record, token::SessionId},
};

/// Minimum and maximum interval between two polls.
pub(crate) const INTERVALS: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(3_600);

/// Why a session of a live connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndReason {
    /// It was logged out, revoked or deleted, in this process or on another instance.
    Ended,
    /// Its idle or absolute timeout has passed.
    Expired,
    /// It continues under another id, after a sign-in, a renewal or an impersonation: the client
    /// has a new cookie and may reconnect.
    Moved,
    /// Its stored bytes cannot be decoded.
    Unreadable,
    /// [`end_live_sessions`](crate::RedisSessionLayer::end_live_sessions) or
    /// [`shutdown`](crate::RedisSessionLayer::shutdown) was called.
    Shutdown,
}

/// The end of a session, from [`LiveSession::ended`](crate::context::LiveSession::ended).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct SessionEnd {
    /// Why it has ended.
    pub reason: EndReason,
    /// The session's public id.
    pub id: SessionId,
    /// The signed-in user.
    pub user_id: Option<String>,
}

/// The watched sessions of this process.
#[derive(Default)]
pub(crate) struct Watches {
    watched: Mutex<Watched>,
    pub(super) shutdown: CancellationToken,
    /// No session is watched any more.
    pub(super) idle: Notify,
    /// Some sessions are to be polled early.
    pub(super) hint: Notify,
}

#[derive(Default)]
pub(super) struct Watched {
    sessions: HashMap<SessionId, Entered>,
    /// Whether a task polls.
    pub(super) polled: bool,
}

struct Entered {
    holders: usize,
    user: Option<Box<str>>,
    /// To be polled early.
    due: bool,
    /// The expiry as the store last reported it: beyond it the session ends if the store is
    /// unreachable.
    ends: Timestamp,
    told: watch::Sender<Option<EndReason>>,
}

impl Watches {
    pub(super) fn lock(&self) -> MutexGuard<'_, Watched> {
        // Nothing under this lock can panic halfway.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session with the expiry `ends`, as far as is known.
    pub(super) fn enter(
        &self,
        id: SessionId,
        user: Option<&str>,
        ends: Timestamp,
    ) -> watch::Receiver<Option<EndReason>> {
        match self.lock().sessions.entry(id) {
            Entry::Occupied(mut entry) => {
                let entered = entry.get_mut();
                entered.holders += 1;
                entered.ends = entered.ends.max(ends);
                // Just loaded alive: its end was only assumed while the store was unreachable.
                let _ = entered.told.send_if_modified(|told| {
                    told.take_if(|reason| *reason == EndReason::Expired).is_some()
                });
                entered.told.subscribe()
            }
            Entry::Vacant(entry) => {
                let (told, receiver) = watch::channel(None);
                let _ = entry.insert(Entered {
                    holders: 1,
                    user: user.map(Box::from),
                    due: false,
                    ends,
                    told,
                });
                receiver
            }
        }
    }

    /// Removes one of its watches.
    pub(super) fn leave(&self, id: SessionId) {
        let mut watched = self.lock();
        if let Entry::Occupied(mut entry) = watched.sessions.entry(id) {
            entry.get_mut().holders -= 1;
            if entry.get().holders == 0 {
                let _ = entry.remove();
            }
        }
        if watched.sessions.is_empty() {
            watched.sessions.shrink_to_fit();
            self.idle.notify_one();
        }
    }

    /// Some of the user's sessions may have just ended.
    pub(crate) fn hint(&self, user: &str) {
        let mut watched = self.lock();
        for entered in watched.sessions.values_mut() {
            if entered.user.as_deref() == Some(user) {
                entered.due = true;
                self.hint.notify_one();
            }
        }
    }

    pub(super) fn take_hinted(&self) -> Vec<SessionId> {
        let mut watched = self.lock();
        let sessions = watched.sessions.iter_mut();
        sessions.filter_map(|(id, entered)| mem::take(&mut entered.due).then_some(*id)).collect()
    }

    /// Whether no session is watched any more; polling stops then.
    pub(super) fn is_over(&self) -> bool {
        let mut watched = self.lock();
        watched.polled = !watched.sessions.is_empty();
        !watched.polled
    }

    /// Ends every wait: the process is shutting down.
    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    pub(super) fn ids(&self) -> Vec<SessionId> {
        let watched = self.lock();
        let open = |entered: &Entered| entered.told.borrow().is_none();
        watched.sessions.iter().filter(|(_, entered)| open(entered)).map(|(id, _)| *id).collect()
    }

    pub(super) fn of_user(&self, user: &str) -> Vec<SessionId> {
        let watched = self.lock();
        let theirs = |entered: &Entered| entered.user.as_deref() == Some(user);
        watched.sessions.iter().filter(|(_, entered)| theirs(entered)).map(|(id, _)| *id).collect()
    }

    pub(super) fn is_watched(&self, id: &SessionId) -> bool {
        self.lock().sessions.contains_key(id)
    }

    /// Takes over what the store has under `id`; an error leaves the state unknown.
    pub(super) fn take(
        &self,
        id: &SessionId,
        loaded: &Result<Option<Record>, Error>,
        now: Timestamp,
    ) {
        let mut watched = self.lock();
        let Some(entered) = watched.sessions.get_mut(id) else { return };
        let reason = match loaded {
            Ok(None) => EndReason::Ended,
            Ok(Some(record)) if record.moved_to().is_some() => EndReason::Moved,
            Ok(Some(record)) if record.deadlines.is_over(now) => EndReason::Expired,
            Ok(Some(record)) => {
                entered.ends = record.end();
                return;
            }
            Err(error) if error.is_unreadable() => EndReason::Unreadable,
            // Fails closed: without a reply no session is kept beyond its known expiry.
            Err(_) if entered.ends < now => EndReason::Expired,
            Err(_) => return,
        };
        let _ = entered.told.send_replace(Some(reason));
    }
}

#[cfg(test)]
mod tests {
    use crate::request::watched::*;

    #[test]
    fn hints_that_are_not_taken_do_not_pile_up() {
        let watches = Watches::default();
        let ids = [SessionId::from([1; 32]), SessionId::from([2; 32])];
        let end = Timestamp::from_millis(1);
        let _held = ids.map(|id| watches.enter(id, Some("alice"), end));
        let _other = watches.enter(SessionId::from([3; 32]), Some("bob"), end);
        for _ in 0..1_000 {
            watches.hint("alice");
        }
        let mut due = watches.take_hinted();
        due.sort_unstable();
        assert_eq!(due, ids);
        assert_eq!(watches.take_hinted(), []);
    }
}
