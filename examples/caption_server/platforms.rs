//! Choosing the platform that captions are for.

use http::{StatusCode, request::Parts};
use minijinja::{context, value::Serde};

use crate::{
    failure::Failure,
    form::Fields,
    reply::{self, Answer},
    routes::{App, Body},
    sign_in::Visitor,
};

/// `GET /platforms`
pub(crate) async fn page(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let chosen = visitor.session.platform_id().await?;
    form(app, &visitor, chosen.as_deref(), None)
}

/// `POST /platforms`
pub(crate) async fn choose(app: &App, parts: &Parts, body: Body) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let fields = Fields::read(&parts.headers, body).await?;
    let Some(wanted) = fields.get("platform") else {
        return form(app, &visitor, None, Some("Please choose one of the platforms."));
    };
    // The id comes from the browser, so it may be anybody's. Somebody else's platform and one that
    // does not exist get the same answer.
    let platform =
        visitor.user.platform(wanted).ok_or(Failure::NotFound("You have no such platform."))?;
    visitor.session.set_platform(platform.id).await?;
    Ok(reply::see_other("/caption_generation"))
}

fn form(
    app: &App,
    visitor: &Visitor<'_>,
    chosen: Option<&str>,
    problem: Option<&str>,
) -> Result<Answer, Failure> {
    let page = app.pages.render(
        "platforms.html",
        context! {
            title => "Choose a platform",
            user => visitor.user.display_name,
            platforms => Serde(&visitor.user.platforms),
            chosen,
            problem,
        },
    )?;
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Ok(reply::html(status, page))
}
