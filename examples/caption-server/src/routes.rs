//! From the address of a request to the handler that answers it.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use http::{HeaderValue, Method, Request, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use tokio::time::timeout;
use tower::Service as _;

use crate::{
    app::App,
    failure::Failure,
    pages::{
        admin, captions, devices, outage, platforms, platforms_api, readiness, settings, sign_in,
        task, templates,
    },
    web::{
        Body,
        reply::{self, Answer},
    },
};

mod place;

pub(crate) use place::{Access, access};
use place::{AdminDeed, Place};

/// For a handler to answer.
const PATIENCE: Duration = Duration::from_secs(30);
const UPLOAD_PATIENCE: Duration = Duration::from_secs(180);

impl App {
    /// Answers one request. Whatever goes wrong becomes an answer too.
    pub(crate) async fn handle(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> Result<Answer, Infallible> {
        let (parts, body) = request.into_parts();
        // Uploads have a limit of their own.
        let upload =
            matches!(Place::at(parts.uri.path()), Some(Place::StartCaptions | Place::ApiTasks));
        let patience = if upload { UPLOAD_PATIENCE } else { PATIENCE };
        let answer = match timeout(patience, self.page(&parts, body)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => failure.answer(&self.pages, &parts),
            // A database that hangs, most likely.
            Err(_) => Failure::Database.answer(&self.pages, &parts),
        };
        Ok(without_body_for_head(&parts, answer))
    }

    async fn page(self: &Arc<Self>, parts: &Parts, body: Body) -> Result<Answer, Failure> {
        let place = Place::at(parts.uri.path())
            .ok_or(Failure::NotFound("There is no page at this address."))?;
        // The API of the crate knows its own methods.
        if !place.allows(&parts.method) && place != Place::SessionApi {
            return Err(Failure::MethodNotAllowed(place.methods()));
        }
        match place {
            Place::Health
            | Place::Ready
            | Place::Style
            | Place::Script
            | Place::Icon
            | Place::SessionApi => self.open(place, parts).await,
            Place::Admin
            | Place::AdminUser(..)
            | Place::SessionReport
            | Place::SessionMetrics
            | Place::Outage
            | Place::OutageDeed(_)
            | Place::OutageEvents => self.operators(place, parts).await,
            _ => self.members(place, parts, body).await,
        }
    }

    /// But for the last one these do not touch the session, so they answer with the store down too,
    /// and cost it nothing.
    async fn open(&self, place: Place<'_>, parts: &Parts) -> Result<Answer, Failure> {
        Ok(match place {
            Place::Ready => readiness::answer(&self.sessions),
            Place::Style => reply::file("text/css; charset=utf-8", templates::STYLE),
            Place::Script => reply::file("text/javascript; charset=utf-8", templates::SCRIPT),
            Place::Icon => reply::file("image/svg+xml", templates::ICON),
            Place::SessionApi => {
                let request = Request::from_parts(parts.clone(), ());
                let Ok(answer) = self.session_api.clone().call(request).await;
                answer.map(|body| Body::new(body.map_err(|never| match never {})))
            }
            _ => reply::text(StatusCode::OK, "ok\n"),
        })
    }

    async fn members(
        &self,
        place: Place<'_>,
        parts: &Parts,
        body: Body,
    ) -> Result<Answer, Failure> {
        let post = parts.method == Method::POST;
        match place {
            Place::Login if post => boxed(|| sign_in::submit(self, parts, body)).await,
            Place::Login => boxed(|| sign_in::page(self, parts)).await,
            Place::Logout => boxed(|| sign_in::leave(parts)).await,
            Place::Platforms if post => boxed(|| platforms::choose(self, parts, body)).await,
            Place::Platforms => boxed(|| platforms::page(self, parts)).await,
            Place::NewPlatform if post => boxed(|| platforms::save(self, parts, body, None)).await,
            Place::NewPlatform => boxed(|| platforms::form(self, parts, None)).await,
            Place::Platform(id) if post => {
                boxed(|| platforms::save(self, parts, body, Some(id))).await
            }
            Place::Platform(id) => boxed(|| platforms::form(self, parts, Some(id))).await,
            Place::DeletePlatform(id) => boxed(|| platforms::delete(self, parts, id)).await,
            Place::DefaultPlatform(id) => boxed(|| platforms::make_default(self, parts, id)).await,
            Place::Captions => boxed(|| captions::page(self, parts)).await,
            Place::StartCaptions => boxed(|| captions::start(self, parts, body)).await,
            Place::Task(id) => boxed(|| task::page(self, parts, id)).await,
            Place::CancelTask(id) => boxed(|| task::cancel(self, parts, id)).await,
            Place::Settings if post => boxed(|| settings::save(self, parts, body)).await,
            Place::Settings => boxed(|| settings::page(self, parts)).await,
            Place::Devices => boxed(|| devices::page(self, parts)).await,
            Place::RevokeDevice => boxed(|| devices::revoke(self, parts, body)).await,
            Place::LabelDevice => boxed(|| devices::label(self, parts, body)).await,
            Place::ApiPlatforms => boxed(|| platforms_api::platforms(self, parts, body)).await,
            Place::ApiPlatform(id) => {
                boxed(|| platforms_api::platform(self, parts, body, id)).await
            }
            Place::ApiActivate(id) => {
                boxed(|| platforms_api::activate(self, parts, id, false)).await
            }
            Place::ApiDefault(id) => boxed(|| platforms_api::activate(self, parts, id, true)).await,
            Place::ApiSettings => boxed(|| settings::api(self, parts, body)).await,
            Place::ApiTasks if post => boxed(|| captions::start(self, parts, body)).await,
            Place::ApiTasks => boxed(|| task::list(self, parts)).await,
            Place::ApiTask(id) => boxed(|| task::state(self, parts, id)).await,
            Place::ApiTaskEvents(id) => boxed(|| task::events(self, parts, id)).await,
            _ => boxed(|| sign_in::home(self, parts)).await,
        }
    }

    async fn operators(
        self: &Arc<Self>,
        place: Place<'_>,
        parts: &Parts,
    ) -> Result<Answer, Failure> {
        match place {
            Place::AdminUser(id, AdminDeed::ClearPlatform) => {
                admin::clear_platform(self, parts, id).await
            }
            Place::AdminUser(id, AdminDeed::SignOut) => {
                boxed(|| admin::sign_out(self, parts, id)).await
            }
            Place::AdminUser(id, AdminDeed::Activate) => {
                admin::set_active(self, parts, id, true).await
            }
            Place::AdminUser(id, AdminDeed::Deactivate) => {
                admin::set_active(self, parts, id, false).await
            }
            Place::AdminUser(id, AdminDeed::Revoke(session)) => {
                admin::revoke(self, parts, id, session).await
            }
            Place::SessionReport => Ok(admin::report(self)),
            Place::SessionMetrics => Ok(admin::metrics(self)),
            Place::Outage => boxed(|| outage::page(self, parts)).await,
            Place::OutageDeed(deed) => boxed(|| outage::act(self, parts, deed)).await,
            Place::OutageEvents => outage::events(self, parts),
            _ => boxed(|| admin::page(self, parts)).await,
        }
    }
}

/// RFC 9110, section 9.3.2: the same head as for GET, and nothing after it.
fn without_body_for_head(parts: &Parts, answer: Answer) -> Answer {
    if parts.method != Method::HEAD {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let length = http_body::Body::size_hint(&body).exact().unwrap_or(0);
    let _ = head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Answer::from_parts(head, Body::default())
}

/// What a page awaits, on the heap: of so many pages one is awaited at a time, and the stack of a
/// build without optimisation would hold them all. Made in here, for the same reason.
fn boxed<F: Future>(page: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::pin(page())
}
