//! Responses to denied requests.

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
    },
    request::Parts,
};
use http_body::Body;

use crate::{
    context::{SessionContext, place::requested_place},
    guard::{
        denied::{Denied, DeniedKind},
        next::{escaped, safe_next},
    },
    layer::grpc::{grpc_content_type, status_head},
};

const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Builds the response to a denied request. Implemented by [`DenyWith`], and by functions that
/// return a response with any body: a `String`, or what a framework makes of a page or a redirect.
///
/// ```
/// use http::{Response, request::Parts};
/// use tower_redis_session::guard::{Denied, Deny, RequireLayer};
///
/// #[derive(Clone)]
/// struct Page;
///
/// impl Deny for Page {
///     type Body = String;
///
///     fn deny(&self, denied: &Denied, _: &Parts) -> Response<String> {
///         let mut response = Response::new(format!("<h1>{}</h1>", denied.code()));
///         *response.status_mut() = denied.status();
///         response
///     }
/// }
///
/// let guard = RequireLayer::user().on_denied(Page);
/// ```
pub trait Deny: Clone {
    /// The response's body. It need not be the inner service's.
    type Body: Body;

    /// The response, in place of the inner service's.
    fn deny(&self, denied: &Denied, request: &Parts) -> Response<Self::Body>;
}

/// Ready-made responses: JSON, a redirect, or whichever the client accepts.
///
/// JSON is `{"error":"unauthenticated"}` with the [code](Denied::code), and `"login"` where one can
/// sign in. A redirect is 303 See Other (RFC 9110 section 15.4.4) to the login page, with the place
/// that a `GET` asked for as `next`; see [`safe_next`](crate::guard::safe_next). What no sign-in
/// can mend is told with its status instead: a role that is missing, a store that does not answer.
/// Nothing of it is kept by caches.
///
/// A gRPC call gets a status without a message in either way: `grpc-status` is the
/// [code](Denied::grpc_code), `grpc-message` the [word](Denied::code).
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

impl Deny for DenyWith {
    type Body = String;

    fn deny(&self, denied: &Denied, request: &Parts) -> Response<String> {
        if let Some(content_type) = grpc_content_type(&request.headers) {
            let head = status_head(denied.grpc_code(), denied.code(), content_type);
            return head.map(|()| String::new());
        }
        let redirects = match self.way {
            Way::Json => false,
            Way::Redirect => true,
            Way::Negotiate => wants_a_page(&request.headers),
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

/// By a function of the application's.
impl<F, B> Deny for F
where
    F: Fn(&Denied, &Parts) -> Response<B> + Clone,
    B: Body,
{
    type Body = B;

    fn deny(&self, denied: &Denied, request: &Parts) -> Response<B> {
        self(denied, request)
    }
}

/// A page that is navigated to, and not a call by a script.
fn wants_a_page(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(ACCEPT).iter().any(|value| {
        let ranges = value.as_bytes().split(|byte| matches!(byte, b',' | b';'));
        ranges.into_iter().any(|range| range.trim_ascii().eq_ignore_ascii_case(b"text/html"))
    });
    accepts && !headers.contains_key(REQUESTED_WITH)
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
    let mut response = Response::new(serde_json::Value::Object(said).to_string());
    *response.status_mut() = denied.status();
    let headers = response.headers_mut();
    let _ = headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if denied.status() == StatusCode::UNAUTHORIZED {
        // A 401 has to name a way (RFC 9110 section 15.5.2): for tokens in that header there is a
        // scheme (RFC 6750 section 3), and for all others one by which no browser asks for a
        // password.
        let bearer = session.is_some_and(SessionContext::is_asked_by_authorization);
        let way = HeaderValue::from_static(if bearer { "Bearer" } else { "Session" });
        let _ = headers.insert(WWW_AUTHENTICATE, way);
    }
    if let Some(wait) = denied.retry_after() {
        let _ = headers.insert(RETRY_AFTER, wait.as_secs().max(1).into());
    }
    response
}
