//! The whole server on a real connection: each test is a browser with a cookie jar.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower_redis_session::{MemoryStore, RedisConfig, RedisSessionLayer, encryption::KeyRing};

use crate::{
    app::App,
    captions::{
        Captioner, Describer,
        picture::samples::{RED, flat, noise, png, png_that_claims},
    },
    data::{Data, People},
    sessions::outage::Outage,
    stack::stack,
    web::{
        form,
        server::{Patience, Server},
    },
};

mod accessibility;
mod bad_input;
mod captioning;
mod chrome;
mod in_chrome;
mod on_postgresql;
mod outages;
mod polling;
mod rows;
mod sessions;
mod signing_in;

pub(crate) const KEY: &str = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// What a server of a test is made of.
pub(crate) struct Setup {
    pub(crate) sessions: RedisSessionLayer,
    pub(crate) cache: Option<RedisConfig>,
    pub(crate) captioner: Box<dyn Captioner>,
    pub(crate) database: Option<String>,
    pub(crate) keys: KeyRing,
    pub(crate) outage: Option<Outage>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            sessions: RedisSessionLayer::builder(MemoryStore::new()).build().unwrap(),
            cache: None,
            captioner: Box::new(Describer),
            database: None,
            keys: KEY.parse().unwrap(),
            outage: None,
        }
    }
}

/// A server on a port of its own, with a database of its own.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) app: Arc<App>,
    end: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    _folder: TempDir,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = || format!("sqlite:{}", folder.path().join("captions.db").display());
        let data = Data::open(&setup.database.unwrap_or_else(file), setup.keys).await;
        let data = data.map_err(|error| error.to_string()).unwrap();
        data.add_demonstration().await.map_err(|error| error.to_string()).unwrap();
        let people = People::new(data.clone(), setup.cache).unwrap();
        let sessions = setup.sessions;
        let app = App::new(data, people, setup.captioner, sessions.clone(), setup.outage);
        let app = Arc::new(app.map_err(|error| error.to_string()).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let service = stack(Arc::clone(&app), sessions).unwrap();
        let ending = Arc::clone(&app);
        let server =
            tokio::spawn(Server::new(service, Patience::default()).run(listener, async move {
                let _ = ended.await;
                ending.end_streams();
            }));
        Self { address, app, end: Some(end), server, _folder: folder }
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser {
            client: Client::builder(TokioExecutor::new()).build_http(),
            address: self.address,
            jar: BTreeMap::new(),
        }
    }

    /// Signed in as alice, with her second platform.
    async fn alice(&self) -> Browser {
        let mut browser = self.signed_in("alice", "wonderland").await;
        let seen = browser.post("/platforms", &[("platform", "12")]).await;
        assert_eq!(seen.header("location"), "/caption_generation");
        browser
    }

    async fn bob(&self) -> Browser {
        self.signed_in("bob", "hedgehog").await
    }

    async fn signed_in(&self, name: &str, password: &str) -> Browser {
        let mut browser = self.browser();
        assert_eq!(browser.sign_in(name, password).await.status, StatusCode::SEE_OTHER);
        browser
    }

    /// As at SIGTERM.
    pub(crate) async fn stop(mut self) {
        drop(self.end.take());
        self.server.await.unwrap();
        self.app.shutdown().await;
    }
}

/// Keeps cookies as a browser would, and nothing else.
#[derive(Clone)]
pub(crate) struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    jar: BTreeMap<String, String>,
}

/// An answer with its body read.
pub(crate) struct Seen {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Seen {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The token in the forms of a page.
    fn token(&self) -> Option<String> {
        let rest = self.text().split("name=\"csrf_token\" value=\"").nth(1)?;
        Some(rest.split('"').next()?.to_owned())
    }
}

/// Files and fields of an upload.
#[derive(Clone, Default)]
struct Parts(Vec<u8>);

impl Parts {
    fn field(mut self, name: &str, value: &str) -> Self {
        let head = format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        self.0.extend_from_slice(format!("{head}{value}\r\n").as_bytes());
        self
    }

    fn file(self, name: &str, file: &[u8]) -> Self {
        self.file_in("pictures", name, file)
    }

    fn file_in(mut self, field: &str, name: &str, file: &[u8]) -> Self {
        let head = format!(
            "--b\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\r\n"
        );
        self.0.extend_from_slice(&[head.as_bytes(), file, b"\r\n"].concat());
        self
    }

    fn end(mut self) -> Bytes {
        self.0.extend_from_slice(b"--b--\r\n");
        self.0.into()
    }
}

impl Browser {
    pub(crate) async fn sign_in(&mut self, name: &str, password: &str) -> Seen {
        self.post("/login", &[("username", name), ("password", password)]).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Seen {
        self.send(Request::get(path), Bytes::new()).await
    }

    async fn get_json(&mut self, path: &str) -> Value {
        let seen = self.get(path).await;
        assert_eq!(seen.status, StatusCode::OK, "{path}: {}", seen.text());
        seen.json()
    }

    /// The token of a page that this browser can see.
    async fn token(&mut self) -> String {
        for path in ["/login", "/settings"] {
            if let Some(token) = self.get(path).await.token() {
                return token;
            }
        }
        String::new()
    }

    /// A form of a page of the server's.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let token = self.token().await;
        let fields: Vec<_> = fields.iter().copied().chain([("csrf_token", &*token)]).collect();
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send(request, form::body_of(&fields).into()).await
    }

    /// What a program sends that has the page's token.
    async fn call(&mut self, method: Method, path: &str, json: Option<Value>) -> Seen {
        let token = self.token().await;
        let mut request = Request::builder().method(method).uri(path).header("x-csrf-token", token);
        if json.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = json.map_or_else(Bytes::new, |json| json.to_string().into());
        self.send(request, body).await
    }

    async fn upload(&mut self, parts: Parts, accept: &str) -> Seen {
        let token = self.token().await;
        let first = Parts::default().field("csrf_token", &token);
        self.upload_raw(Parts([first.0, parts.0].concat()), accept).await
    }

    async fn upload_raw(&mut self, parts: Parts, accept: &str) -> Seen {
        let request = Request::post("/start_caption_generation")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b")
            .header(header::ACCEPT, accept)
            .header("sec-fetch-site", "same-origin");
        self.send(request, parts.end()).await
    }

    /// Starts a task; answers its id.
    async fn start(&mut self, parts: Parts) -> String {
        let seen = self.upload(parts.field("processing_delay", "0.0"), "application/json").await;
        assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
        seen.json()["task_id"].as_str().unwrap().to_owned()
    }

    /// A task when it is over.
    async fn finished(&mut self, task: &str) -> Value {
        let over = async {
            loop {
                let state = self.get_json(&format!("/api/caption_tasks/{task}")).await;
                if !["queued", "running"].contains(&state["status"].as_str().unwrap()) {
                    return state;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), over).await.expect("the task ends")
    }

    async fn send(&mut self, request: http::request::Builder, body: Bytes) -> Seen {
        let answer = self.open(request, body).await;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Seen { status: head.status, headers: head.headers, body }
    }

    /// An answer whose body is still to come.
    async fn open(
        &mut self,
        request: http::request::Builder,
        body: Bytes,
    ) -> http::Response<Incoming> {
        let path = request.uri_ref().unwrap().to_string();
        let mut request = request.uri(format!("http://{}{path}", self.address));
        if !self.jar.is_empty() {
            let pairs: Vec<_> =
                self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        let answer = self.client.request(request.body(Full::new(body)).unwrap());
        let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
        let answer = answer.expect("an answer in time").unwrap();
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                let _ = self.jar.remove(name);
            } else {
                let _ = self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_refused() {
    let site = Site::start().await;
    let mut browser = site.browser();
    for path in ["/nothing", "/login/", "//login", "/style.css/", "/admin/users", "/api", "/api/"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for (method, path, allow) in [
        (Method::GET, "/logout", "POST"),
        (Method::OPTIONS, "/login", "GET, HEAD, POST"),
        (Method::OPTIONS, "/healthz", "GET, HEAD"),
    ] {
        let seen = browser.send(Request::builder().method(method).uri(path), Bytes::new()).await;
        assert_eq!(seen.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(seen.header("allow"), allow, "{path}");
    }
}

#[tokio::test]
async fn head_has_the_head_of_get_and_no_body() {
    let site = Site::start().await;
    let mut browser = site.browser();
    for path in ["/login", "/healthz", "/style.css", "/", "/nothing"] {
        let got = browser.get(path).await;
        let seen = browser.send(Request::head(path), Bytes::new()).await;
        assert_eq!(seen.status, got.status, "{path}");
        assert!(seen.body.is_empty(), "{path}");
        // A server may leave the length of nothing out.
        let length = seen.header("content-length").parse().unwrap_or(0);
        assert_eq!(length, got.body.len(), "{path}");
        assert_eq!(seen.header("content-type"), got.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn every_answer_has_the_protecting_headers() {
    let site = Site::start().await;
    let mut browser = site.browser();
    for path in ["/login", "/", "/healthz", "/style.css", "/app.js", "/nothing", "/logout"] {
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
    let site = Site::start().await;
    let mut browser = site.alice().await;
    let task = browser.start(Parts::default().file("a.png", &png(&flat(9, 9, RED)))).await;
    let _ = browser.finished(&task).await;
    let task = format!("/caption_tasks/{task}");
    for path in [
        "/login",
        "/platforms",
        "/platforms/new",
        "/platforms/11",
        "/caption_generation",
        &task,
        "/settings",
        "/devices",
        "/admin",
        "/nothing",
    ] {
        let page = browser.get(path).await;
        for forbidden in ["<style", " style=", " onclick=", "javascript:", "<script>"] {
            assert!(!page.text().contains(forbidden), "{path}: {forbidden}");
        }
    }
}
