//! From the address of a request to the handler that answers it.

use std::{convert::Infallible, sync::Arc, time::Duration};

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
            Place::Login if post => sign_in::submit(self, parts, body).await,
            Place::Login => sign_in::page(self, parts).await,
            Place::Logout => sign_in::leave(parts).await,
            Place::Platforms if post => platforms::choose(self, parts, body).await,
            Place::Platforms => platforms::page(self, parts).await,
            Place::NewPlatform if post => platforms::save(self, parts, body, None).await,
            Place::NewPlatform => platforms::form(self, parts, None).await,
            Place::Platform(id) if post => platforms::save(self, parts, body, Some(id)).await,
            Place::Platform(id) => platforms::form(self, parts, Some(id)).await,
            Place::DeletePlatform(id) => platforms::delete(self, parts, id).await,
            Place::DefaultPlatform(id) => platforms::make_default(self, parts, id).await,
            Place::Captions => captions::page(self, parts).await,
            Place::StartCaptions => captions::start(self, parts, body).await,
            Place::Task(id) => task::page(self, parts, id).await,
            Place::CancelTask(id) => task::cancel(self, parts, id).await,
            Place::Settings if post => settings::save(self, parts, body).await,
            Place::Settings => settings::page(self, parts).await,
            Place::Devices => devices::page(self, parts).await,
            Place::RevokeDevice => devices::revoke(self, parts, body).await,
            Place::LabelDevice => devices::label(self, parts, body).await,
            Place::ApiPlatforms => platforms_api::platforms(self, parts, body).await,
            Place::ApiPlatform(id) => platforms_api::platform(self, parts, body, id).await,
            Place::ApiActivate(id) => platforms_api::activate(self, parts, id, false).await,
            Place::ApiDefault(id) => platforms_api::activate(self, parts, id, true).await,
            Place::ApiSettings => settings::api(self, parts, body).await,
            Place::ApiTasks if post => captions::start(self, parts, body).await,
            Place::ApiTasks => task::list(self, parts).await,
            Place::ApiTask(id) => task::state(self, parts, id).await,
            Place::ApiTaskEvents(id) => task::events(self, parts, id).await,
            _ => sign_in::home(self, parts).await,
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
            Place::AdminUser(id, AdminDeed::SignOut) => admin::sign_out(self, parts, id).await,
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
            Place::Outage => outage::page(self, parts).await,
            Place::OutageDeed(deed) => outage::act(self, parts, deed).await,
            Place::OutageEvents => outage::events(self, parts),
            _ => admin::page(self, parts).await,
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
