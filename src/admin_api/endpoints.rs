//! Handlers of the endpoints.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Method, Request, Response, StatusCode, request::Parts};
use serde_json::json;
use tower_service::Service;

use crate::{
    admin_api::route::Route,
    context::{SessionContext, place::requested_place},
    csrf::verify_head,
    error::{Error, ErrorKind},
    layer::SessionAdmin,
    response::{HttpError as _, body::head_only},
    session::token::SessionId,
    session_api::{
        answers::{as_json, not_allowed, ok, refused, told},
        query::{page, user},
    },
};

type Answered = Result<Response<String>, Error>;

/// The endpoints, without their guard.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    admin: SessionAdmin,
}

impl Endpoints {
    pub(super) const fn new(admin: SessionAdmin) -> Self {
        Self { admin }
    }

    async fn answer(self, head: &Parts) -> Response<String> {
        let Some(session) = head.extensions.get::<SessionContext>() else {
            return told(StatusCode::INTERNAL_SERVER_ERROR, "session_failed");
        };
        let route = route(head);
        // A page that polls must not keep an administrator signed in, though the guard has loaded
        // the session.
        if matches!(route, Route::Status | Route::Sessions) {
            session.mark_passive();
        }
        if route.is_change()
            && let Err(error) = verify_head(head, session).await
        {
            let said = json!({ "error": error.code() }).to_string();
            return as_json(error.response_to(head, said));
        }
        let answered = match route {
            Route::Status => Ok(self.status()),
            Route::Sessions => self.sessions(session, head.uri.query()).await,
            Route::Revoke(id) => self.revoke(session, head.uri.query(), &id).await,
            Route::RevokeAll => self.revoke_all(session, head.uri.query()).await,
            Route::NotAllowed(methods) => Ok(not_allowed(methods)),
            Route::Unknown => Ok(told(StatusCode::NOT_FOUND, "not_found")),
        };
        answered.unwrap_or_else(|error| refused(session, error))
    }

    fn status(&self) -> Response<String> {
        as_json(Response::new(self.admin.report().to_json()))
    }

    async fn sessions(&self, session: &SessionContext, query: Option<&str>) -> Answered {
        let Some(user) = user(query) else {
            return Ok(told(StatusCode::BAD_REQUEST, "invalid_user"));
        };
        let Ok(wanted) = page(query) else {
            return Ok(told(StatusCode::BAD_REQUEST, "invalid_page"));
        };
        let wanted = wanted.unwrap_or_default();
        let page = self.admin.sessions_page_of(&user, wanted.after.as_ref(), wanted.limit).await;
        let mut page = match page {
            Err(error) if error.kind() == ErrorKind::Invalid => {
                return Ok(told(StatusCode::BAD_REQUEST, "invalid_page"));
            }
            page => page?,
        };
        let own = session.id().await?;
        page.sessions.iter_mut().for_each(|info| info.current = own == Some(info.id));
        Ok(ok(&json!({ "sessions": page.sessions, "next": page.next })))
    }

    async fn revoke(
        &self,
        session: &SessionContext,
        query: Option<&str>,
        id: &SessionId,
    ) -> Answered {
        let Some(user) = user(query) else {
            return Ok(told(StatusCode::BAD_REQUEST, "invalid_user"));
        };
        if self.named(session).await?.revoke(&user, id).await? {
            return Ok(ok(&json!({ "revoked": true })));
        }
        Ok(told(StatusCode::NOT_FOUND, "no_such_session"))
    }

    async fn revoke_all(&self, session: &SessionContext, query: Option<&str>) -> Answered {
        let Some(user) = user(query) else {
            return Ok(told(StatusCode::BAD_REQUEST, "invalid_user"));
        };
        let count = self.named(session).await?.revoke_all(&user).await?;
        Ok(ok(&json!({ "revoked": count })))
    }

    /// The handle that names the administrator in events.
    async fn named(&self, session: &SessionContext) -> Result<SessionAdmin, Error> {
        let actor = match session.impersonator().await? {
            Some(actor) => actor,
            None => session.signed_in().await?,
        };
        Ok(self.admin.clone().on_behalf_of(&actor))
    }
}

impl Service<Request<()>> for Endpoints {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let (head, ()) = request.into_parts();
        let endpoints = self.clone();
        Box::pin(async move {
            let response = endpoints.answer(&head).await;
            if head.method != Method::HEAD {
                return Ok(response);
            }
            let length = u64::try_from(response.body().len()).ok();
            Ok(head_only(response, length, String::new()))
        })
    }
}

/// By the rest of the path after routing, which may be too short: mounted at `/sessions`, say.
fn route(head: &Parts) -> Route {
    match Route::of(&head.method, head.uri.path()) {
        Route::Unknown => requested_place(head)
            .map_or(Route::Unknown, |place| Route::of(&head.method, place.path())),
        known => known,
    }
}
