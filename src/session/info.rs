//! One row of the list of a user's sessions.

use serde::Serialize;

use crate::{
    clock::timestamp::Timestamp,
    session::{device::Device, record::Record, token::SessionId},
};

/// One session in the list of a user's.
///
/// ```
/// # tower_redis_session::testing::handle(|session| async move {
/// session.login("alice").await?;
/// session.set_label(Some("Work laptop")).await?;
/// session.save().await?;
/// let sessions = session.sessions().await?;
/// assert_eq!(sessions.len(), 1);
/// assert!(sessions[0].current);
/// assert_eq!(sessions[0].label.as_deref(), Some("Work laptop"));
/// # Ok(()) });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The public id, for [`SessionContext::revoke`](crate::SessionContext::revoke).
    pub id: SessionId,
    /// Time of the sign-in.
    pub created_at: Timestamp,
    /// The last recorded activity: late by the touch interval at most.
    pub last_activity: Timestamp,
    /// Time of expiry without further activity.
    pub expires_at: Timestamp,
    /// When its user last authenticated.
    pub authenticated_at: Option<Timestamp>,
    /// The client's address at creation, sign-in or renewal, if devices are recorded.
    pub address: Option<String>,
    /// The client's `User-Agent` then, if devices are recorded; truncated to 256 bytes.
    pub user_agent: Option<String>,
    /// The label given by its owner.
    pub label: Option<String>,
    /// The user whom its user [impersonates](crate::SessionContext::impersonate), if any.
    pub acting_as: Option<String>,
    /// Whether it is the session of this request.
    pub current: bool,
}

impl SessionInfo {
    pub(crate) fn of(id: SessionId, record: &Record, current: Option<SessionId>) -> Self {
        let device = record.device.as_deref();
        let text = |text: Option<&str>| text.map(str::to_owned);
        Self {
            id,
            created_at: record.created,
            last_activity: record.last_activity,
            expires_at: record.end(),
            authenticated_at: record.authenticated,
            address: text(device.and_then(Device::address)),
            user_agent: text(device.and_then(Device::user_agent)),
            label: text(device.and_then(Device::label)),
            acting_as: text(device.and_then(Device::acting_as)),
            current: current == Some(id),
        }
    }
}
