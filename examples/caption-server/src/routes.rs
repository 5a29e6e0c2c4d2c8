//! Which address is which page, and who may see it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{HeaderValue, Method, Request, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use tokio::time::timeout;
use tower::Service as _;

use crate::{
    app::App,
    failure::Failure,
    pages::{
        admin, captions, devices, platforms, platforms_api, readiness, settings, sign_in, task,
        templates,
    },
    sessions::outage,
    web::{
        Body,
        reply::{self, Answer},
    },
};

/// For a handler to answer.
const PATIENCE: Duration = Duration::from_secs(30);
const UPLOAD_PATIENCE: Duration = Duration::from_secs(180);

/// Who may ask for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Everybody,
    /// Who is signed in.
    Members,
    Administrators,
}

/// What an address is for. Names in it are as they came: nobody's in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place<'a> {
    Home,
    Login,
    Logout,
    Platforms,
    NewPlatform,
    Platform(&'a str),
    DeletePlatform(&'a str),
    DefaultPlatform(&'a str),
    Captions,
    StartCaptions,
    Task(&'a str),
    CancelTask(&'a str),
    Settings,
    Devices,
    RevokeDevice,
    LabelDevice,
    Admin,
    AdminUser(&'a str, AdminDeed<'a>),
    Outage,
    OutageDeed(&'a str),
    OutageEvents,
    SessionApi,
    SessionReport,
    SessionMetrics,
    ApiPlatforms,
    ApiPlatform(&'a str),
    ApiActivate(&'a str),
    ApiDefault(&'a str),
    ApiSettings,
    ApiTasks,
    ApiTask(&'a str),
    ApiTaskEvents(&'a str),
    Health,
    Ready,
    Style,
    Script,
    Icon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AdminDeed<'a> {
    ClearPlatform,
    SignOut,
    Activate,
    Deactivate,
    Revoke(&'a str),
}

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

/// Who may ask for what is at this path. What is nowhere everybody may be told of.
pub(crate) fn access(path: &str) -> Access {
    match Place::at(path) {
        None
        | Some(
            Place::Login
            | Place::Logout
            | Place::Health
            | Place::Ready
            | Place::Style
            | Place::Script
            | Place::Icon
            // It tells visitors that they are nobody.
            | Place::SessionApi,
        ) => Access::Everybody,
        Some(
            Place::Admin
            | Place::AdminUser(..)
            | Place::SessionReport
            | Place::SessionMetrics
            | Place::Outage
            | Place::OutageDeed(_)
            | Place::OutageEvents,
        ) => Access::Administrators,
        Some(_) => Access::Members,
    }
}

impl<'a> Place<'a> {
    fn at(path: &'a str) -> Option<Self> {
        let parts: Vec<_> = path.strip_prefix('/')?.split('/').collect();
        match parts.as_slice() {
            ["api", rest @ ..] => Self::of_api(rest),
            ["platforms", rest @ ..] => Self::of_platforms(rest),
            ["admin", rest @ ..] => Self::of_admin(rest),
            rest => Self::of_pages(rest),
        }
    }

    fn of_pages(parts: &[&'a str]) -> Option<Self> {
        Some(match parts {
            [""] => Self::Home,
            ["login"] => Self::Login,
            ["logout"] => Self::Logout,
            ["caption_generation"] => Self::Captions,
            ["start_caption_generation"] => Self::StartCaptions,
            ["caption_tasks", id] if is_id(id) => Self::Task(id),
            ["caption_tasks", id, "cancel"] => Self::CancelTask(id),
            ["settings"] => Self::Settings,
            ["devices"] => Self::Devices,
            ["devices", "revoke"] => Self::RevokeDevice,
            ["devices", "label"] => Self::LabelDevice,
            ["outage"] => Self::Outage,
            ["outage", "events"] => Self::OutageEvents,
            ["outage", deed] if is_id(deed) => Self::OutageDeed(deed),
            ["healthz"] => Self::Health,
            ["readyz"] => Self::Ready,
            ["style.css"] => Self::Style,
            ["app.js"] => Self::Script,
            ["icon.svg"] => Self::Icon,
            _ => return None,
        })
    }

    fn of_platforms(parts: &[&'a str]) -> Option<Self> {
        Some(match parts {
            [] => Self::Platforms,
            ["new"] => Self::NewPlatform,
            [id] if is_id(id) => Self::Platform(id),
            [id, "delete"] => Self::DeletePlatform(id),
            [id, "default"] => Self::DefaultPlatform(id),
            _ => return None,
        })
    }

    fn of_admin(parts: &[&'a str]) -> Option<Self> {
        Some(match parts {
            [] => Self::Admin,
            ["users", id, "clear_platform"] => Self::AdminUser(id, AdminDeed::ClearPlatform),
            ["users", id, "sign_out"] => Self::AdminUser(id, AdminDeed::SignOut),
            ["users", id, "activate"] => Self::AdminUser(id, AdminDeed::Activate),
            ["users", id, "deactivate"] => Self::AdminUser(id, AdminDeed::Deactivate),
            ["users", id, "sessions", session, "revoke"] => {
                Self::AdminUser(id, AdminDeed::Revoke(session))
            }
            _ => return None,
        })
    }

    fn of_api(parts: &[&'a str]) -> Option<Self> {
        Some(match parts {
            ["session", "report"] => Self::SessionReport,
            ["session", "metrics"] => Self::SessionMetrics,
            ["session", ..] => Self::SessionApi,
            ["platforms"] => Self::ApiPlatforms,
            ["platforms", id] if is_id(id) => Self::ApiPlatform(id),
            ["platforms", id, "activate"] => Self::ApiActivate(id),
            ["platforms", id, "default"] => Self::ApiDefault(id),
            ["settings"] => Self::ApiSettings,
            ["caption_tasks"] => Self::ApiTasks,
            ["caption_tasks", id] if is_id(id) => Self::ApiTask(id),
            ["caption_tasks", id, "results"] => Self::ApiTask(id),
            ["caption_tasks", id, "cancel"] => Self::CancelTask(id),
            ["caption_tasks", id, "events"] => Self::ApiTaskEvents(id),
            ["admin", rest @ ..] if !rest.is_empty() => return Self::of_admin(rest),
            _ => return None,
        })
    }

    /// As the `Allow` header has them.
    fn methods(self) -> &'static str {
        match self {
            Self::Login
            | Self::Platforms
            | Self::NewPlatform
            | Self::Platform(_)
            | Self::Settings
            | Self::ApiPlatforms
            | Self::ApiTasks => "GET, HEAD, POST",
            Self::Logout
            | Self::StartCaptions
            | Self::DeletePlatform(_)
            | Self::DefaultPlatform(_)
            | Self::CancelTask(_)
            | Self::RevokeDevice
            | Self::LabelDevice
            | Self::AdminUser(..)
            | Self::OutageDeed(_)
            | Self::ApiActivate(_)
            | Self::ApiDefault(_) => "POST",
            Self::ApiPlatform(_) => "GET, HEAD, PUT, DELETE",
            Self::ApiSettings => "GET, HEAD, PATCH",
            Self::ApiTaskEvents(_) | Self::OutageEvents => "GET",
            _ => "GET, HEAD",
        }
    }

    fn allows(self, method: &Method) -> bool {
        self.methods().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// What an id may look like; whether there is such a thing is another question.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
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
