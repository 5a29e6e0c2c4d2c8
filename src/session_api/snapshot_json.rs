//! JSON of a session and of a list of sessions.

use serde_json::{Value, json};

use crate::{context::SessionContext, error::Error, session::info::SessionInfo};

/// The current session with its times.
pub(super) async fn shown(session: &SessionContext) -> Result<Value, Error> {
    let snapshot = session.snapshot().await?;
    let since = session.authenticated_at().await?;
    Ok(json!({
        "signed_in": snapshot.user_id.is_some(),
        "id": snapshot.id.to_string(),
        "user_id": snapshot.user_id,
        "impersonator_id": snapshot.impersonator_id,
        "platform_id": snapshot.platform_id,
        "created_at": snapshot.created_at.to_string(),
        "last_activity": snapshot.last_activity.to_string(),
        "expires_at": snapshot.expires_at.to_string(),
        "expires_in": session.remaining(&snapshot).as_secs(),
        "authenticated_at": since.map(|since| since.to_string()),
    }))
}

/// User and platform as the store has them now; without the times, which move by themselves.
/// `Moved` from the moment when the session has another id: what it was before is for requests in
/// flight.
pub(super) async fn state_now(session: &SessionContext) -> Result<Value, Error> {
    let validated = session.validate().await;
    if session.read(|state| state.has_moved()).await? {
        return Err(Error::moved());
    }
    validated?;
    let snapshot = session.snapshot().await?;
    Ok(json!({
        "signed_in": snapshot.user_id.is_some(),
        "id": snapshot.id.to_string(),
        "user_id": snapshot.user_id,
        "impersonator_id": snapshot.impersonator_id,
        "platform_id": snapshot.platform_id,
    }))
}

/// One session of the list of a user's.
pub(super) fn listed(info: &SessionInfo) -> Value {
    json!({
        "id": info.id.to_string(),
        "current": info.current,
        "created_at": info.created_at.to_string(),
        "last_activity": info.last_activity.to_string(),
        "expires_at": info.expires_at.to_string(),
        "authenticated_at": info.authenticated_at.map(|since| since.to_string()),
        "address": info.address,
        "user_agent": info.user_agent,
        "label": info.label,
        "acting_as": info.acting_as,
    })
}
