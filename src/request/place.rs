//! Path and query of a request before a router stripped a prefix from them.

use http::{
    Extensions,
    uri::{PathAndQuery, Uri},
};

/// The outermost that is known: `seen`, or what axum's router received, if `seen` is a part of it.
pub(crate) fn outermost<'a>(
    seen: Option<&'a PathAndQuery>,
    extensions: &'a Extensions,
) -> Option<&'a PathAndQuery> {
    let original = original(extensions).and_then(Uri::path_and_query);
    match (seen, original) {
        (Some(seen), Some(original)) if is_part(seen.path(), original.path()) => Some(original),
        (Some(seen), _) => Some(seen),
        (None, original) => original,
    }
}

/// Whether `path` is `whole` without a prefix. False for a path that a layer in between replaced.
fn is_part(path: &str, whole: &str) -> bool {
    path.len() < whole.len() && (path == "/" || whole.ends_with(path))
}

#[cfg(feature = "axum")]
fn original(extensions: &Extensions) -> Option<&Uri> {
    extensions.get::<axum::extract::OriginalUri>().map(|original| &original.0)
}

#[cfg(not(feature = "axum"))]
fn original(_: &Extensions) -> Option<&Uri> {
    None
}
