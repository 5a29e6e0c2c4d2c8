//! Content negotiation (RFC 9110 section 12.5.1), as far as error responses need it.

use http::{
    header::{ACCEPT, HeaderName},
    request::Parts,
};

const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Whether a browser asks for a page: `Accept` names `text/html`, and no script sent
/// `X-Requested-With`. Clients that accept anything (`*/*`) are programs.
///
/// ```
/// use http::Request;
/// use tower_redis_session::response::accepts_html;
///
/// let head = |accept| Request::get("/").header("accept", accept).body(()).unwrap().into_parts().0;
/// assert!(accepts_html(&head("text/html,application/xhtml+xml;q=0.9")));
/// assert!(!accepts_html(&head("application/json")));
/// assert!(!accepts_html(&head("*/*")));
/// assert!(!accepts_html(&head("application/json, text/html;q=0")));
/// ```
#[must_use]
pub fn accepts_html(request: &Parts) -> bool {
    let mut lines = request.headers.get_all(ACCEPT).iter();
    let accepts = lines.any(|line| line.as_bytes().split(|byte| *byte == b',').any(is_html));
    accepts && !request.headers.contains_key(REQUESTED_WITH)
}

/// Whether a range of `Accept` is HTML with a quality above 0, which means "not acceptable".
fn is_html(range: &[u8]) -> bool {
    let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let html = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(b"text/html"));
    let excluded = |part: &[u8]| {
        let (name, value) = part.split_at_checked(2).unwrap_or_default();
        let is_zero = value.iter().all(|byte| matches!(byte, b'0' | b'.'));
        name.eq_ignore_ascii_case(b"q=") && !value.is_empty() && is_zero
    };
    html && !parts.any(excluded)
}
