//! The place that a client asked for, whatever routers have made of the path since.

use http::{
    request::Parts,
    uri::{PathAndQuery, Uri},
};

use crate::context::SessionContext;

/// Path and query that the client asked for. A router strips the prefix of what it nests; the
/// session layer remembers what it was given, and axum's router what it was (crate feature `axum`),
/// where the layer stands inside of it. Elsewhere what the request has now.
///
/// For a closure of [`CsrfBuilder::exempt`](crate::csrf::CsrfBuilder::exempt), or an answer of
/// [`RequireLayer`](crate::guard::RequireLayer) that is the application's own.
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

/// Whether `path` is what is left of `whole` without a prefix. What a layer in between has put in
/// its place is not.
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
