//! Tests of the multipart reader.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, StatusCode};
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;

use tower::Layer as _;
use tower_redis_session::{MemoryStore, RedisSessionLayer};

use super::*;

const BOUNDARY: &str = "----a-boundary";

fn headers() -> HeaderMap {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(&kind).unwrap())])
}

fn part(disposition: &str, contents: &[u8]) -> Vec<u8> {
    let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
    [head.as_bytes(), contents, b"\r\n"].concat()
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), format!("--{BOUNDARY}--\r\n").into_bytes()].concat()
}

fn body(bytes: Vec<u8>) -> Body {
    Full::from(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

async fn refused(bytes: Vec<u8>) -> StatusCode {
    received(&headers(), body(bytes)).await.unwrap_err().status()
}

/// Verified already, so the session is not asked.
async fn received(headers: &HeaderMap, body: Body) -> Result<Upload, Failure> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let service = layer.layer(tower::service_fn(move |request: http::Request<()>| {
        let session = request.extensions().get::<SessionContext>().unwrap().clone();
        let _ = sender.lock().unwrap().take().unwrap().send(session);
        async { Ok::<_, Infallible>(http::Response::new(String::new())) }
    }));
    let _ = tower::ServiceExt::oneshot(service, http::Request::new(())).await.unwrap();
    receive(headers, body, &receiver.await.unwrap(), true).await
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and more";

#[tokio::test]
async fn pictures_and_fields_arrive_in_any_order() {
    let sent = form(&[
        part("name=\"processing_delay\"", b"0.5"),
        part("name=\"pictures\"; filename=\"C:\\holiday\\sea.png\"", PNG),
        part("name=\"folder\"; filename=\"x/notes.txt\"", b"no picture"),
        part("name=\"folder\"; filename=\"x/hill.png\"", PNG),
        part("name=\"pictures\"; filename=\"\"", b""),
        part("name=\"save_settings\"", b"on"),
    ]);
    let upload = received(&headers(), body(sent)).await.unwrap();
    let names: Vec<_> = upload.pictures.iter().map(|sent| &*sent.file_name).collect();
    assert_eq!(names, ["sea.png", "hill.png"]);
    assert_eq!(std::fs::read(&upload.pictures[1].path).unwrap(), PNG);
    assert_eq!(upload.pictures[0].digest, upload.pictures[1].digest);
    assert_eq!(upload.pictures[0].digest.len(), 64);
    assert_eq!(upload.fields.get("processing_delay"), Some("0.5"));
    assert_eq!(upload.fields.get("save_settings"), Some("on"));
    let path = upload.pictures[0].path.clone();
    drop(upload);
    assert!(!path.exists(), "nothing is left of it");
}

#[tokio::test]
async fn forms_that_are_none_are_refused() {
    let picture = || part("name=\"pictures\"; filename=\"a.png\"", PNG);
    for (name, bytes) in [
        ("nothing", Vec::new()),
        ("no picture", form(&[part("name=\"pictures\"; filename=\"a.png\"", b"abc")])),
        ("a field without end", form(&[part("name=\"note\"", &[b'x'; 2_000])])),
        ("many fields", form(&vec![part("name=\"note\"", b"x"); 40])),
        ("no end", picture()),
        ("cut off in the data", picture()[..90].to_vec()),
        ("cut off in the head", picture()[..40].to_vec()),
        ("another boundary", b"--other\r\n\r\nabc\r\n--other--\r\n".to_vec()),
    ] {
        assert_eq!(refused(bytes).await, StatusCode::BAD_REQUEST, "{name}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_a_multipart_form_is_unsupported() {
    for kind in ["application/json", "multipart/form-data", "multipart/mixed; boundary=a", ""] {
        let kind = HeaderValue::from_static(kind);
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
        let failure = received(&headers, body(Vec::new())).await.unwrap_err();
        assert_eq!(failure.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn the_largest_picture_is_let_in_and_one_byte_more_is_not() {
    let largest = usize::try_from(MAX_PICTURE).unwrap();
    let sent = |size: usize| {
        let picture = [PNG, &vec![7; size - PNG.len()]].concat();
        form(&[part("name=\"pictures\"; filename=\"a\"", &picture)])
    };
    let upload = received(&headers(), body(sent(largest))).await.unwrap();
    assert_eq!(std::fs::metadata(&upload.pictures[0].path).unwrap().len(), MAX_PICTURE);
    assert_eq!(refused(sent(largest + 1)).await, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_body_without_end_is_stopped_while_it_streams() {
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let head = part("name=\"pictures\"; filename=\"a\"", b"");
    let chunks = stream::repeat_with(move || {
        counted.fetch_add(64 * 1024, Ordering::Relaxed);
        Bytes::from(vec![0; 64 * 1024])
    });
    let frames = stream::once(async { Bytes::from(head) })
        .chain(chunks)
        .map(|chunk| Ok::<_, std::io::Error>(Frame::data(chunk)));
    let endless = BodyExt::boxed_unsync(StreamBody::new(frames));
    let failure = received(&headers(), endless).await.unwrap_err();
    assert_eq!(failure.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let seen = sent.load(Ordering::Relaxed);
    assert!(seen <= MAX_UPLOAD + MAX_DISCARDED + 1024 * 1024, "{seen} bytes were read");
}

#[tokio::test]
async fn a_size_announced_above_the_limit_is_refused_before_the_body_is_read() {
    let mut headers = headers();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(MAX_UPLOAD + 1));
    headers.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
    let unread = stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
    let failure =
        received(&headers, BodyExt::boxed_unsync(StreamBody::new(unread))).await.unwrap_err();
    assert_eq!(failure.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stands_still_is_given_up() {
    let still = stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
    let failure =
        received(&headers(), BodyExt::boxed_unsync(StreamBody::new(still))).await.unwrap_err();
    assert_eq!(failure.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_incomplete_upload() {
    let head = Bytes::from(part("name=\"pictures\"; filename=\"a\"", PNG));
    let frames = stream::iter([Ok(Frame::data(head)), Err(std::io::Error::other("gone"))]);
    let broken = BodyExt::boxed_unsync(StreamBody::new(frames));
    let failure = received(&headers(), broken).await.unwrap_err();
    assert_eq!(failure.to_string(), INCOMPLETE.to_string());
}

#[test]
fn names_are_shown_without_tricks() {
    for (sent, shown) in [
        ("sea.jpg", "sea.jpg"),
        ("../../etc/passwd", "passwd"),
        ("a\u{202e}gpj.exe", "agpj.exe"),
        ("a\r\nb\0.png", "ab.png"),
        ("", "unnamed picture"),
        ("  ", "unnamed picture"),
        ("/", "unnamed picture"),
        ("<b>.png", "<b>.png"),
    ] {
        assert_eq!(shown_name(sent), shown, "{sent:?}");
    }
    assert_eq!(shown_name(&"\u{e4}".repeat(200)).chars().count(), 80);
}
