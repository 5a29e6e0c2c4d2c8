//! Handlers of the endpoints.

use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
    request::Parts,
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    context::{SessionContext, place::requested_place},
    error::{Error, ErrorKind},
    request::touch::touch,
    session::token::SessionId,
    session_api::{
        SessionApi,
        answers::{not_allowed, ok, refused, told},
        body::SessionApiBody,
        query::{self, Wanted},
        route::Route,
        snapshot_json::{listed, shown},
        stream::{self, Events},
    },
    transport::cross_site::{Judged, is_from_elsewhere, says_cross_site},
};

type Answered = Result<Response<SessionApiBody>, Error>;

impl SessionApi {
    pub(super) async fn answer(
        &self,
        head: &Parts,
        session: Option<SessionContext>,
    ) -> Response<SessionApiBody> {
        let route = route(head);
        let Some(session) = session else {
            tracing::error!("session api outside of the session layer: every request is rejected");
            return told(StatusCode::INTERNAL_SERVER_ERROR, "session_failed");
        };
        if !route.is_safe() && is_forged(head, &session) {
            return told(StatusCode::FORBIDDEN, "cross_site");
        }
        // Subscribing to events is not activity, even if a guard has loaded the session.
        if matches!(route, Route::State | Route::Validate | Route::Sessions | Route::Events) {
            session.mark_passive();
        }
        let answered = match route {
            Route::State => state(&session).await,
            Route::Validate => validate(&session).await,
            Route::Heartbeat => heartbeat(&session).await,
            Route::Sessions => sessions(&session, head.uri.query()).await,
            Route::Revoke(id) => revoke(&session, &id).await,
            Route::RevokeOthers => revoke_others(&session).await,
            Route::Logout => session.logout().await.map(|()| ok(&json!({ "signed_in": false }))),
            Route::LogoutEverywhere => {
                session.logout_everywhere().await.map(|()| ok(&json!({ "signed_in": false })))
            }
            Route::EndImpersonation => end_impersonation(&session).await,
            Route::Events => Ok(self.events(session.clone())),
            Route::NotAllowed(methods) => Ok(not_allowed(methods)),
            Route::Unknown => Ok(told(StatusCode::NOT_FOUND, "not_found")),
        };
        answered.unwrap_or_else(|error| refused(&session, error))
    }

    fn events(&self, session: SessionContext) -> Response<SessionApiBody> {
        let ends = Instant::now() + self.life;
        // By the cookies alone: the session is not loaded before the head, since a subscription is
        // not activity.
        let ids = session.session.presented().iter().map(|(id, _)| *id);
        let Some(place) = self.streams.places.take(ids, ends) else {
            // A browser never reconnects to a stream whose status was not 200.
            let (reason, retry) = if self.streams.over.is_cancelled() {
                // Reconnects to another instance, since this one stops.
                ("stopping", stream::RETRY_MILLIS)
            } else {
                (stream::TOO_MANY, stream::RETRY_MILLIS_ENDED)
            };
            let said = json!({ "reason": reason });
            return streamed(SessionApiBody::once(stream::told("unavailable", &said, retry)));
        };
        let over = self.streams.over.clone();
        let events = Events::new(session, (self.interval, ends), place, over);
        streamed(SessionApiBody::events(events))
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

/// Fails closed: trusts what the browser reports of a request's origin. A CSRF layer in front has
/// decided by its own settings. With a header transport only a page that has the token can send it,
/// so only `Sec-Fetch-Site: cross-site` counts.
fn is_forged(head: &Parts, session: &SessionContext) -> bool {
    let judged = head.extensions.get::<Judged>().is_some();
    let is_ambient = session.session.backend.rules.transport.is_ambient();
    !judged && if is_ambient { is_from_elsewhere(head, false, &[]) } else { says_cross_site(head) }
}

fn streamed(body: SessionApiBody) -> Response<SessionApiBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let _ = headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Asks nginx and compatible proxies not to buffer events.
    let _ = headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let _ = headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn state(session: &SessionContext) -> Answered {
    match shown(session).await {
        Ok(said) => Ok(ok(&said)),
        Err(error) => match error.kind() {
            ErrorKind::Absent => Ok(ok(&json!({ "signed_in": false, "reason": "absent" }))),
            ErrorKind::Expired => Ok(ok(&json!({ "signed_in": false, "reason": "expired" }))),
            ErrorKind::Ambiguous => Ok(ok(&json!({ "signed_in": false, "reason": "ambiguous" }))),
            ErrorKind::Corrupt => Ok(ok(&json!({ "signed_in": false, "reason": "unreadable" }))),
            _ => Err(error),
        },
    }
}

async fn validate(session: &SessionContext) -> Answered {
    session.validate().await?;
    Ok(ok(&json!({ "valid": true, "session": shown(session).await? })))
}

async fn heartbeat(session: &SessionContext) -> Answered {
    let mut snapshot = session.snapshot().await?;
    let (request, mut extended) = (&session.session, false);
    if let Some((held, activity)) = request.due_touch() {
        // The activity is not recorded again with the head.
        session.mark_passive();
        let touched = touch(&request.backend, &held, activity);
        extended = request.within_budget(touched).await?;
        if extended {
            snapshot.expires_at = activity.end;
        } else {
            // A concurrent request recorded its activity, or ended it.
            session.validate().await?;
            snapshot = session.snapshot().await?;
        }
    }
    Ok(ok(&json!({
        "expires_at": snapshot.expires_at.to_string(),
        "expires_in": session.remaining(&snapshot).as_secs(),
        "extended": extended,
    })))
}

/// All sessions, or the page that the query requests.
async fn sessions(session: &SessionContext, query: Option<&str>) -> Answered {
    let refused = || Ok(told(StatusCode::BAD_REQUEST, "invalid_page"));
    let Ok(wanted) = query::page(query) else { return refused() };
    let Some(Wanted { limit, after }) = wanted else {
        let listed: Vec<_> = session.sessions().await?.iter().map(listed).collect();
        return Ok(ok(&json!({ "sessions": listed })));
    };
    let page = match session.sessions_page(after.as_ref(), limit).await {
        Err(error) if error.kind() == ErrorKind::Invalid => return refused(),
        page => page?,
    };
    let listed: Vec<_> = page.sessions.iter().map(listed).collect();
    Ok(ok(&json!({ "sessions": listed, "next": page.next.map(|next| next.to_string()) })))
}

async fn revoke(session: &SessionContext, id: &SessionId) -> Answered {
    if session.revoke(id).await? {
        return Ok(ok(&json!({ "revoked": true })));
    }
    Ok(told(StatusCode::NOT_FOUND, "no_such_session"))
}

async fn end_impersonation(session: &SessionContext) -> Answered {
    let ended = session.end_impersonation().await?;
    Ok(ok(&json!({ "ended": ended, "session": shown(session).await? })))
}

async fn revoke_others(session: &SessionContext) -> Answered {
    Ok(ok(&json!({ "revoked": session.revoke_others().await? })))
}
