//! CSRF layer: rejects requests that do not prove to come from a page of this session.

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use crate::{
    csrf::{error::CsrfError, rules::Rules, service::CsrfService},
    response::{ErrorResponse, PlainErrorResponse},
};

/// Rejects cross-site request forgery. Apply it inside of a
/// [`RedisSessionLayer`](crate::RedisSessionLayer).
///
/// There are two checks. An unsafe request must pass both, a WebSocket handshake the first. Other
/// requests with a safe method (`GET`, `HEAD`, `OPTIONS`, `TRACE`; RFC 9110 section 9.2.1) are not
/// checked.
///
/// 1. No other site sent it, according to the browser: `Sec-Fetch-Site` is `same-origin` or `none`;
///    where it is missing, `Origin` is the service's own, by `Host` or the request's target; or
///    `Origin` is a trusted one. `Origin: null` is no origin. Without both headers, as from an old
///    browser or a program, the request passes this check.
/// 2. It has a token of [`SessionContext::csrf_token`](crate::SessionContext::csrf_token): in the
///    header `x-csrf-token`, or else in the field `csrf_token` of an
///    `application/x-www-form-urlencoded` body. The body is read for that, up to 64 KiB, and passed
///    to the inner service unchanged. Other bodies are not read: a page with `multipart/form-data`
///    sends the header, or its handler is [exempt](crate::csrf::CsrfBuilder::exempt_path) and calls
///    [`verify_csrf`](crate::SessionContext::verify_csrf).
///
/// A rejected request gets 403; 413 or 408 for a form that is too large or too slow; 503 where the
/// store cannot load the session. The log event `csrf refused` has the fault, and
/// [`on_error`](CsrfLayer::on_error) sets the response.
///
/// Where the session layer's tokens come in a header ([`Transport`](crate::Transport)), everything
/// passes: browsers send no such header by themselves, so nothing can be forged. An `Authorization`
/// header makes no difference elsewhere.
///
/// An unsafe request costs a few allocations, and the session's load that its handler needs anyway;
/// a visitor without a session costs no store command. Others are passed on at once.
///
/// ```
/// use http::{Method, Request, Response};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
/// use tower_redis_session::{
///     Error, MemoryStore, RedisSessionLayer, SessionContext, csrf::{CsrfBody, CsrfLayer},
/// };
///
/// async fn guestbook(request: Request<CsrfBody<String>>) -> Result<Response<String>, Error> {
///     if request.method() == Method::POST {
///         return Ok(Response::new("thank you".to_owned()));
///     }
///     let session = SessionContext::from_extensions(request.extensions())?;
///     Ok(Response::new(session.csrf_token().await?.to_string()))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use http_body_util::BodyExt;
/// let mut service = ServiceBuilder::new()
///     .layer(RedisSessionLayer::builder(MemoryStore::new()).build()?)
///     .layer(CsrfLayer::new())
///     .service_fn(guestbook);
///
/// let page = service.ready().await?.call(Request::new(String::new())).await?;
/// let cookie = page.headers()["set-cookie"].to_str()?.split(';').next().unwrap().to_owned();
/// let token = page.into_body().collect().await.map_err(|_| "body")?.to_bytes();
///
/// let post = || Request::post("/").header("cookie", &cookie);
/// let honest = post().header("x-csrf-token", &*token).body(String::new())?;
/// assert_eq!(service.ready().await?.call(honest).await?.status(), 200);
/// let forged = post().body(String::new())?;
/// assert_eq!(service.ready().await?.call(forged).await?.status(), 403);
/// # Ok(())
/// # }
/// ```
///
/// # Deployment caveat
///
/// - `SameSite` does not replace this: pages of sibling hosts are same-site, and send cookies.
/// - No token helps against a script injected into a page (XSS).
/// - `GET` must change nothing. A layer that rewrites methods (`X-HTTP-Method-Override`) belongs
///   outside of this one.
/// - A layer that decompresses requests belongs outside of this one: the token of a compressed form
///   cannot be read, and the request is rejected.
/// - A proxy has to pass on the `Host` that the browser sent, or the service's own origin has to be
///   among the [trusted ones](crate::csrf::CsrfBuilder::trusted_origins). Where `Origin` decides,
///   `http` and `https` of one host differ by port alone, so send HSTS on encrypted sites.
/// - Keep the prefix `__Host-` of the session's cookie: without it the owner of a sibling host can
///   plant a visitor's cookie, and so forge requests of visitors without a session, such as a
///   login.
/// - A page that is open during a login, a renewal or a logout holds an invalid token: offer a
///   fresh page in the response to a 403. Caches must not give a page with a token to others:
///   responses that set a cookie have `Cache-Control: no-store`, the rest `Vary: Cookie`.
#[derive(Clone)]
pub struct CsrfLayer<A = PlainErrorResponse> {
    rules: Arc<Rules>,
    on_error: A,
}

impl CsrfLayer {
    /// The layer with the defaults and no exemption.
    ///
    /// ```
    /// # use tower_redis_session::csrf::CsrfLayer;
    /// let layer = CsrfLayer::new();
    /// assert!(format!("{layer:?}").contains("x-csrf-token"));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn with(rules: Rules) -> Self {
        Self { rules: Arc::new(rules), on_error: PlainErrorResponse }
    }
}

impl<A> CsrfLayer<A> {
    /// Sets the response to a rejected request: JSON, a page, a redirect to a fresh form, with any
    /// body. One function can serve the session layer and guards too: see
    /// [`response`](crate::response). Defaults to [`PlainErrorResponse`], whose line of text does
    /// not name the fault.
    ///
    /// ```
    /// # use http::request::Parts;
    /// # use tower_redis_session::{csrf::{CsrfError, CsrfLayer}, response::HttpError};
    /// let layer = CsrfLayer::new().on_error(|error: &CsrfError, request: &Parts| {
    ///     error.response_to(request, format!(r#"{{"error":"{}"}}"#, error.code()))
    /// });
    /// ```
    #[must_use]
    pub fn on_error<D: ErrorResponse<CsrfError>>(self, response: D) -> CsrfLayer<D> {
        CsrfLayer { rules: self.rules, on_error: response }
    }
}

impl Default for CsrfLayer {
    fn default() -> Self {
        Self::with(Rules::default())
    }
}

impl<S, A: Clone> Layer<S> for CsrfLayer<A> {
    type Service = CsrfService<S, A>;

    fn layer(&self, inner: S) -> Self::Service {
        CsrfService::new(inner, Arc::clone(&self.rules), self.on_error.clone())
    }
}

impl<A> fmt::Debug for CsrfLayer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfLayer").field("rules", &self.rules).finish_non_exhaustive()
    }
}
