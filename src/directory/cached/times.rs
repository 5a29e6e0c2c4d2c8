//! Durations of the cache.

use std::time::Duration;

/// Durations of the cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) time_to_live: Duration,
    pub(super) refresh_ahead: Duration,
    pub(super) budget: Duration,
    pub(super) loader_lease: Duration,
    pub(super) loader_wait: Duration,
}
