//! The whole server without a network: each test is a browser with a cookie jar.
#![allow(clippy::unwrap_used)]

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::{ServiceExt, util::BoxCloneService};
use tower_redis_session::{MemoryStore, RedisSessionLayer};

use crate::{
    accounts::Accounts,
    captions::{CaptionError, Captioner, Describer},
    form,
    pages::Pages,
    picture::{
        Picture,
        samples::{RED, flat, noise, png, png_that_claims},
    },
    routes::{App, Body},
    settings::Settings,
    stack::stack,
};

mod captioning;
mod sessions;
mod signing_in;

/// Keeps the cookie as a browser would, and nothing else.
#[derive(Clone)]
struct Browser {
    server: BoxCloneService<Request<Body>, Response<Body>, Infallible>,
    cookie: Option<String>,
}

/// An answer with its body read.
struct Seen {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Seen {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Browser {
    fn new() -> Self {
        Self::with(
            Box::new(Describer),
            RedisSessionLayer::builder(MemoryStore::new()).build().unwrap(),
        )
    }

    fn with(captioner: Box<dyn Captioner>, sessions: RedisSessionLayer) -> Self {
        let accounts = Accounts::demonstration().unwrap();
        let pages = Pages::new().unwrap();
        let app = App::new(pages, accounts, captioner, Settings::default(), sessions.clone());
        Self { server: BoxCloneService::new(stack(Arc::new(app), sessions)), cookie: None }
    }

    /// Signed in as alice, with her second platform.
    async fn of_alice() -> Self {
        let mut browser = Self::new();
        browser.prepare().await;
        browser
    }

    async fn prepare(&mut self) {
        let seen = self.sign_in("alice", "wonderland").await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER);
        let seen = self.post("/platforms", &[("platform", "12")]).await;
        assert_eq!(seen.header("location"), "/caption_generation");
    }

    async fn sign_in(&mut self, name: &str, password: &str) -> Seen {
        self.post("/login", &[("username", name), ("password", password)]).await
    }

    async fn get(&mut self, path: &str) -> Seen {
        self.send(Request::get(path), Bytes::new()).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send(request, form::body_of(fields).into()).await
    }

    async fn upload(&mut self, name: &str, file: &[u8], accept: &str) -> Seen {
        let head = format!(
            "--b\r\ncontent-disposition: form-data; name=\"picture\"; filename=\"{name}\"\r\n\r\n"
        );
        let request = Request::post("/start_caption_generation")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b")
            .header(header::ACCEPT, accept)
            .header("sec-fetch-site", "same-origin");
        self.send(request, [head.as_bytes(), file, b"\r\n--b--\r\n"].concat().into()).await
    }

    async fn send(&mut self, request: http::request::Builder, body: Bytes) -> Seen {
        let mut request = request.header(header::HOST, "127.0.0.1:3000");
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let body = Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync();
        let answer = self.server.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        for cookie in head.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let pair = cookie.split(';').next().unwrap();
            let gone = pair.ends_with('=') || cookie.contains("Max-Age=0");
            self.cookie = (!gone).then(|| pair.to_owned());
        }
        let body = body.collect().await.unwrap().to_bytes();
        Seen { status: head.status, headers: head.headers, body }
    }
}

#[tokio::test]
async fn health_and_static_files_do_not_touch_the_session() {
    let mut browser = Browser::new();
    for (path, kind) in
        [("/healthz", "text/plain"), ("/style.css", "text/css"), ("/icon.svg", "image/svg+xml")]
    {
        let seen = browser.get(path).await;
        assert_eq!(seen.status, StatusCode::OK, "{path}");
        assert!(seen.header("content-type").starts_with(kind), "{path}");
        assert!(!seen.body.is_empty(), "{path}");
        for header in ["set-cookie", "vary"] {
            assert!(!seen.headers.contains_key(header), "{path}: {header}");
        }
    }
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_refused() {
    let mut browser = Browser::new();
    for path in ["/nothing", "/login/", "//login", "/../etc/passwd", "/style.css/"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for (method, path, allow) in [
        (Method::DELETE, "/login", "GET, HEAD, POST"),
        (Method::GET, "/logout", "POST"),
        (Method::GET, "/start_caption_generation", "POST"),
        (Method::POST, "/healthz", "GET, HEAD"),
        (Method::OPTIONS, "/", "GET, HEAD"),
    ] {
        let seen = browser.send(Request::builder().method(method).uri(path), Bytes::new()).await;
        assert_eq!(seen.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(seen.header("allow"), allow, "{path}");
    }
}

#[tokio::test]
async fn head_has_the_head_of_get_and_no_body() {
    let mut browser = Browser::new();
    for path in ["/login", "/healthz", "/style.css", "/", "/nothing"] {
        let got = browser.get(path).await;
        let seen = browser.send(Request::head(path), Bytes::new()).await;
        assert_eq!(seen.status, got.status, "{path}");
        assert!(seen.body.is_empty(), "{path}");
        assert_eq!(seen.header("content-length"), got.body.len().to_string(), "{path}");
        assert_eq!(seen.header("content-type"), got.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn every_answer_has_the_protecting_headers() {
    let mut browser = Browser::new();
    for path in ["/login", "/", "/healthz", "/style.css", "/nothing", "/logout"] {
        let seen = browser.get(path).await;
        let policy = seen.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(seen.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(seen.header("referrer-policy"), "same-origin", "{path}");
    }
}

#[tokio::test]
async fn pages_hold_nothing_that_the_policy_forbids() {
    let mut browser = Browser::of_alice().await;
    browser.upload("a.png", &png(&flat(9, 9, RED)), "text/html").await;
    for path in ["/login", "/platforms", "/caption_generation", "/nothing"] {
        let page = browser.get(path).await;
        for forbidden in ["<script", "<style", " style=", " onclick=", "javascript:"] {
            assert!(!page.text().contains(forbidden), "{path}: {forbidden}");
        }
    }
}
