//! Which address is which page, and what every page is made with.

use std::{convert::Infallible, io, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header, request::Parts};
use http_body_util::{Full, combinators::UnsyncBoxBody};
use tokio::sync::Semaphore;
use tower_redis_session::RedisSessionLayer;

use crate::{
    accounts::Accounts,
    captions::Captioner,
    failure::{self, Failure},
    generation, pages,
    pages::Pages,
    platforms, readiness,
    reply::{self, Answer},
    settings::Settings,
    sign_in,
};

/// A body, wherever it comes from or goes to: a connection, or a test.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Each is held in memory while it arrives: 128 MiB at most.
const UPLOADS_AT_ONCE: usize = 16;
/// Decoded, a picture may take 320 MB, though a usual one takes a tenth of it.
const PICTURES_AT_ONCE: usize = 4;

/// What the handlers share.
pub(crate) struct App {
    pub(crate) pages: Pages,
    pub(crate) accounts: Accounts,
    pub(crate) captioner: Box<dyn Captioner>,
    pub(crate) settings: Settings,
    pub(crate) sessions: RedisSessionLayer,
    pub(crate) uploads: Semaphore,
    pub(crate) pictures: Semaphore,
}

impl App {
    pub(crate) fn new(
        pages: Pages,
        accounts: Accounts,
        captioner: Box<dyn Captioner>,
        settings: Settings,
        sessions: RedisSessionLayer,
    ) -> Self {
        let uploads = Semaphore::new(UPLOADS_AT_ONCE);
        let pictures = Semaphore::new(PICTURES_AT_ONCE);
        Self { pages, accounts, captioner, settings, sessions, uploads, pictures }
    }

    /// Answers one request. Whatever goes wrong becomes an answer too.
    pub(crate) async fn handle(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> Result<Answer, Infallible> {
        let (parts, body) = request.into_parts();
        let Some(place) = Place::at(parts.uri.path()) else {
            let failure = Failure::NotFound("There is no page at this address.");
            return Ok(without_body_for_head(&parts, failure.answer(&self.pages, &parts)));
        };
        let answer = if place.allows(&parts.method) {
            match self.page(place, &parts, body).await {
                Ok(answer) => answer,
                Err(failure) => failure.answer(&self.pages, &parts),
            }
        } else {
            self.method_not_allowed(place)
        };
        Ok(without_body_for_head(&parts, answer))
    }

    async fn page(&self, place: Place, parts: &Parts, body: Body) -> Result<Answer, Failure> {
        let post = parts.method == Method::POST;
        match place {
            Place::Home => sign_in::home(self, parts).await,
            Place::Login if post => sign_in::submit(self, parts, body).await,
            Place::Login => sign_in::page(self, parts).await,
            Place::Logout => sign_in::leave(parts).await,
            Place::Platforms if post => platforms::choose(self, parts, body).await,
            Place::Platforms => platforms::page(self, parts).await,
            Place::Captions => generation::page(self, parts).await,
            Place::StartCaptions => generation::start(self, parts, body).await,
            // From here on the session is not touched, so these answer with the store down too,
            // and cost it nothing.
            Place::Health => Ok(reply::text(StatusCode::OK, "ok\n")),
            Place::Ready => Ok(readiness::answer(&self.sessions)),
            Place::Style => Ok(reply::file("text/css; charset=utf-8", pages::STYLE)),
            Place::Icon => Ok(reply::file("image/svg+xml", pages::ICON)),
        }
    }

    fn method_not_allowed(&self, place: Place) -> Answer {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let mut answer = failure::page(&self.pages, status, "This address has no such method.");
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(place.methods()));
        answer
    }
}

/// An address of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Home,
    Login,
    Logout,
    Platforms,
    Captions,
    StartCaptions,
    Health,
    Ready,
    Style,
    Icon,
}

impl Place {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Home,
            "/login" => Self::Login,
            "/logout" => Self::Logout,
            "/platforms" => Self::Platforms,
            "/caption_generation" => Self::Captions,
            "/start_caption_generation" => Self::StartCaptions,
            "/healthz" => Self::Health,
            "/readyz" => Self::Ready,
            "/style.css" => Self::Style,
            "/icon.svg" => Self::Icon,
            _ => return None,
        })
    }

    /// As the `Allow` header has them.
    fn methods(self) -> &'static str {
        match self {
            Self::Login | Self::Platforms => "GET, HEAD, POST",
            Self::Logout | Self::StartCaptions => "POST",
            Self::Home | Self::Captions | Self::Health | Self::Ready | Self::Style | Self::Icon => {
                "GET, HEAD"
            }
        }
    }

    fn allows(self, method: &Method) -> bool {
        self.methods().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// RFC 9110, section 9.3.2: the same head as for GET, and nothing after it.
fn without_body_for_head(parts: &Parts, answer: Answer) -> Answer {
    if parts.method != Method::HEAD {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let length = http_body::Body::size_hint(&body).exact().unwrap_or(0);
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Answer::from_parts(head, Full::default())
}
