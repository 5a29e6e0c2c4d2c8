//! The middleware around the routes, from the outside in.

use std::{convert::Infallible, error::Error as StdError, io, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::BodyExt;
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_redis_session::{
    ConfigError, Error, RedisSessionLayer,
    csrf::{CsrfError, CsrfLayer},
    directory::Directory as _,
    guard::{Denied, RequireLayer},
    response::ErrorResponse,
};

use crate::{
    app::App,
    failure::Failure,
    routes::{Access, access},
    web::{Body, headers, log::LogLayer, reply::Answer},
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
    let shape = Shape(Arc::clone(&app));
    let sessions = sessions.on_error(shape.clone());
    let csrf = UPLOADS.into_iter().fold(CsrfLayer::builder(), |csrf, path| csrf.exempt_path(path));
    let csrf = csrf.build()?.on_error(shape.clone());
    Ok(ServiceBuilder::new()
        // Outermost, so that it sees the answers that the layers below give themselves.
        .layer(LogLayer)
        .map_response(headers::protect)
        .map_response(boxed)
        // Around the routes alone. It does nothing for a request whose handler leaves the session
        // alone, which is why the style sheet and /healthz need no branch around it.
        .layer(sessions)
        .map_response(boxed)
        .layer(csrf)
        .map_request(|request: Request<_>| request.map(Body::new))
        .service(guarded(app, shape)))
}

/// The routes, each behind the guard that it needs.
fn guarded(
    app: Arc<App>,
    shape: Shape,
) -> impl Service<Request<Body>, Response = Answer, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
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
        .layer(RequireLayer::user().on_denied(shape.clone()))
        .service(routes.clone());
    let administrators = ServiceBuilder::new()
        .map_response(boxed)
        .layer(RequireLayer::role("admin", role).on_denied(shape))
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

/// The one shape of what the layers of the library reject: JSON or a page, as of any failure.
#[derive(Clone)]
struct Shape(Arc<App>);

impl<E> ErrorResponse<E> for Shape
where
    Rejected: for<'a> From<&'a E>,
{
    type Body = Body;

    fn respond(&self, error: &E, request: &Parts) -> Answer {
        Rejected::from(error).0.answer(&self.0.pages, request)
    }
}

struct Rejected(Failure);

impl From<&CsrfError> for Rejected {
    fn from(error: &CsrfError) -> Self {
        Self(Failure::Csrf(error.clone()))
    }
}

impl From<&Denied> for Rejected {
    fn from(denied: &Denied) -> Self {
        Self(Failure::Denied(denied.clone()))
    }
}

/// The handler was content, but what it changed could not be saved.
impl From<&Error> for Rejected {
    fn from(error: &Error) -> Self {
        Self(Failure::NotSaved(error.clone()))
    }
}
