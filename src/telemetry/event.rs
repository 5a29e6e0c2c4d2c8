//! Events in the life of a session.

use serde::Serialize;

use crate::{session::token::SessionId, telemetry::health::Serving};

/// One event in the life of a session. Ids are public ones; nothing in it is secret. Users are
/// named only where one acts as another.
///
/// Serializes with its name under `event`:
///
/// ```
/// use tower_redis_session::telemetry::Event;
///
/// let json = serde_json::to_string(&Event::RevokedAll { count: 3 })?;
/// assert_eq!(json, r#"{"event":"revoked_all","count":3}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A session began.
    Created {
        /// Its public id.
        id: SessionId,
    },
    /// A session moved to a new id: somebody signed in, or it was renewed.
    Renewed {
        /// The id that is dead now.
        old: SessionId,
        /// The id that it has now.
        new: SessionId,
    },
    /// A session was logged out, or was emptied.
    Destroyed {
        /// Its public id.
        id: SessionId,
    },
    /// A session was ended from another one, or by the application.
    Revoked {
        /// Its public id.
        id: SessionId,
    },
    /// All sessions of a user were ended, or all but one; so many were alive.
    RevokedAll {
        /// How many sessions.
        count: u64,
    },
    /// The stamp of a session's user has changed elsewhere, so the session ends.
    StampChanged {
        /// Its public id.
        id: SessionId,
    },
    /// A user acts as another one: [`impersonate`](crate::SessionContext::impersonate).
    ImpersonationBegan {
        /// The public id from now on.
        id: SessionId,
        /// The user who signed in.
        actor: String,
        /// The user who is impersonated.
        user: String,
    },
    /// A user acts as another one no longer: by
    /// [`end_impersonation`](crate::SessionContext::end_impersonation), or by the logout of a
    /// session that is loaded. Not reported where the session expires or is revoked.
    ImpersonationEnded {
        /// The public id from now on; at a logout that of the session that ends.
        id: SessionId,
        /// The user who signed in.
        actor: String,
        /// The user who was impersonated.
        user: String,
    },
    /// A client came with a session whose time was over.
    Expired {
        /// Its public id.
        id: SessionId,
    },
    /// A client came with a well-formed token that opens nothing: it was logged out, has vanished
    /// after its end, or never was.
    UnknownToken {
        /// Its public id.
        id: SessionId,
    },
    /// A client came with several live sessions at once; none was used.
    Ambiguous,
    /// Two requests wrote at the same time; the later one builds on the other.
    Conflict {
        /// Its public id.
        id: SessionId,
    },
    /// What is stored cannot be read; it counts as no session.
    Corrupt {
        /// Its public id.
        id: SessionId,
    },
    /// A session ended while a request was under way; what that did to it is dropped.
    EndedDuringRequest {
        /// Its public id.
        id: SessionId,
    },
    /// A store is away, and the other one serves.
    StoreDown {
        /// The one that is away.
        store: Serving,
    },
    /// A store that was away is back.
    StoreUp {
        /// The one that is back.
        store: Serving,
    },
    /// The listener was too slow, and so many events are lost to it.
    Missed {
        /// How many events.
        count: u64,
    },
}
