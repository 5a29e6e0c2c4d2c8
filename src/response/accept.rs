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
/// ```
#[must_use]
pub fn accepts_html(request: &Parts) -> bool {
    let accepts = request.headers.get_all(ACCEPT).iter().any(|value| {
        let mut ranges = value.as_bytes().split(|byte| matches!(byte, b',' | b';'));
        ranges.any(|range| range.trim_ascii().eq_ignore_ascii_case(b"text/html"))
    });
    accepts && !request.headers.contains_key(REQUESTED_WITH)
}
