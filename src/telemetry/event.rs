//! Events in the life of a session.

use serde::Serialize;

use crate::{
    session::{record::Record, token::SessionId},
    telemetry::{cause::Cause, health::Serving},
};

/// One event in the life of a session. Ids are the public ones; no field is secret. For audits it
/// names the user, the device if the layer records [devices](crate::layer::DeviceConfig), and the
/// cause, where they are known without another load. Users and addresses are personal data: a
/// stored event is, too.
///
/// Variants about sessions may gain fields: match them with `..`. A store can build those about
/// itself, [`StoreDown`](Self::StoreDown) and [`StoreUp`](Self::StoreUp).
///
/// Serializes with its name under `event`, and without what is unknown:
///
/// ```
/// use tower_redis_session::telemetry::{Event, Serving};
///
/// let event = Event::StoreDown { store: Serving::Redis };
/// assert_eq!(serde_json::to_string(&event)?, r#"{"event":"store_down","store":"redis"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A session was created.
    #[non_exhaustive]
    Created {
        /// Its public id.
        id: SessionId,
        /// Its user, if it was created by a sign-in.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// The client's device.
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<EventDevice>,
    },
    /// A session of another library was taken over: a session was created from it.
    #[non_exhaustive]
    Imported {
        /// Its public id.
        id: SessionId,
        /// Its user.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// The client's device.
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<EventDevice>,
        /// The format of the other library, such as `express_session`.
        format: &'static str,
    },
    /// A session of another library was not taken over, since it cannot be decoded or exceeds the
    /// layer's limits. Its cookie stays.
    #[non_exhaustive]
    ImportFailed {
        /// The format of the other library.
        format: &'static str,
        /// Why. Names no value.
        cause: String,
    },
    /// A client without a session sent the cookie of another library, and no session is stored
    /// under it: it has expired, was deleted, or is in another store than the layer reads. Its
    /// cookie stays.
    #[non_exhaustive]
    ImportUnknown {
        /// The format of the other library.
        format: &'static str,
    },
    /// A session moved to a new id: a sign-in or a renewal.
    #[non_exhaustive]
    Renewed {
        /// The old id, which no longer opens a session.
        old: SessionId,
        /// The new id.
        new: SessionId,
        /// Its user from now on.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// The client's device.
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<EventDevice>,
        /// Why it moved: [`SignIn`](Cause::SignIn) or [`Renewal`](Cause::Renewal).
        cause: Cause,
    },
    /// A session was logged out, was emptied, or was replaced.
    #[non_exhaustive]
    Destroyed {
        /// Its public id.
        id: SessionId,
        /// Its user; unknown where it was never loaded.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// The device that it was used on, as recorded.
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<EventDevice>,
        /// Why it ended: [`Logout`](Cause::Logout), [`Emptied`](Cause::Emptied) or
        /// [`Replaced`](Cause::Replaced).
        cause: Cause,
    },
    /// A session was ended from another one, or by the application.
    #[non_exhaustive]
    Revoked {
        /// Its public id.
        id: SessionId,
        /// Its user.
        user: String,
        /// The device that it was used on, as recorded.
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<EventDevice>,
        /// By whom: [`User`](Cause::User), [`Administrator`](Cause::Administrator) or
        /// [`Provider`](Cause::Provider).
        cause: Cause,
        /// The administrator, [if named](crate::layer::SessionAdmin::on_behalf_of).
        #[serde(skip_serializing_if = "Option::is_none")]
        actor: Option<String>,
    },
    /// All sessions of a user were ended, or all but one.
    #[non_exhaustive]
    RevokedAll {
        /// The user.
        user: String,
        /// Number of sessions that were alive.
        count: u64,
        /// By whom: [`User`](Cause::User) or [`Administrator`](Cause::Administrator).
        cause: Cause,
        /// The administrator, [if named](crate::layer::SessionAdmin::on_behalf_of).
        #[serde(skip_serializing_if = "Option::is_none")]
        actor: Option<String>,
    },
    /// The stamp of a session's user has changed elsewhere, so the session ends.
    #[non_exhaustive]
    StampChanged {
        /// Its public id.
        id: SessionId,
        /// Its user.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
    },
    /// A user impersonates another one: [`impersonate`](crate::SessionContext::impersonate).
    #[non_exhaustive]
    ImpersonationBegan {
        /// The public id from now on.
        id: SessionId,
        /// The user who signed in.
        actor: String,
        /// The user who is impersonated.
        user: String,
    },
    /// An impersonation ended: by [`end_impersonation`](crate::SessionContext::end_impersonation),
    /// or by the logout of a session that is loaded. Not reported where the session expires or is
    /// revoked.
    #[non_exhaustive]
    ImpersonationEnded {
        /// The public id from now on; at a logout that of the session that ends.
        id: SessionId,
        /// The user who signed in.
        actor: String,
        /// The user who was impersonated.
        user: String,
    },
    /// A client sent the token of an expired session.
    #[non_exhaustive]
    Expired {
        /// Its public id.
        id: SessionId,
        /// Its user.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
    },
    /// A client sent a well-formed token that opens no session: its session was logged out, was
    /// removed after its end, or never existed.
    #[non_exhaustive]
    UnknownToken {
        /// Its public id.
        id: SessionId,
    },
    /// A client sent tokens of several live sessions; none was used.
    Ambiguous,
    /// Two requests wrote concurrently; the later one was rebased on the other.
    #[non_exhaustive]
    Conflict {
        /// Its public id.
        id: SessionId,
    },
    /// The stored record cannot be decoded; it counts as no session.
    #[non_exhaustive]
    Corrupt {
        /// Its public id.
        id: SessionId,
    },
    /// A session ended during a request, whose changes are dropped.
    #[non_exhaustive]
    EndedDuringRequest {
        /// Its public id.
        id: SessionId,
        /// Its user.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
    },
    /// A sign-in failed, or was abandoned: a [limiter](crate::limiter) counts it.
    #[non_exhaustive]
    SignInFailed {
        /// The hash of the account: [`account_hash`](crate::limiter::SignInLimiter::account_hash).
        /// What visitors type as a name may be a password.
        account: String,
        /// The network, such as `192.0.2.1/32` or `2001:db8::/64`.
        network: String,
    },
    /// A sign-in, or another limited request, has to wait.
    #[non_exhaustive]
    SignInThrottled {
        /// Which limit is exceeded.
        by: ThrottledBy,
        /// The network.
        network: String,
    },
    /// A store is unavailable: the other one serves, or without one requests that need their
    /// session are rejected. Once an outage.
    StoreDown {
        /// The unavailable store.
        store: Serving,
    },
    /// A store is available again. Once after each [`StoreDown`](Self::StoreDown).
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

/// Which limit of a [limiter](crate::limiter) is exceeded.
///
/// ```
/// # use tower_redis_session::telemetry::ThrottledBy;
/// assert_eq!(serde_json::to_string(&ThrottledBy::Account)?, r#""account""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ThrottledBy {
    /// That of the account, from this network or from all.
    Account,
    /// That of the network, or of the larger one that it is part of.
    Network,
}

/// The device of a session, in an [`Event`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct EventDevice {
    /// The client's address at creation, sign-in or renewal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The label that its user has given it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl EventDevice {
    /// What an event has of a record's device.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        let device = record.device.as_deref()?;
        let address = device.address().map(str::to_owned);
        Some(Self { address, label: device.label().map(str::to_owned) })
    }
}
