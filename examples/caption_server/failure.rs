//! What can go wrong in a handler, and the answer it becomes.

use std::{fmt, time::Duration};

use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use minijinja::context;
use serde::Serialize;

use crate::{
    captions::CaptionError,
    form::encoded,
    pages::Pages,
    picture::PictureError,
    reply::{self, Answer},
};

/// Why a handler has no answer of its own. `Display` is written for the person at the browser and
/// tells no internals.
#[derive(Debug)]
pub(crate) enum Failure {
    Bad(&'static str),
    NotFound(&'static str),
    TooSlow,
    TooLarge(&'static str),
    Unsupported(&'static str),
    Busy,
    Internal,
    /// Nobody is signed in.
    SignInFirst,
    Session(tower_redis_session::Error),
    Picture(PictureError),
    Caption(CaptionError),
}

impl Failure {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) | Self::Picture(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::SignInFirst => StatusCode::UNAUTHORIZED,
            Self::Session(error) => error.status(),
            Self::Caption(error) => error.status(),
        }
    }

    /// Whether the person can do something about it on the page they came from.
    pub(crate) fn belongs_beside_the_form(&self) -> bool {
        !matches!(self, Self::SignInFirst | Self::Session(_) | Self::Internal | Self::TooSlow)
    }

    /// The answer to the request: JSON, a page, or the way to the sign-in form.
    pub(crate) fn answer(&self, pages: &Pages, parts: &Parts) -> Answer {
        let status = self.status();
        if let Self::Session(error) = self {
            // Below 500 it is the client's affair; a store that is away the layer reports itself.
            if status == StatusCode::INTERNAL_SERVER_ERROR {
                tracing::warn!(%error, path = parts.uri.path(), "the session could not be used");
            }
        }
        let mut answer = if reply::wants_json(&parts.headers) {
            reply::json(status, &Refusal { success: false, error: self.to_string() })
        } else if status == StatusCode::UNAUTHORIZED {
            return reply::see_other(&format!("/login?next={}", encoded(&way_back(parts))));
        } else {
            page(pages, status, &self.to_string())
        };
        if let Some(pause) = self.retry_after() {
            let seconds = HeaderValue::from(pause.as_secs().max(1));
            answer.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        answer
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy => Some(Duration::from_secs(5)),
            Self::Session(error) => error.retry_after(),
            _ => None,
        }
    }
}

/// A page that says what went wrong. It must not fail, so plain text stands in for it.
pub(crate) fn page(pages: &Pages, status: StatusCode, sentence: &str) -> Answer {
    let title = status.canonical_reason().unwrap_or("Error");
    let values = context! {
        title,
        user => None::<&str>,
        status => status.as_u16(),
        sentence,
        retry => status == StatusCode::SERVICE_UNAVAILABLE,
    };
    match pages.render("message.html", values) {
        Ok(page) => reply::html(status, page),
        Err(_) => reply::text(status, "Something went wrong.\n"),
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

#[derive(Serialize)]
struct Refusal {
    success: bool,
    error: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad(sentence)
            | Self::NotFound(sentence)
            | Self::TooLarge(sentence)
            | Self::Unsupported(sentence) => f.write_str(sentence),
            Self::TooSlow => f.write_str("The request took too long to arrive."),
            Self::Busy => f.write_str("The server is busy. Please try again in a moment."),
            Self::Internal => f.write_str("Something went wrong on the server."),
            Self::SignInFirst => f.write_str("Please sign in first."),
            Self::Session(error) if error.status() == StatusCode::UNAUTHORIZED => {
                f.write_str("Please sign in first.")
            }
            Self::Session(error) if error.status() == StatusCode::SERVICE_UNAVAILABLE => f.write_str(
                "Your session cannot be reached at the moment. Nobody was signed out; please try \
                 again shortly.",
            ),
            Self::Session(_) => {
                f.write_str("Your session cannot be read. Signing in again gives you a new one.")
            }
            Self::Picture(error) => error.fmt(f),
            Self::Caption(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<tower_redis_session::Error> for Failure {
    fn from(error: tower_redis_session::Error) -> Self {
        Self::Session(error)
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
