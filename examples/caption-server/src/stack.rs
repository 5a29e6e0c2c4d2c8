//! The middleware around the routes, from the outside in.

use std::{convert::Infallible, error::Error as StdError, io, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header, request::Parts};
use http_body_util::BodyExt;
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_redis_session::{
    ConfigError, Error, RedisSessionLayer,
    csrf::{CsrfError, CsrfLayer},
    directory::Directory as _,
    guard::{Denied, RequireLayer},
};

use crate::{
    app::App,
    failure::{self, Failure},
    routes::{Access, access},
    web::{
        Body, headers,
        log::LogLayer,
        reply::{self, Answer},
    },
};

/// Their bodies carry files, which the layer does not look into; their handlers verify the token.
const UPLOADS: [&str; 2] = ["/start_caption_generation", "/api/caption_tasks"];

/// The whole server as one service; it works the same behind a connection and in a test.
pub(crate) fn stack(
    app: Arc<App>,
    sessions: RedisSessionLayer,
) -> Result<
    impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static,
    ConfigError,
> {
    let for_errors = Arc::clone(&app);
    let sessions = sessions.on_error(move |error: &Error| not_saved(&for_errors, error));
    let csrf = UPLOADS.into_iter().fold(CsrfLayer::builder(), |csrf, path| csrf.exempt_path(path));
    let for_forged = Arc::clone(&app);
    let csrf = csrf.on_refusal(move |error: &CsrfError, parts: &Parts| {
        Failure::Csrf(error.clone()).whole(&for_forged.pages, parts)
    });
    let csrf = csrf.build()?;
    Ok(ServiceBuilder::new()
        // Outermost, so that it sees the answers that the layers below give themselves.
        .layer(LogLayer)
        .map_response(headers::protect)
        .map_response(boxed)
        // Around the routes alone. It does nothing for a request whose handler leaves the session
        // alone, which is why the style sheet and /healthz need no branch around it.
        .layer(sessions)
        .map_response(|response: Response<_>| response.map(Body::new))
        .layer(csrf)
        .map_request(|request: Request<_>| request.map(Body::new))
        .service(guarded(app)))
}

/// The routes, each behind the guard that it needs.
fn guarded(
    app: Arc<App>,
) -> impl Service<Request<Body>, Response = Answer, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    let deny = {
        let app = Arc::clone(&app);
        move |denied: &Denied, parts: &Parts| {
            Failure::Denied(denied.clone()).answer(&app.pages, parts)
        }
    };
    let role = {
        let app = Arc::clone(&app);
        move |user: String| {
            let app = Arc::clone(&app);
            async move {
                let user = app.people.user(&user).await?;
                Ok(user.filter(|user| user.active).map(|user| user.role))
            }
        }
    };
    let routes = service_fn(move |request| Arc::clone(&app).handle(request));
    let members = ServiceBuilder::new()
        .map_response(boxed)
        .layer(RequireLayer::user().on_denied(deny.clone()))
        .service(routes.clone());
    let administrators = ServiceBuilder::new()
        .map_response(boxed)
        .layer(RequireLayer::role("admin", role).on_denied(deny))
        .service(routes.clone());
    service_fn(move |request: Request<Body>| {
        let (routes, members) = (routes.clone(), members.clone());
        let administrators = administrators.clone();
        async move {
            match access(request.uri().path()) {
                Access::Everybody => routes.oneshot(request).await,
                Access::Members => members.oneshot(request).await,
                Access::Administrators => administrators.oneshot(request).await,
            }
        }
    })
}

/// A response whose body is of the one type that all of them have.
fn boxed<B>(response: Response<B>) -> Answer
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>>,
    B: Send + 'static,
{
    response.map(|body| Body::new(BodyExt::map_err(body, io::Error::other)))
}

/// The handler was content, but what it changed could not be saved.
fn not_saved(app: &App, error: &Error) -> Answer {
    let sentence = "The changes may not have been saved. Please check, and try again shortly.";
    let mut answer = reply::sent(failure::page(&app.pages, error.status(), sentence));
    if let Some(pause) = error.retry_after() {
        let seconds = HeaderValue::from(pause.as_secs().max(1));
        let _ = answer.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    answer
}
