//! Requests that wait for a connection.

use std::time::{Duration, Instant};

/// How long requests may wait for a connection before the store reports not ready.
const PATIENCE: Duration = Duration::from_millis(250);

#[derive(Default)]
pub(super) struct Waits {
    pub(super) waiting: usize,
    /// Since when a caller waits, or has waited for an attempt still in progress.
    pub(super) since: Option<Instant>,
}

impl Waits {
    /// Whether a caller waits in vain.
    pub(super) fn are_late(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) > PATIENCE)
    }
}
