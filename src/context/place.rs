//! Path and query of the original request, before routers stripped prefixes.

use http::{request::Parts, uri::PathAndQuery};

use crate::{context::SessionContext, request::place::outermost};

/// Path and query of the original request. A router strips the prefix of a nested service; the
/// session layer remembers the URI that it received, and with crate feature `axum` the original URI
/// of axum's router is used if the layer is inside it. Without either, the request's current URI.
///
/// For a closure of [`CsrfBuilder::exempt`](crate::csrf::CsrfBuilder::exempt), or an application's
/// own [`ErrorResponse`](crate::response::ErrorResponse).
///
/// ```
/// use http::Request;
/// use tower_redis_session::guard::requested_place;
///
/// let (parts, ()) = Request::get("/account?tab=keys").body(())?.into_parts();
/// assert_eq!(requested_place(&parts).unwrap().path(), "/account");
/// # Ok::<(), http::Error>(())
/// ```
#[must_use]
pub fn requested_place(parts: &Parts) -> Option<&PathAndQuery> {
    let session = parts.extensions.get::<SessionContext>();
    let seen = session.and_then(|session| session.session.asked.as_ref());
    outermost(seen, &parts.extensions).or_else(|| parts.uri.path_and_query())
}
