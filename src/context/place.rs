//! Path and query of the original request, before routers stripped prefixes.

use http::{
    Extensions,
    request::Parts,
    uri::{PathAndQuery, Uri},
};

use crate::context::SessionContext;

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
    let original = original(parts).and_then(Uri::path_and_query);
    let outermost = match (seen, original) {
        (Some(seen), Some(original)) if is_part(seen.path(), original.path()) => Some(original),
        (Some(seen), _) => Some(seen),
        (None, original) => original,
    };
    outermost.or_else(|| parts.uri.path_and_query())
}

/// Copies from a request's extensions what [`requested_place`] needs besides the session.
#[cfg(feature = "axum")]
pub(crate) fn keep_place(from: &Extensions, into: &mut Extensions) {
    if let Some(original) = from.get::<axum::extract::OriginalUri>() {
        let _ = into.insert(original.clone());
    }
}

#[cfg(not(feature = "axum"))]
pub(crate) fn keep_place(_: &Extensions, _: &mut Extensions) {}

/// Whether `path` is `whole` without a prefix. False for a path that a layer in between replaced.
fn is_part(path: &str, whole: &str) -> bool {
    path.len() < whole.len() && (path == "/" || whole.ends_with(path))
}

#[cfg(feature = "axum")]
fn original(parts: &Parts) -> Option<&Uri> {
    parts.extensions.get::<axum::extract::OriginalUri>().map(|original| &original.0)
}

#[cfg(not(feature = "axum"))]
fn original(_: &Parts) -> Option<&Uri> {
    None
}
