//! For administrators: who is signed in where, and how the session store does.

use http::{HeaderValue, StatusCode, header, request::Parts};
use minijinja::{Value, context, value::Serde};
use serde::Serialize;
use tower_redis_session::directory::{DirectoryPart, UserInfo};

use crate::{
    app::App,
    failure::Failure,
    pages::{
        devices,
        visitor::{Visitor, notice},
    },
    web::reply::{self, Answer},
};

const NOBODY: Failure = Failure::NotFound("There is no such user.");

/// What was done to a user's sessions, truthfully.
#[derive(Serialize)]
struct Done {
    success: bool,
    /// How many sessions it was done to; 0 if there was nothing to do.
    sessions: u64,
    message: String,
}

/// `GET /admin`
pub(crate) async fn page(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let mut users = Vec::new();
    for user in app.data.users().await? {
        let sessions = devices::shown(&app.sessions.admin().sessions_of(&user.id).await?);
        users.push(context! { sessions, ..Value::from(Serde(&user)) });
    }
    let report: serde_json::Value = serde_json::from_str(&app.sessions.admin().report().to_json())
        .map_err(|_| Failure::Internal)?;
    let values = context! { title => "Administration", users, report => Serde(&report) };
    Ok(reply::html(StatusCode::OK, app.pages.render("admin.html", &visitor, values)?))
}

/// `GET /api/session/report`
pub(crate) fn report(app: &App) -> Answer {
    reply::json_text(StatusCode::OK, app.sessions.admin().report().to_json())
}

/// `GET /api/session/metrics`
pub(crate) fn metrics(app: &App) -> Answer {
    let mut answer = reply::json_text(StatusCode::OK, app.sessions.admin().report().to_metrics());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let _ = answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// `POST /admin/users/{id}/clear_platform` and the same below `/api`
pub(crate) async fn clear_platform(app: &App, parts: &Parts, id: &str) -> Result<Answer, Failure> {
    let user = known(app, id).await?;
    let sessions = app.sessions.admin().clear_platform_of(id).await?;
    done(parts, sessions, format!("{}: platform cleared in {sessions} sessions", user.username))
        .await
}

/// `POST /admin/users/{id}/sign_out`
pub(crate) async fn sign_out(app: &App, parts: &Parts, id: &str) -> Result<Answer, Failure> {
    let user = known(app, id).await?;
    let sessions = app.sessions.admin().revoke_all(id).await?;
    done(parts, sessions, format!("{}: {sessions} sessions ended", user.username)).await
}

/// `POST /admin/users/{id}/sessions/{session}/revoke`
pub(crate) async fn revoke(
    app: &App,
    parts: &Parts,
    id: &str,
    session: &str,
) -> Result<Answer, Failure> {
    let user = known(app, id).await?;
    let sessions = u64::from(app.sessions.admin().revoke(id, &devices::id_of(session)?).await?);
    done(parts, sessions, format!("{}: {sessions} sessions ended", user.username)).await
}

/// `POST /admin/users/{id}/deactivate` and `/activate`
pub(crate) async fn set_active(
    app: &App,
    parts: &Parts,
    id: &str,
    active: bool,
) -> Result<Answer, Failure> {
    let user = known(app, id).await?;
    let visitor = Visitor::of(app, parts).await?;
    if visitor.user.id == user.id {
        return Err(Failure::Bad("Administrators cannot deactivate themselves."));
    }
    let set = app.data.set_active(id, active);
    let _ = app.people.change(id, DirectoryPart::User, set).await?;
    // Their sessions end here and not only at their next request.
    let sessions = if active { 0 } else { app.sessions.admin().revoke_all(id).await? };
    let what = if active { "may sign in" } else { "may not sign in any more" };
    done(parts, sessions, format!("{} {what}", user.username)).await
}

async fn known(app: &App, id: &str) -> Result<UserInfo, Failure> {
    app.data.user_by_id(id).await?.ok_or(NOBODY)
}

async fn done(parts: &Parts, sessions: u64, message: String) -> Result<Answer, Failure> {
    if reply::wants_json(parts) {
        return Ok(reply::json(StatusCode::OK, &Done { success: true, sessions, message }));
    }
    notice(parts, &message).await?;
    Ok(reply::see_other("/admin"))
}
