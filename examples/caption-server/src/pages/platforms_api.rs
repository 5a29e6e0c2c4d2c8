//! Platforms for programs.

use http::{Method, StatusCode, request::Parts};
use serde::Serialize;
use tower_redis_session::directory::{Directory as _, PlatformInfo};

use crate::{
    app::App,
    failure::Failure,
    pages::{platforms, visitor::Visitor},
    web::{
        Body,
        form::{self, Fields},
        reply::{self, Answer},
    },
};

#[derive(Serialize)]
struct Platforms {
    success: bool,
    platforms: Vec<PlatformInfo>,
    /// The one that captions are made for.
    active: Option<String>,
}

#[derive(Serialize)]
struct One {
    success: bool,
    platform: PlatformInfo,
}

#[derive(Serialize)]
struct Done {
    success: bool,
}

/// `GET` and `POST /api/platforms`
pub(crate) async fn platforms(app: &App, parts: &Parts, body: Body) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    if parts.method == Method::POST {
        let fields = fields(&form::json(&parts.headers, body).await?)?;
        let id = platforms::store(&visitor, None, &fields).await?;
        return one(&visitor, &id, StatusCode::CREATED).await;
    }
    let active = visitor.platform.map(|platform| platform.id);
    let listed = Platforms { success: true, platforms: visitor.platforms, active };
    Ok(reply::json(StatusCode::OK, &listed))
}

/// `GET`, `PUT` and `DELETE /api/platforms/{id}`
pub(crate) async fn platform(
    app: &App,
    parts: &Parts,
    body: Body,
    id: &str,
) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let _ = visitor.platform(id)?;
    match parts.method {
        Method::PUT => {
            let fields = fields(&form::json(&parts.headers, body).await?)?;
            let _ = platforms::store(&visitor, Some(id), &fields).await?;
        }
        Method::DELETE => {
            platforms::remove(&visitor, id).await?;
            return Ok(reply::json(StatusCode::OK, &Done { success: true }));
        }
        _ => {}
    }
    one(&visitor, id, StatusCode::OK).await
}

/// `POST /api/platforms/{id}/activate` and `/default`
pub(crate) async fn activate(
    app: &App,
    parts: &Parts,
    id: &str,
    default: bool,
) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    if default {
        platforms::set_default(&visitor, id).await?;
    } else {
        platforms::switch(&visitor, id).await?;
    }
    one(&visitor, id, StatusCode::OK).await
}

/// As it is now, and not as it was when the request came.
async fn one(visitor: &Visitor<'_>, id: &str, status: StatusCode) -> Result<Answer, Failure> {
    let platforms = visitor.app.people.platforms(&visitor.user.id).await?;
    let platform = platforms.into_iter().find(|own| own.id == id);
    let platform = platform.ok_or(Failure::NotFound("You have no such platform."))?;
    Ok(reply::json(status, &One { success: true, platform }))
}

/// An object of texts, as a form has them.
fn fields(json: &serde_json::Value) -> Result<Fields, Failure> {
    let object = json.as_object().ok_or(Failure::Bad("The body is not a JSON object."))?;
    let text = |(name, value): (&String, &serde_json::Value)| {
        let value = value.as_str().ok_or(Failure::Bad("Every field has to be a string."))?;
        Ok((name.clone(), value.to_owned()))
    };
    Ok(Fields::of(object.iter().map(text).collect::<Result<_, Failure>>()?))
}
