//! Move of a session: the record left under the old id after a renewal or a sign-in. Pure.

use std::time::Duration;

use crate::{clock::timestamp::Timestamp, session::token::SessionId};

/// How long a store keeps a move: as long as a request with the old id can be in flight.
pub(crate) const MOVED_KEPT: Duration = Duration::from_secs(60);
/// Moves that are followed one after the other.
pub(crate) const HOPS_MAX: usize = 8;

/// The move of a session to another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) to: SessionId,
    pub(crate) at: Timestamp,
}

impl Moved {
    /// Whether the move was at most `within` ago. A clock that differs makes it older, never more
    /// recent.
    pub(crate) fn is_within(&self, within: Duration, now: Timestamp) -> bool {
        let ago = now.saturating_since(self.at).max(self.at.saturating_since(now));
        ago < within
    }
}
