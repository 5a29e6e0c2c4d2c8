//! Small responses.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

/// What a handler answers with. Every body is whole and small.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Plain text.
pub(crate) fn text(status: StatusCode, body: &'static str) -> Answer {
    fresh(status, "text/plain; charset=utf-8", Bytes::from_static(body.as_bytes()))
}

/// A rendered page.
pub(crate) fn html(status: StatusCode, page: String) -> Answer {
    fresh(status, "text/html; charset=utf-8", Bytes::from(page))
}

/// A value for programs.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => fresh(status, "application/json", Bytes::from(body)),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "The answer could not be written.\n"),
    }
}

/// A file that is part of the program.
pub(crate) fn file(kind: &'static str, body: &'static str) -> Answer {
    let mut answer = fresh(StatusCode::OK, kind, Bytes::from_static(body.as_bytes()));
    set(&mut answer, header::CACHE_CONTROL, "public, max-age=300");
    answer
}

/// "Look there, with GET": after a form, so that a reload does not send it again.
pub(crate) fn see_other(place: &str) -> Answer {
    let mut answer = text(StatusCode::SEE_OTHER, "");
    // A local address is visible ASCII, so this cannot fail; a browser sent home is the safe end.
    let place = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(header::LOCATION, place);
    answer
}

/// Whether the client would rather have JSON than a page.
pub(crate) fn wants_json(headers: &HeaderMap) -> bool {
    let accepts = |wanted: &str| {
        let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let mut ranges = lines.flat_map(|line| line.split(','));
        ranges.any(|range| {
            range.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
        })
    };
    accepts("application/json") && !accepts("text/html")
}

fn fresh(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_TYPE, kind);
    // Pages show whose they are; no cache, shared or private, may keep them past a sign-out.
    set(&mut answer, header::CACHE_CONTROL, "no-store");
    answer
}

fn set(answer: &mut Answer, name: header::HeaderName, value: &'static str) {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        for (accept, expected) in [
            ("application/json", true),
            ("application/json;q=0.9, */*;q=0.1", true),
            ("Application/JSON", true),
            ("text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8", false),
            ("*/*", false),
            ("application/jsonp", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(wants_json(&headers), expected, "{accept}");
        }
    }
}
