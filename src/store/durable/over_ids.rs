//! Ids of sessions that this instance has judged to be over, by their copy and their row: what it
//! has shown as over it does not show alive again when the copy is gone.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{clock::moment::Moment, session::token::SessionId};

/// Past that the others are judged as those without a copy are.
const IDS_MAX: usize = 10_000;

/// Until when each of them stays.
#[derive(Debug, Default)]
pub(super) struct OverIds(Mutex<HashMap<SessionId, Moment>>);

impl OverIds {
    /// The session is over, and nobody says otherwise for `kept` but its row.
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
    use crate::{session::token::Token, store::durable::over_ids::*};

    fn id() -> SessionId {
        Token::generate().unwrap().id()
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
