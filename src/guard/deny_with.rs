//! Ready-made responses to denied requests.

use std::borrow::Cow;

use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION},
    request::Parts,
};

use crate::{
    context::{SessionContext, place::requested_place},
    guard::{
        denied::{Denied, DeniedKind},
        next::{escaped, safe_next},
    },
    response::{ErrorResponse, PlainErrorResponse, accepts_html, http_error, is_grpc},
};

/// Ready-made responses: JSON, a redirect, or whichever the client accepts.
///
/// JSON is `{"error":"unauthenticated"}` with the [code](Denied::code), and `"login"` with the
/// login page if a sign-in helps. A redirect is 303 See Other (RFC 9110 section 15.4.4) to the
/// login page, with the path of a `GET` as `next`; see [`safe_next`](crate::guard::safe_next). If
/// a sign-in does not help (a missing role, an unavailable store), the response has the error's
/// status and no redirect. All are `Cache-Control: no-store`.
///
/// A gRPC call gets a status, as from [`PlainErrorResponse`].
#[derive(Clone, Debug)]
pub struct DenyWith {
    way: Way,
    login: Option<Cow<'static, str>>,
    chooser: Option<Cow<'static, str>>,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Json,
    Redirect,
    Negotiate,
}

impl DenyWith {
    /// Responds with JSON.
    ///
    /// ```
    /// # use tower_redis_session::guard::DenyWith;
    /// let deny = DenyWith::json();
    /// ```
    #[must_use]
    pub const fn json() -> Self {
        Self { way: Way::Json, login: None, chooser: None }
    }

    /// Redirects to the login page `login` where a sign-in helps.
    ///
    /// ```
    /// # use tower_redis_session::guard::DenyWith;
    /// let deny = DenyWith::redirect("/sign-in");
    /// ```
    #[must_use]
    pub fn redirect(login: impl Into<Cow<'static, str>>) -> Self {
        Self { way: Way::Redirect, login: Some(login.into()), chooser: None }
    }

    /// Redirects browsers that ask for a page; responds to all others with JSON.
    ///
    /// ```
    /// # use tower_redis_session::guard::DenyWith;
    /// let deny = DenyWith::negotiate("/sign-in");
    /// ```
    #[must_use]
    pub fn negotiate(login: impl Into<Cow<'static, str>>) -> Self {
        Self { way: Way::Negotiate, login: Some(login.into()), chooser: None }
    }

    /// The page where a platform is chosen. Without one a missing platform is a 403.
    ///
    /// ```
    /// # use tower_redis_session::guard::DenyWith;
    /// let deny = DenyWith::negotiate("/login").platform_chooser("/platforms");
    /// ```
    #[must_use]
    pub fn platform_chooser(mut self, chooser: impl Into<Cow<'static, str>>) -> Self {
        self.chooser = Some(chooser.into());
        self
    }

    /// Where the client can get what it lacks.
    fn way_on(&self, denied: &Denied) -> Option<&str> {
        match denied.kind() {
            DeniedKind::Unauthenticated | DeniedKind::Expired | DeniedKind::Stale => {
                self.login.as_deref()
            }
            DeniedKind::NoPlatform => self.chooser.as_deref(),
            _ => None,
        }
    }
}

impl ErrorResponse<Denied> for DenyWith {
    type Body = String;

    fn respond(&self, denied: &Denied, request: &Parts) -> Response<String> {
        if is_grpc(request) {
            return PlainErrorResponse.respond(denied, request);
        }
        let redirects = match self.way {
            Way::Json => false,
            Way::Redirect => true,
            Way::Negotiate => accepts_html(request),
        };
        let redirect =
            self.way_on(denied).filter(|_| redirects).and_then(|page| redirect(page, request));
        let mut response = match redirect {
            Some(location) => {
                let mut response = Response::new(String::new());
                *response.status_mut() = StatusCode::SEE_OTHER;
                let _ = response.headers_mut().insert(LOCATION, location);
                response
            }
            None => {
                let session = request.extensions.get::<SessionContext>();
                json(denied, self.way_on(denied), session)
            }
        };
        let headers = response.headers_mut();
        let _ = headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// To `page`, with the place that was asked for; what has changed something is not repeated.
fn redirect(page: &str, request: &Parts) -> Option<HeaderValue> {
    let repeats = request.method == Method::GET || request.method == Method::HEAD;
    let place = requested_place(request);
    // Not one that the login page would not follow.
    let place = place.filter(|place| repeats && safe_next(place.as_str()).is_some());
    let location = match place {
        Some(place) => {
            let joint = if page.contains('?') { '&' } else { '?' };
            format!("{page}{joint}next={}", escaped(place.as_str()))
        }
        None => page.to_owned(),
    };
    HeaderValue::try_from(location).ok()
}

/// The same for an API that knows no page to go to.
pub(crate) fn told_as_json(denied: &Denied, session: Option<&SessionContext>) -> Response<String> {
    json(denied, None, session)
}

fn json(
    denied: &Denied,
    way_on: Option<&str>,
    session: Option<&SessionContext>,
) -> Response<String> {
    let mut said = serde_json::Map::new();
    let _ = said.insert("error".to_owned(), denied.code().into());
    if let Some(page) = way_on {
        let name = if denied.kind() == DeniedKind::NoPlatform { "platforms" } else { "login" };
        let _ = said.insert(name.to_owned(), page.into());
    }
    let head = http_error::head(denied, session);
    let mut response = head.map(|()| serde_json::Value::Object(said).to_string());
    let headers = response.headers_mut();
    let _ = headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
