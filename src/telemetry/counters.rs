//! Event counters.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::event::Event;

/// How often each kind of [`Event`] has happened since the process began.
#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; NAMES.len()]);

/// In the order of [`place`].
pub(crate) const NAMES: [&str; 12] = [
    "created",
    "renewed",
    "destroyed",
    "revoked",
    "expired",
    "rejected",
    "ambiguous",
    "conflict",
    "corrupt",
    "overtaken",
    "fallback_in",
    "fallback_out",
];

/// Which counter an event moves, and by how much.
const fn place(event: &Event) -> Option<(usize, u64)> {
    Some(match event {
        Event::Created(_) => (0, 1),
        Event::Renewed { .. } => (1, 1),
        Event::Destroyed(_) => (2, 1),
        Event::Revoked(_) => (3, 1),
        Event::RevokedAll(count) => (3, *count),
        Event::Expired(_) => (4, 1),
        Event::Rejected(_) => (5, 1),
        Event::Ambiguous => (6, 1),
        Event::Conflict(_) => (7, 1),
        Event::Corrupt(_) => (8, 1),
        Event::Overtaken(_) => (9, 1),
        Event::FallbackIn { .. } => (10, 1),
        Event::FallbackOut { .. } => (11, 1),
        Event::Missed(_) => return None,
    })
}

impl Counters {
    pub(crate) fn count(&self, event: &Event) {
        let Some((place, by)) = place(event) else { return };
        if let Some(counter) = self.0.get(place) {
            let _ = counter.fetch_add(by, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.into_iter().zip(self.0.iter().map(|counter| counter.load(Ordering::Relaxed)))
    }
}
