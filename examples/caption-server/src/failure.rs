//! What can go wrong in a handler, and the answer it becomes.

use std::{fmt, time::Duration};

use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use minijinja::context;
use serde::Serialize;
use tower_redis_session::{
    csrf::{CsrfError, CsrfErrorKind},
    guard::{Denied, DeniedKind},
};

use crate::{
    captions::{CaptionError, picture::PictureError, settings::Rejected},
    pages::templates::Pages,
    web::{
        form::encoded,
        reply::{self, Answer, Whole},
    },
};

/// Why a handler has no answer of its own. `Display` is written for the person at the browser and
/// tells no internals.
#[derive(Debug)]
pub(crate) enum Failure {
    Bad(&'static str),
    /// A sentence for each field.
    Rejected(Rejected),
    NotFound(&'static str),
    MethodNotAllowed(&'static str),
    /// The user has an active task: that one.
    AlreadyActive(Option<String>),
    TooSlow,
    TooLarge(&'static str),
    Unsupported(&'static str),
    Busy,
    Internal,
    /// The application's database.
    Database,
    /// A guard.
    Denied(Denied),
    Csrf(CsrfError),
    Session(tower_redis_session::Error),
    /// The session layer: the handler is done, and its changes are not stored.
    NotSaved(tower_redis_session::Error),
    Picture(PictureError),
    Caption(CaptionError),
}

/// The body of every refusal for programs.
#[derive(Serialize)]
struct Refusal<'a> {
    success: bool,
    /// A word that stays what it is.
    error: &'static str,
    /// A sentence for people.
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<&'a Rejected>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<&'a str>,
}

impl Failure {
    /// Nobody is signed in.
    pub(crate) fn sign_in_first() -> Self {
        Self::Denied(Denied::new(DeniedKind::Unauthenticated))
    }

    pub(crate) fn no_platform() -> Self {
        Self::Denied(Denied::new(DeniedKind::NoPlatform))
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) | Self::Rejected(_) | Self::Picture(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::AlreadyActive(_) => StatusCode::CONFLICT,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Busy | Self::Database => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Denied(denied) => denied.status(),
            Self::Csrf(error) => error.status(),
            Self::Session(error) | Self::NotSaved(error) => error.status(),
            Self::Caption(error) => error.status(),
        }
    }

    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Bad(_) => "bad_request",
            Self::Rejected(_) => "invalid_fields",
            Self::NotFound(_) => "not_found",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::AlreadyActive(_) => "task_active",
            Self::TooSlow => "timeout",
            Self::TooLarge(_) => "too_large",
            Self::Unsupported(_) => "unsupported_media_type",
            Self::Busy => "busy",
            Self::Internal => "internal",
            Self::Database => "unavailable",
            Self::Denied(denied) => denied.code(),
            Self::Csrf(CsrfError::Session(error))
            | Self::Session(error)
            | Self::NotSaved(error) => error.code(),
            Self::Csrf(error) => match error.kind() {
                Some(CsrfErrorKind::TooLarge) => "too_large",
                Some(CsrfErrorKind::Incomplete) => "timeout",
                _ => "forged",
            },
            Self::Picture(_) => "bad_picture",
            Self::Caption(_) => "caption_failed",
        }
    }

    /// The answer to the request: JSON, a page, or the way to what is missing.
    pub(crate) fn answer(&self, pages: &Pages, parts: &Parts) -> Answer {
        reply::sent(self.whole(pages, parts))
    }

    pub(crate) fn whole(&self, pages: &Pages, parts: &Parts) -> Whole {
        let status = self.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::warn!(failure = ?self, path = parts.uri.path(), "request failed");
        }
        let mut answer = if reply::wants_json(parts) {
            reply::whole_json(status, &self.refusal())
        } else if let Some(place) = self.way_on(parts) {
            return reply::whole_see_other(&place);
        } else {
            page(pages, status, &self.to_string())
        };
        let headers = answer.headers_mut();
        if let Some(pause) = self.retry_after() {
            let _ = headers.insert(header::RETRY_AFTER, pause.as_secs().max(1).into());
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 15.5.2 wants a challenge; no browser opens a dialogue for this one.
            let challenge = HeaderValue::from_static("Session");
            let _ = headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Self::MethodNotAllowed(methods) = self {
            let _ = headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        answer
    }

    fn refusal(&self) -> Refusal<'_> {
        Refusal {
            success: false,
            error: self.code(),
            message: self.to_string(),
            fields: if let Self::Rejected(rejected) = self { Some(rejected) } else { None },
            task_id: if let Self::AlreadyActive(task) = self { task.as_deref() } else { None },
        }
    }

    /// Where a person gets what is missing.
    fn way_on(&self, parts: &Parts) -> Option<String> {
        match self {
            Self::Denied(denied) if denied.kind() == DeniedKind::NoPlatform => {
                Some("/platforms".to_owned())
            }
            Self::AlreadyActive(Some(task)) => Some(format!("/caption_tasks/{task}")),
            _ if self.status() == StatusCode::UNAUTHORIZED => {
                Some(format!("/login?next={}", encoded(&way_back(parts))))
            }
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy => Some(Duration::from_secs(5)),
            Self::Database => Some(Duration::from_secs(1)),
            Self::Csrf(CsrfError::Session(error))
            | Self::Session(error)
            | Self::NotSaved(error) => error.retry_after(),
            Self::Denied(denied) if denied.kind() == DeniedKind::Unavailable => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }
}

/// A page that says what went wrong. It must not fail, so plain text stands in for it.
pub(crate) fn page(pages: &Pages, status: StatusCode, sentence: &str) -> Whole {
    let title = status.canonical_reason().unwrap_or("Error");
    let values = context! {
        title,
        status => status.as_u16(),
        sentence,
        retry => status == StatusCode::SERVICE_UNAVAILABLE,
    };
    match pages.render_for_nobody("message.html", values) {
        Ok(page) => reply::whole_html(status, page),
        Err(_) => reply::whole_text(status, "Something went wrong.\n"),
    }
}

/// The page to come back to after signing in: only a page view can be repeated.
fn way_back(parts: &Parts) -> String {
    if parts.method == Method::GET || parts.method == Method::HEAD {
        parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned()
    } else {
        "/caption_generation".to_owned()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad(sentence)
            | Self::NotFound(sentence)
            | Self::TooLarge(sentence)
            | Self::Unsupported(sentence) => f.write_str(sentence),
            Self::Rejected(rejected) => rejected.fmt(f),
            Self::MethodNotAllowed(_) => f.write_str("This address does not support this method."),
            Self::AlreadyActive(_) => {
                f.write_str("A caption task is already in progress. Wait for it, or cancel it.")
            }
            Self::TooSlow => f.write_str("The request took too long to arrive."),
            Self::Busy => f.write_str("The server is busy. Please try again in a moment."),
            Self::Internal => f.write_str("Something went wrong on the server."),
            Self::Database => {
                f.write_str("The database cannot be reached. Please try again shortly.")
            }
            Self::Denied(denied) => f.write_str(sentence_for(denied)),
            Self::Csrf(CsrfError::Session(error)) | Self::Session(error) => {
                f.write_str(sentence_of(error.status()))
            }
            Self::NotSaved(_) => f.write_str(
                "What you did could not be saved, or only perhaps. Please look, and try again \
                 shortly.",
            ),
            Self::Csrf(CsrfError::Refused(CsrfErrorKind::TooLarge)) => {
                f.write_str("The form is too large.")
            }
            Self::Csrf(CsrfError::Refused(CsrfErrorKind::Incomplete)) => {
                f.write_str("The form did not arrive completely.")
            }
            Self::Csrf(_) => f.write_str(
                "This page was open for too long, or the request came from another site. Please \
                 load the page again.",
            ),
            Self::Picture(error) => error.fmt(f),
            Self::Caption(error) => error.fmt(f),
        }
    }
}

fn sentence_for(denied: &Denied) -> &'static str {
    match denied.kind() {
        DeniedKind::Expired => "Your session has expired. Please sign in again.",
        DeniedKind::NoPlatform => "Choose a platform first.",
        DeniedKind::Forbidden => "This is for administrators.",
        _ => sentence_of(denied.status()),
    }
}

fn sentence_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "Please sign in first.",
        StatusCode::FORBIDDEN => "Access denied.",
        StatusCode::SERVICE_UNAVAILABLE => {
            "Your session cannot be reached at the moment. No user was signed out; please try \
             again shortly."
        }
        _ => "Your session cannot be read. Signing in again gives you a new one.",
    }
}

impl std::error::Error for Failure {}

impl From<tower_redis_session::Error> for Failure {
    fn from(error: tower_redis_session::Error) -> Self {
        Self::Session(error)
    }
}

impl From<CsrfError> for Failure {
    fn from(error: CsrfError) -> Self {
        Self::Csrf(error)
    }
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl From<PictureError> for Failure {
    fn from(error: PictureError) -> Self {
        Self::Picture(error)
    }
}

impl From<CaptionError> for Failure {
    fn from(error: CaptionError) -> Self {
        Self::Caption(error)
    }
}
