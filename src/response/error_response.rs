//! The response to an error, from the error and the request.

use http::{Response, request::Parts};
use http_body::Body;

/// Builds the response to an error of type `E`: an [`Error`](crate::Error) for
/// [`RedisSessionLayer::on_error`](crate::RedisSessionLayer::on_error), a
/// [`Denied`](crate::guard::Denied) for
/// [`RequireLayer::on_denied`](crate::guard::RequireLayer::on_denied), a
/// [`CsrfError`](crate::csrf::CsrfError) for
/// [`CsrfLayer::on_error`](crate::csrf::CsrfLayer::on_error).
///
/// Implemented for functions and closures, `Fn(&E, &Parts) -> Response<B>`, which may return any
/// body: a `String`, or a framework's page or redirect. A closure needs its argument types:
/// `|error: &Error, request: &Parts| ...`. It is cloned with the service, at least once a request:
/// keep large state in an `Arc`. The path that the client requested, before routers stripped a
/// prefix, is [`requested_place`](crate::guard::requested_place).
///
/// ```
/// use http::{Response, request::Parts};
/// use tower_redis_session::{guard::RequireLayer, response::{ErrorResponse, HttpError}};
///
/// #[derive(Clone)]
/// struct Page;
///
/// impl<E: HttpError> ErrorResponse<E> for Page {
///     type Body = String;
///
///     fn respond(&self, error: &E, request: &Parts) -> Response<String> {
///         error.response_to(request, format!("<h1>{}</h1>", error.message()))
///     }
/// }
///
/// let guard = RequireLayer::user().on_denied(Page);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not build responses to `{E}`",
    note = "a function has to be `Fn(&{E}, &http::request::Parts) -> http::Response<B>` and \
            `Clone`, with the types of its arguments written down"
)]
pub trait ErrorResponse<E>: Clone {
    /// The response's body. It need not be the inner service's.
    type Body: Body;

    /// The response, in place of the inner service's.
    fn respond(&self, error: &E, request: &Parts) -> Response<Self::Body>;

    /// Whether [`respond`](Self::respond) uses the request. The session layer responds when the
    /// handler has consumed the request, so it copies each request's head for this: method, URI,
    /// version, headers, and of the extensions the session alone. With `false` it copies nothing,
    /// and `request` has only the path, whether the method is `HEAD`, the content type of a gRPC
    /// call, and the session. Guards and the CSRF layer hold the request anyway. Defaults to
    /// `true`.
    fn reads_request(&self) -> bool {
        true
    }
}

impl<F, E, B> ErrorResponse<E> for F
where
    F: Fn(&E, &Parts) -> Response<B> + Clone,
    B: Body,
{
    type Body = B;

    fn respond(&self, error: &E, request: &Parts) -> Response<B> {
        self(error, request)
    }
}
