//! The middleware around the routes, from the outside in.

use std::{convert::Infallible, io, sync::Arc};

use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use tower::{Service, ServiceBuilder, service_fn};
use tower_redis_session::{Error, RedisSessionLayer};

use crate::{
    failure, headers,
    log::LogLayer,
    origin::SameOriginLayer,
    reply::Answer,
    routes::{App, Body},
};

/// The whole server as one service; it works the same behind a connection and in a test.
pub(crate) fn stack(
    app: Arc<App>,
    sessions: RedisSessionLayer,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send {
    let for_errors = Arc::clone(&app);
    let sessions = sessions.on_error(move |error: &Error| not_saved(&for_errors, error));
    ServiceBuilder::new()
        // Outermost, so that it sees the answers that the layers below give themselves.
        .layer(LogLayer)
        .map_response(headers::protect)
        .map_response(|response: Response<_>| {
            response.map(|body| Body::new(BodyExt::map_err(body, io::Error::other)))
        })
        // Around the routes alone. It does nothing for a request whose handler leaves the session
        // alone, which is why the style sheet and /healthz need no branch around it.
        .layer(sessions)
        // Inside the session layer, because its answers have the routes' body; a refused request
        // does not touch the session either.
        .layer(SameOriginLayer)
        .service(service_fn(move |request| Arc::clone(&app).handle(request)))
}

/// The handler was content, but what it changed could not be saved.
fn not_saved(app: &App, error: &Error) -> Answer {
    let sentence =
        "What you did could not be saved, or only perhaps. Please look, and try again shortly.";
    let mut answer = failure::page(&app.pages, error.status(), sentence);
    if let Some(pause) = error.retry_after() {
        let seconds = HeaderValue::from(pause.as_secs().max(1));
        answer.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    answer
}
