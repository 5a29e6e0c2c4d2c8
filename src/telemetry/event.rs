//! Events in the life of a session.

use crate::{session::token::SessionId, telemetry::status::Serving};

/// One event in the life of a session. Ids are public ones; nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A session began.
    Created(SessionId),
    /// A session moved to a new id: somebody signed in, or it was renewed.
    Renewed {
        /// The id that is dead now.
        old: SessionId,
        /// The id that it has now.
        new: SessionId,
    },
    /// A session was logged out, or was emptied.
    Destroyed(SessionId),
    /// A session was ended from another one, or by the application.
    Revoked(SessionId),
    /// All sessions of a user were ended, or all but one; so many were alive.
    RevokedAll(u64),
    /// A client came with a session whose time was over.
    Expired(SessionId),
    /// A client came with a well-formed token that opens nothing: it was logged out, has vanished
    /// after its end, or never was.
    Rejected(SessionId),
    /// A client came with several live sessions at once; none was used.
    Ambiguous,
    /// Two requests wrote at the same time; the later one builds on the other.
    Conflict(SessionId),
    /// What is stored cannot be read; it counts as no session.
    Corrupt(SessionId),
    /// A session ended while a request was under way; what that did to it is dropped.
    Overtaken(SessionId),
    /// A store is away, and the other one serves.
    FallbackIn {
        /// The one that is away.
        away: Serving,
    },
    /// A store that was away is back.
    FallbackOut {
        /// The one that is back.
        back: Serving,
    },
    /// The listener was too slow, and so many events are lost to it.
    Missed(u64),
}
