//! A user's sessions: which there are, and an end to one, all others, or all.

use http::{StatusCode, request::Parts};
use minijinja::{Value, context};
use tower_redis_session::{SessionId, context::SessionInfo};

use crate::{
    app::App,
    failure::Failure,
    pages::visitor::Visitor,
    web::{
        Body,
        form::Fields,
        reply::{self, Answer},
    },
};

/// `GET /devices`
pub(crate) async fn page(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let sessions = shown(&visitor.session.sessions().await?);
    let values = context! { title => "My devices", sessions };
    Ok(reply::html(StatusCode::OK, app.pages.render("devices.html", &visitor, values)?))
}

/// `POST /devices/revoke`: the one that is named, or all others.
pub(crate) async fn revoke(app: &App, parts: &Parts, body: Body) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let fields = Fields::read(&parts.headers, body).await?;
    match fields.get("id") {
        Some(id) => {
            let _ = visitor.session.revoke(&id_of(id)?).await?;
        }
        None => drop(visitor.session.revoke_others().await?),
    }
    Ok(reply::see_other("/devices"))
}

/// `POST /devices/label`
pub(crate) async fn label(app: &App, parts: &Parts, body: Body) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let fields = Fields::read(&parts.headers, body).await?;
    let mut label = fields.get("label").unwrap_or_default().trim().to_owned();
    label.retain(|letter| !letter.is_control());
    // A label has 128 bytes at most.
    while label.len() > 128 {
        let _ = label.pop();
    }
    visitor.session.set_label(Some(&*label).filter(|label| !label.is_empty())).await?;
    Ok(reply::see_other("/devices"))
}

pub(crate) fn id_of(text: &str) -> Result<SessionId, Failure> {
    text.parse().map_err(|_| Failure::NotFound("There is no such session."))
}

pub(crate) fn shown(sessions: &[SessionInfo]) -> Vec<Value> {
    let row = |session: &SessionInfo| {
        let millis = |time: tower_redis_session::Timestamp| time.as_millis();
        context! {
            id => session.id.to_string(),
            created => millis(session.created_at),
            seen => millis(session.last_activity),
            expires => millis(session.expires_at),
            address => session.address.as_deref(),
            user_agent => session.user_agent.as_deref(),
            label => session.label.as_deref(),
            current => session.current,
        }
    };
    sessions.iter().map(row).collect()
}
