//! Event counters.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::event::Event;

/// Counts of each kind of [`Event`] since the process started.
#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; NAMES.len()]);

/// In the order of [`place`].
pub(crate) const NAMES: [&str; 20] = [
    "created",
    "renewed",
    "destroyed",
    "revoked",
    "expired",
    "unknown_token",
    "ambiguous",
    "conflict",
    "corrupt",
    "ended_during_request",
    "store_down",
    "store_up",
    "stamp_changed",
    "impersonation_began",
    "impersonation_ended",
    "sign_in_failed",
    "sign_in_throttled",
    "imported",
    "import_failed",
    "import_unknown",
];

/// Which counter an event moves, and by how much.
const fn place(event: &Event) -> Option<(usize, u64)> {
    Some(match event {
        Event::Created { .. } => (0, 1),
        Event::Renewed { .. } => (1, 1),
        Event::Destroyed { .. } => (2, 1),
        Event::Revoked { .. } => (3, 1),
        Event::RevokedAll { count, .. } => (3, *count),
        Event::Expired { .. } => (4, 1),
        Event::UnknownToken { .. } => (5, 1),
        Event::Ambiguous => (6, 1),
        Event::Conflict { .. } => (7, 1),
        Event::Corrupt { .. } => (8, 1),
        Event::EndedDuringRequest { .. } => (9, 1),
        Event::StoreDown { .. } => (10, 1),
        Event::StoreUp { .. } => (11, 1),
        Event::StampChanged { .. } => (12, 1),
        Event::ImpersonationBegan { .. } => (13, 1),
        Event::ImpersonationEnded { .. } => (14, 1),
        Event::SignInFailed { .. } => (15, 1),
        Event::SignInThrottled { .. } => (16, 1),
        Event::Imported { .. } => (17, 1),
        Event::ImportFailed { .. } => (18, 1),
        Event::ImportUnknown { .. } => (19, 1),
        Event::Missed { .. } => return None,
    })
}

impl Counters {
    /// Counts it, and returns its place and by how much.
    pub(crate) fn count(&self, event: &Event) -> Option<(usize, u64)> {
        let (place, by) = place(event)?;
        if let Some(counter) = self.0.get(place) {
            let _ = counter.fetch_add(by, Ordering::Relaxed);
        }
        Some((place, by))
    }

    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.into_iter().zip(self.0.iter().map(|counter| counter.load(Ordering::Relaxed)))
    }
}
