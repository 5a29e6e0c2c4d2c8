//! How long things of the cache take and last.

use std::time::Duration;

/// How long things take and last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) time_to_live: Duration,
    pub(super) refresh_ahead: Duration,
    pub(super) budget: Duration,
    pub(super) loader_lease: Duration,
    pub(super) loader_wait: Duration,
}
