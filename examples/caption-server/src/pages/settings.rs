//! A user's settings: shown, saved, and the same for programs.

use http::{Method, StatusCode, request::Parts};
use minijinja::{context, value::Serde};
use serde::Serialize;
use tower_redis_session::directory::DirectoryPart;

use crate::{
    app::App,
    captions::settings::{Rejected, Settings, SettingsPatch},
    failure::Failure,
    pages::{
        captions::settings_of,
        visitor::{Visitor, notice},
    },
    web::{
        Body,
        form::{self, Fields},
        reply::{self, Answer},
    },
};

/// `GET /settings`
pub(crate) async fn page(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let settings = settings_of(&visitor).await?;
    show(&visitor, &SettingsPatch::default().over(&settings), &Rejected::default())
}

/// `POST /settings`
pub(crate) async fn save(app: &App, parts: &Parts, body: Body) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let fields = Fields::read(&parts.headers, body).await?;
    let patch = SettingsPatch::of_form(&fields);
    match change(&visitor, &patch).await {
        Ok(_) => {
            notice(parts, "Your settings are saved.").await?;
            Ok(reply::see_other("/settings"))
        }
        Err(Failure::Rejected(rejected)) => {
            show(&visitor, &patch.over(&settings_of(&visitor).await?), &rejected)
        }
        Err(failure) => Err(failure),
    }
}

/// `GET` and `PATCH /api/settings`
pub(crate) async fn api(app: &App, parts: &Parts, body: Body) -> Result<Answer, Failure> {
    #[derive(Serialize)]
    struct Answered {
        success: bool,
        settings: Settings,
    }
    let visitor = Visitor::of(app, parts).await?;
    let settings = if parts.method == Method::PATCH {
        let patch = SettingsPatch::of_json(&form::json(&parts.headers, body).await?)?;
        change(&visitor, &patch).await?
    } else {
        settings_of(&visitor).await?
    };
    Ok(reply::json(StatusCode::OK, &Answered { success: true, settings }))
}

async fn change(visitor: &Visitor<'_>, patch: &SettingsPatch) -> Result<Settings, Failure> {
    let (app, user) = (visitor.app, &*visitor.user.id);
    let saved = app.data.change_settings(user, patch);
    Ok(app.people.change(user, DirectoryPart::Settings, saved).await??)
}

fn show(
    visitor: &Visitor<'_>,
    settings: &serde_json::Value,
    rejected: &Rejected,
) -> Result<Answer, Failure> {
    let values = context! {
        title => "Settings",
        settings => Serde(settings),
        problems => Serde(rejected),
    };
    let page = visitor.app.pages.render("settings.html", visitor, values)?;
    let bad = !rejected.0.is_empty();
    Ok(reply::html(if bad { StatusCode::BAD_REQUEST } else { StatusCode::OK }, page))
}
