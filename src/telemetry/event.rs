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
    /// A session moved to a new id: a sign-in or a renewal.
    Renewed {
        /// The old id, which opens nothing any more.
        old: SessionId,
        /// The new id.
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
    /// All sessions of a user were ended, or all but one.
    RevokedAll {
        /// Number of sessions that were alive.
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
    /// A client sent the token of an expired session.
    Expired {
        /// Its public id.
        id: SessionId,
    },
    /// A client sent a well-formed token that opens nothing: its session was logged out, was
    /// removed after its end, or never existed.
    UnknownToken {
        /// Its public id.
        id: SessionId,
    },
    /// A client sent tokens of several live sessions; none was used.
    Ambiguous,
    /// Two requests wrote concurrently; the later one was rebased on the other.
    Conflict {
        /// Its public id.
        id: SessionId,
    },
    /// The stored record cannot be decoded; it counts as no session.
    Corrupt {
        /// Its public id.
        id: SessionId,
    },
    /// A session ended during a request, whose changes are dropped.
    EndedDuringRequest {
        /// Its public id.
        id: SessionId,
    },
    /// A store is unavailable, and the other one serves.
    StoreDown {
        /// The unavailable store.
        store: Serving,
    },
    /// A store is available again.
    StoreUp {
        /// The store that recovered.
        store: Serving,
    },
    /// The listener was too slow and missed events.
    Missed {
        /// Number of missed events.
        count: u64,
    },
}
