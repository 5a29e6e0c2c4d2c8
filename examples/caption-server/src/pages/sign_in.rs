//! Signing in and out.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header, request::Parts};
use minijinja::context;
use tower_redis_session::{
    SessionExpiry,
    guard::safe_next,
    limiter::{AttemptError, Throttled},
    response::HttpError as _,
};

use crate::{
    app::App,
    data::DEMO_CREDENTIALS,
    failure::Failure,
    pages::{
        templates::Frame,
        visitor::{Visitor, session},
    },
    web::{
        Body,
        form::Fields,
        reply::{self, Answer},
    },
};

/// Where people land when no other page is waiting for them.
const LANDING: &str = "/caption_generation";
/// How long "keep me signed in" keeps somebody signed in: so long without a visit, and so long at
/// all.
const REMEMBERED_IDLE: Duration = Duration::from_secs(14 * 24 * 3600);
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);

/// `GET /`
pub(crate) async fn home(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    let _ = Visitor::of(app, parts).await?;
    Ok(reply::see_other(LANDING))
}

/// `GET /login`
pub(crate) async fn page(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    let query = Fields::of_query(parts.uri.query());
    let next = local_path(query.get("next"));
    match Visitor::of(app, parts).await {
        Ok(_) => Ok(reply::see_other(next)),
        // With the store away nobody can sign in.
        Err(failure) if failure.status() == StatusCode::SERVICE_UNAVAILABLE => Err(failure),
        // A session that cannot be read is replaced by signing in, so the form must not hide.
        Err(_) => form(app, parts, StatusCode::OK, next, "", None).await,
    }
}

/// `POST /login`
pub(crate) async fn submit(app: &App, parts: &Parts, body: Body) -> Result<Answer, Failure> {
    let fields = Fields::read(&parts.headers, body).await?;
    let next = local_path(fields.get("next"));
    let name = fields.get("username").unwrap_or_default().trim();
    let password = fields.get("password").unwrap_or_default();
    // Before anything is looked up: a name that there is and one that there is not cost the same,
    // and guesses at once are no cheaper than one after the other.
    let address = app.attempts.address(&parts.headers, &parts.extensions)?;
    let guess = match app.attempts.begin(name, address).await {
        Ok(guess) => guess,
        Err(AttemptError::Throttled(wait)) => return throttled(app, parts, next, name, wait).await,
        Err(AttemptError::Store(error)) => return Err(error.into()),
        Err(_) => return Err(Failure::Busy),
    };
    // Nobody is called that, and PostgreSQL takes no such text.
    let no_name = name.contains(char::is_control);
    let found = if no_name { None } else { app.data.user_by_name(name).await? };
    let session = session(parts)?;
    // From before the password is checked: a sign-in under way ends with everything else when all
    // sessions of the user are ended. For a name that there is not it takes as long.
    let id = found.as_ref().map_or("nobody", |(user, _)| &*user.id);
    let attempt = session.begin_login(id).await?;
    if app.passwords.check(found, password).await?.is_none() {
        return wrong(app, parts, next, name).await;
    }
    // The session gets a new id, so one that was planted before is worth nothing.
    session.finish_login(attempt).await?;
    guess.succeeded().await;
    if fields.get("remember").is_some() {
        let expiry = SessionExpiry::new(REMEMBERED_IDLE).absolute(REMEMBERED).remembered();
        session.set_expiry(expiry).await?;
    }
    Ok(reply::see_other(next))
}

/// `POST /logout`
pub(crate) async fn leave(parts: &Parts) -> Result<Answer, Failure> {
    session(parts)?.logout().await?;
    Ok(reply::see_other("/login"))
}

async fn wrong(app: &App, parts: &Parts, next: &str, name: &str) -> Result<Answer, Failure> {
    let problem = "The user name or the password is wrong.";
    form(app, parts, StatusCode::UNAUTHORIZED, next, name, Some(problem)).await
}

async fn throttled(
    app: &App,
    parts: &Parts,
    next: &str,
    name: &str,
    throttled: Throttled,
) -> Result<Answer, Failure> {
    let problem = match throttled.retry_after().as_secs() {
        0..60 => "Too many attempts. Please try again in a minute.",
        60..3_600 => "Too many attempts. Please try again in an hour.",
        _ => "Too many attempts. Please try again tomorrow.",
    };
    let status = throttled.status();
    let mut answer = form(app, parts, status, next, name, Some(problem)).await?;
    let seconds = throttled.retry_after().as_secs().into();
    let _ = answer.headers_mut().insert(header::RETRY_AFTER, seconds);
    Ok(answer)
}

async fn form(
    app: &App,
    parts: &Parts,
    status: StatusCode,
    next: &str,
    name: &str,
    problem: Option<&str>,
) -> Result<Answer, Failure> {
    // For a visitor without a session as well: it costs no record.
    let csrf = session(parts)?.csrf_token().await?.to_string();
    let frame = Frame { csrf, ..Frame::default() };
    let values = context! { title => "Sign in", next, name, problem, demo => DEMO_CREDENTIALS };
    let mut answer = reply::html(status, app.pages.render_in("login.html", &frame, values)?);
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110, section 15.5.2, wants a challenge. A scheme that browsers do not know keeps
        // them from opening a dialogue of their own over the form.
        let challenge = HeaderValue::from_static("Session");
        let _ = answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    Ok(answer)
}

/// The wanted page, if it is one of this server; a link to the sign-in form must not become a
/// springboard to another site.
fn local_path(wanted: Option<&str>) -> &str {
    wanted.and_then(safe_next).filter(|path| *path != "/logout").unwrap_or(LANDING)
}
