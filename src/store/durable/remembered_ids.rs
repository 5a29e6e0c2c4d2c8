//! Ids that this instance remembers for a while: creations with an unknown outcome, and sessions
//! found to have expired.
//!
//! No client can present the former: it gets an id only once its creation is certain. So only the
//! creating instance could cache its absence in Redis, and must not.
//!
//! Specified in `docs/protocol.md`, sections 3.2 and 3.8.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{clock::moment::Moment, session::token::SessionId};

/// Far longer than any request waits for a new session.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// Beyond this number every id counts as remembered for the same time.
const IDS_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct FreshIds(Mutex<Ids>);

#[derive(Debug, Default)]
struct Ids {
    begun: HashMap<SessionId, Moment>,
    /// Ids whose absence this instance has cached recently.
    noted: HashMap<SessionId, Moment>,
    overflowed: Option<Moment>,
}

impl FreshIds {
    /// Its creation starts; returns whether it is the first attempt.
    pub(super) fn begin(&self, id: SessionId, now: Moment) -> bool {
        let mut ids = self.lock();
        if ids.begun.len() >= IDS_MAX {
            ids.begun.retain(|_, begun| begun.age(now) < KEPT);
        }
        if ids.begun.len() >= IDS_MAX {
            ids.overflowed = Some(now);
            ids.begun.clear();
        }
        ids.begun.insert(id, now).is_none()
    }

    /// The outcome of its creation is known.
    pub(super) fn end(&self, id: &SessionId) {
        let _ = self.lock().begun.remove(id);
    }

    /// Its absence is about to be cached in Redis for `kept`.
    pub(super) fn note(&self, id: SessionId, now: Moment, kept: Duration) {
        let mut ids = self.lock();
        if ids.noted.len() >= IDS_MAX {
            ids.noted.retain(|_, noted| noted.age(now) < kept);
        }
        if ids.noted.len() < IDS_MAX {
            let _ = ids.noted.insert(id, now);
        }
    }

    /// Whether its absence was cached: it was presented before it was created.
    pub(super) fn was_noted(&self, id: &SessionId) -> bool {
        self.lock().noted.remove(id).is_some()
    }

    /// Whether it may be created at any time.
    pub(super) fn may_come(&self, id: &SessionId, now: Moment) -> bool {
        let ids = self.lock();
        let recent = |moment: &Moment| moment.age(now) < KEPT;
        ids.begun.get(id).is_some_and(recent) || ids.overflowed.as_ref().is_some_and(recent)
    }

    fn lock(&self) -> MutexGuard<'_, Ids> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sessions that this instance has found to have expired, by copy and row, and until when they are
/// remembered: once returned as expired, a session is not returned alive when the copy is gone.
#[derive(Debug, Default)]
pub(super) struct OverIds(Mutex<HashMap<SessionId, Moment>>);

impl OverIds {
    /// The session has expired; for `kept` only its row can show otherwise.
    pub(super) fn note(&self, id: SessionId, now: Moment, kept: Duration) {
        let until = now.after(kept);
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() >= IDS_MAX {
            ids.retain(|_, until| *until > now);
        }
        if ids.len() < IDS_MAX {
            let _ = ids.insert(id, until);
        }
    }

    pub(super) fn contains(&self, id: &SessionId, now: Moment) -> bool {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match ids.get(id) {
            Some(until) if *until > now => true,
            Some(_) => {
                let _ = ids.remove(id);
                false
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{session::token::Token, store::durable::remembered_ids::*};

    fn id() -> SessionId {
        Token::generate().unwrap().id()
    }

    #[test]
    fn an_id_may_come_until_its_outcome_is_known_or_nobody_waits_any_longer() {
        let (ids, one, other) = (FreshIds::default(), id(), id());
        let at = Moment::from_millis;
        assert!(ids.begin(one, at(0)) && !ids.begin(one, at(1)));
        assert!(ids.may_come(&one, at(1)) && !ids.may_come(&other, at(1)));
        assert!(ids.may_come(&one, at(600_000)) && !ids.may_come(&one, at(600_001)));
        ids.end(&one);
        assert!(!ids.may_come(&one, at(2)));
    }

    #[test]
    fn what_was_noted_is_known_once() {
        let (ids, one) = (FreshIds::default(), id());
        ids.note(one, Moment::from_millis(0), Duration::from_secs(1));
        assert!(!ids.was_noted(&id()) && ids.was_noted(&one) && !ids.was_noted(&one));
    }

    #[test]
    fn where_there_are_too_many_any_may_come_for_a_while() {
        let (ids, at) = (FreshIds::default(), Moment::from_millis);
        for _ in 0..=IDS_MAX {
            let _ = ids.begin(id(), at(0));
        }
        assert!(ids.may_come(&id(), at(1)) && !ids.may_come(&id(), at(600_000)));
    }

    #[test]
    fn an_id_is_over_for_as_long_as_it_was_said_and_there_are_never_too_many() {
        let (ids, one, at) = (OverIds::default(), id(), Moment::from_millis);
        ids.note(one, at(0), Duration::from_secs(1));
        assert!(ids.contains(&one, at(999)) && !ids.contains(&id(), at(0)));
        assert!(!ids.contains(&one, at(1_000)) && !ids.contains(&one, at(0)));
        for _ in 0..IDS_MAX {
            ids.note(id(), at(0), Duration::from_secs(1));
        }
        ids.note(one, at(0), Duration::from_secs(1));
        assert!(!ids.contains(&one, at(0)), "no room");
        ids.note(one, at(1_000), Duration::from_secs(1));
        assert!(ids.contains(&one, at(1_001)), "the others are forgotten");
    }
}
