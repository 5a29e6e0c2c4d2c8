//! Log lines of events. Names of fields are those of OpenTelemetry's semantic conventions where
//! there is one: `session.id`, `session.previous_id`, `user.id`, `client.address`.

use tracing::field::display;

use crate::telemetry::event::{Event, EventDevice};

pub(super) fn log(event: &Event) {
    match event {
        Event::StampChanged { id, user } => {
            let user = user.as_deref();
            tracing::info!(session.id = %id, user.id = user, "session stamp changed");
        }
        Event::ImpersonationBegan { id, actor, user } => {
            tracing::info!(session.id = %id, %actor, user.id = %user, "impersonation began");
        }
        Event::ImpersonationEnded { id, actor, user } => {
            tracing::info!(session.id = %id, %actor, user.id = %user, "impersonation ended");
        }
        Event::Expired { id, user } => {
            let user = user.as_deref();
            tracing::debug!(session.id = %id, user.id = user, "session expired");
        }
        Event::UnknownToken { id } => tracing::debug!(session.id = %id, "session id rejected"),
        Event::Ambiguous => tracing::warn!("session cookies ambiguous: several live sessions"),
        Event::Conflict { id } => {
            tracing::debug!(session.id = %id, "session conflict: changes rebased");
        }
        Event::EndedDuringRequest { id, user } => tracing::info!(
            session.id = %id,
            user.id = user.as_deref(),
            "session ended during the request: changes dropped"
        ),
        Event::SignInFailed { .. } | Event::SignInThrottled { .. } => log_sign_in(event),
        Event::Imported { .. } | Event::ImportFailed { .. } => log_import(event),
        Event::ImportUnknown { format } => tracing::debug!(format, "old session not found"),
        event => log_audited(event),
    }
}

/// Creations and ends, for an audit: user, device, cause.
fn log_audited(event: &Event) {
    match event {
        Event::Created { id, user, device } => {
            let (user, address, label) = (user.as_deref(), address(device), label(device));
            tracing::info!(
                session.id = %id, user.id = user, client.address = address, device = label,
                "session created"
            );
        }
        Event::Renewed { old, new, user, device, cause } => {
            let (user, address, label) = (user.as_deref(), address(device), label(device));
            tracing::info!(
                session.id = %new, session.previous_id = %old, user.id = user,
                client.address = address, device = label, cause = cause.name(),
                "session renewed"
            );
        }
        Event::Destroyed { id, user, device, cause } => {
            let (user, address, label) = (user.as_deref(), address(device), label(device));
            tracing::info!(
                session.id = %id, user.id = user, client.address = address, device = label,
                cause = cause.name(), "session destroyed"
            );
        }
        event => log_revocation(event),
    }
}

fn log_revocation(event: &Event) {
    match event {
        Event::Revoked { id, user, device, cause, actor } => {
            let (address, label) = (address(device), label(device));
            tracing::info!(
                session.id = %id, user.id = %user, client.address = address, device = label,
                cause = cause.name(), actor.id = actor.as_deref(), "session revoked"
            );
        }
        Event::RevokedAll { user, count, cause, actor } => {
            let actor = actor.as_deref();
            tracing::info!(
                user.id = %user, count, cause = cause.name(), actor.id = actor,
                "user sessions revoked"
            );
        }
        // Logged with their cause where it is known.
        _ => {}
    }
}

fn log_import(event: &Event) {
    match event {
        Event::Imported { id, user, device, format } => {
            let (user, address, label) = (user.as_deref(), address(device), label(device));
            tracing::info!(
                session.id = %id, user.id = user, client.address = address, device = label, format,
                "session imported"
            );
        }
        Event::ImportFailed { format, cause } => {
            tracing::warn!(format, %cause, "session import failed: the old cookie is kept");
        }
        _ => {}
    }
}

fn log_sign_in(event: &Event) {
    match event {
        Event::SignInFailed { account, network } => {
            tracing::info!(%account, %network, "sign-in failed");
        }
        // A flood of them must not fill the log.
        Event::SignInThrottled { by, network } => {
            tracing::debug!(?by, %network, "sign-in throttled");
        }
        _ => {}
    }
}

fn address(device: &Option<EventDevice>) -> Option<tracing::field::DisplayValue<&str>> {
    device.as_ref()?.address.as_deref().map(display)
}

fn label(device: &Option<EventDevice>) -> Option<tracing::field::DisplayValue<&str>> {
    device.as_ref()?.label.as_deref().map(display)
}
