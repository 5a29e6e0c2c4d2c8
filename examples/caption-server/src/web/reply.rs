//! Small responses.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde::Serialize;

use crate::web::Body;

/// What a handler answers with.
pub(crate) type Answer = Response<Body>;

/// An answer with its body in one piece.
pub(crate) type Whole = Response<Bytes>;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// Plain text.
pub(crate) fn text(status: StatusCode, body: &'static str) -> Answer {
    sent(whole_text(status, body))
}

/// A rendered page.
pub(crate) fn html(status: StatusCode, page: String) -> Answer {
    sent(whole_html(status, page))
}

/// A value for programs.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    sent(whole_json(status, value))
}

pub(crate) fn whole_text(status: StatusCode, body: &'static str) -> Whole {
    whole(status, TEXT, Bytes::from_static(body.as_bytes()))
}

pub(crate) fn whole_html(status: StatusCode, page: String) -> Whole {
    whole(status, HTML, Bytes::from(page))
}

pub(crate) fn whole_json(status: StatusCode, value: &impl Serialize) -> Whole {
    match serde_json::to_vec(value) {
        Ok(body) => whole(status, JSON, Bytes::from(body)),
        Err(_) => {
            whole_text(StatusCode::INTERNAL_SERVER_ERROR, "The answer could not be written.\n")
        }
    }
}

pub(crate) fn sent(whole: Whole) -> Answer {
    whole.map(|body| Body::new(Full::new(body).map_err(|never| match never {})))
}

/// JSON that is written already.
pub(crate) fn json_text(status: StatusCode, text: String) -> Answer {
    sent(whole(status, JSON, Bytes::from(text)))
}

/// A file that is part of the program.
pub(crate) fn file(kind: &'static str, body: &'static str) -> Answer {
    let mut answer = sent(whole(StatusCode::OK, kind, Bytes::from_static(body.as_bytes())));
    set(&mut answer, header::CACHE_CONTROL, "public, max-age=300");
    answer
}

/// Server-sent events, as they come.
pub(crate) fn events(events: impl Stream<Item = Bytes> + Send + 'static) -> Answer {
    let frames = events.map(|event| Ok::<_, io::Error>(Frame::data(event)));
    let mut answer = Response::new(Body::new(StreamBody::new(frames)));
    set(&mut answer, header::CONTENT_TYPE, "text/event-stream");
    set(&mut answer, header::CACHE_CONTROL, "no-store");
    // Asks proxies to pass events on at once.
    set(&mut answer, header::HeaderName::from_static("x-accel-buffering"), "no");
    answer
}

/// "Look there, with GET": after a form, so that a reload does not send it again.
pub(crate) fn see_other(place: &str) -> Answer {
    sent(whole_see_other(place))
}

pub(crate) fn whole_see_other(place: &str) -> Whole {
    let mut answer = whole_text(StatusCode::SEE_OTHER, "");
    // A local address is visible ASCII, so this cannot fail; a browser sent home is the safe end.
    let place = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static("/"));
    let _ = answer.headers_mut().insert(header::LOCATION, place);
    answer
}

/// Whether the client would rather have JSON than a page: it says so, or the address is for
/// programs.
pub(crate) fn wants_json(parts: &Parts) -> bool {
    let accepts = |wanted: &str| {
        let lines = parts.headers.get_all(header::ACCEPT).iter();
        let mut ranges = lines.filter_map(|line| line.to_str().ok()).flat_map(|l| l.split(','));
        ranges.any(|range| {
            range.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
        })
    };
    let html = accepts("text/html");
    match parts.uri.path() {
        "/start_caption_generation" => !html,
        path => path.starts_with("/api/") || (accepts("application/json") && !html),
    }
}

fn whole(status: StatusCode, kind: &'static str, body: Bytes) -> Whole {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_TYPE, kind);
    // Pages show whose they are; no cache, shared or private, may keep them past a sign-out.
    set(&mut answer, header::CACHE_CONTROL, "no-store");
    answer
}

fn set<B>(answer: &mut Response<B>, name: header::HeaderName, value: &'static str) {
    let _ = answer.headers_mut().insert(name, HeaderValue::from_static(value));
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
            let request = http::Request::get("/").header(header::ACCEPT, accept);
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(wants_json(&parts), expected, "{accept}");
        }
        let (parts, ()) = http::Request::get("/api/tasks").body(()).unwrap().into_parts();
        assert!(wants_json(&parts));
    }
}
