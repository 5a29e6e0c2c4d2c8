//! Signing in and out, and who is signed in.

use http::{HeaderValue, StatusCode, header, request::Parts};
use minijinja::context;
use tower_redis_session::SessionContext;

use crate::{
    accounts::{DEMO_CREDENTIALS, User},
    failure::Failure,
    form::Fields,
    reply::{self, Answer},
    routes::{App, Body},
};

/// Where people land when no other page is waiting for them.
const LANDING: &str = "/caption_generation";

/// Somebody who is signed in, with their session.
pub(crate) struct Visitor<'a> {
    pub(crate) session: SessionContext,
    pub(crate) user: &'a User,
}

impl<'a> Visitor<'a> {
    /// The visitor, or the failure that leads to the sign-in form. A store that cannot be reached
    /// is a third thing: it must not look as if nobody were signed in.
    pub(crate) async fn of(app: &'a App, parts: &Parts) -> Result<Self, Failure> {
        let session = session(parts)?;
        let id = session.user_id().await?.ok_or(Failure::SignInFirst)?;
        let user = app.accounts.user(&id).ok_or(Failure::SignInFirst)?;
        Ok(Self { session, user })
    }
}

/// `GET /`
pub(crate) async fn home(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    Visitor::of(app, parts).await?;
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
        Err(_) => form(app, StatusCode::OK, next, "", None),
    }
}

/// `POST /login`
pub(crate) async fn submit(app: &App, parts: &Parts, body: Body) -> Result<Answer, Failure> {
    let fields = Fields::read(&parts.headers, body).await?;
    let next = local_path(fields.get("next"));
    let name = fields.get("username").unwrap_or_default().trim();
    let password = fields.get("password").unwrap_or_default();
    let Some(user) = app.accounts.check(name, password).await? else {
        let problem = "The user name or the password is wrong.";
        return form(app, StatusCode::UNAUTHORIZED, next, name, Some(problem));
    };
    // The session gets a new id, so one that was planted before is worth nothing.
    session(parts)?.login(user.id, None).await?;
    Ok(reply::see_other(next))
}

/// `POST /logout`
pub(crate) async fn leave(parts: &Parts) -> Result<Answer, Failure> {
    session(parts)?.logout().await?;
    Ok(reply::see_other("/login"))
}

fn form(
    app: &App,
    status: StatusCode,
    next: &str,
    name: &str,
    problem: Option<&str>,
) -> Result<Answer, Failure> {
    let page = app.pages.render(
        "login.html",
        context! {
            title => "Sign in",
            user => None::<&str>,
            next,
            name,
            problem,
            demo => DEMO_CREDENTIALS,
        },
    )?;
    let mut answer = reply::html(status, page);
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110, section 15.5.2, wants a challenge. A scheme that browsers do not know keeps
        // them from opening a dialogue of their own over the form.
        let challenge = HeaderValue::from_static("Form realm=\"caption server\"");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    Ok(answer)
}

fn session(parts: &Parts) -> Result<SessionContext, Failure> {
    parts.extensions.get::<SessionContext>().cloned().ok_or(Failure::Internal)
}

/// The wanted page, if it is one of this server; a link to the sign-in form must not become a
/// springboard to another site.
fn local_path(wanted: Option<&str>) -> &str {
    match wanted {
        Some(path) if is_local(path) => path,
        _ => LANDING,
    }
}

fn is_local(path: &str) -> bool {
    // Browsers read a backslash as a slash, and drop tabs and line ends before they look.
    path.len() <= 512
        && path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_followed() {
        for (wanted, expected) in [
            (Some("/platforms"), "/platforms"),
            (Some("/caption_generation?a=1&b=%2F"), "/caption_generation?a=1&b=%2F"),
            (Some("/"), "/"),
            (None, LANDING),
            (Some(""), LANDING),
            (Some("platforms"), LANDING),
            (Some("//evil.example"), LANDING),
            (Some("/\\evil.example"), LANDING),
            (Some("/a\\b"), LANDING),
            (Some("\\\\evil.example"), LANDING),
            (Some("https://evil.example/"), LANDING),
            (Some("javascript:alert(1)"), LANDING),
            (Some("/\t/evil.example"), LANDING),
            (Some("/a\r\nSet-Cookie: b=c"), LANDING),
            (Some(" /platforms"), LANDING),
            (Some("/\u{e9}"), LANDING),
        ] {
            assert_eq!(local_path(wanted), expected, "{wanted:?}");
        }
    }
}
