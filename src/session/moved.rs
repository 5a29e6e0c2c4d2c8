//! What a renewal or a sign-in leaves under the old id: where the session is now. Pure.

use std::time::Duration;

use crate::{clock::timestamp::Timestamp, session::token::SessionId};

/// For how long a store tells of a move: as long as a request can be under way that was sent before
/// the client knew the new id.
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
    /// Whether the move is no longer ago than `within`. A clock that differs makes it older, never
    /// more recent.
    pub(crate) fn is_within(&self, within: Duration, now: Timestamp) -> bool {
        let ago = now.saturating_since(self.at).max(self.at.saturating_since(now));
        ago < within
    }
}
