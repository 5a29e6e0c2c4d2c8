//! Throttled names that this instance remembers for a moment, so that a flood of attempts costs the
//! store nothing.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    clock::timestamp::Timestamp,
    store::attempts::{AttemptKey, TAG_LEN},
    telemetry::ThrottledBy,
};

/// A power of two.
const SLOTS: usize = 1_024;
/// Another instance may forgive a name in the meantime.
const REMEMBERED: Duration = Duration::from_secs(1);

/// A fixed number of names; one displaces another at its place.
pub(super) struct Refusals(Mutex<Vec<Option<Refusal>>>);

#[derive(Clone, Copy)]
struct Refusal {
    tag: [u8; TAG_LEN],
    by: ThrottledBy,
    since: Timestamp,
    until: Timestamp,
}

impl Refusals {
    /// How long a name has to wait yet, if it is remembered.
    pub(super) fn find(&self, key: &AttemptKey, now: Timestamp) -> Option<(ThrottledBy, Duration)> {
        let slots = self.slots();
        let found = slots.get(place(key))?.as_ref().filter(|found| found.tag == key.tag)?;
        let remembered = now >= found.since && now.saturating_since(found.since) < REMEMBERED;
        let wait = found.until.saturating_since(now);
        (remembered && !wait.is_zero()).then_some((found.by, wait))
    }

    pub(super) fn remember(
        &self,
        key: &AttemptKey,
        by: ThrottledBy,
        wait: Duration,
        now: Timestamp,
    ) {
        let refusal = Refusal { tag: key.tag, by, since: now, until: now.saturating_add(wait) };
        if let Some(slot) = self.slots().get_mut(place(key)) {
            *slot = Some(refusal);
        }
    }

    pub(super) fn forget(&self, key: &AttemptKey) {
        if let Some(slot) = self.slots().get_mut(place(key)) {
            *slot = None;
        }
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Option<Refusal>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(key: &AttemptKey) -> usize {
    let [first, second, ..] = key.tag;
    usize::from(u16::from_be_bytes([first, second])) % SLOTS
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Mutex::new(vec![None; SLOTS]))
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").finish_non_exhaustive()
    }
}
