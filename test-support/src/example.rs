//! A walk through an example's server, started as a process: the same pages for every framework.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use futures_util::{future::join_all, stream};
use http::{Method, Request};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::browser::Browser;
use super::child::Child;
use super::free_port::free_port;
use super::redis_server::RedisServer;
use super::{bounded, eventually};

/// A running example.
#[derive(Debug)]
pub struct Example {
    process: Child,
    addr: SocketAddr,
}

impl Example {
    /// Starts `program` on a free port, with these variables and no other that names a store.
    pub async fn start(program: &str, variables: &[(&str, &str)]) -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command: Command = Child::command(Path::new(program));
        command.arg(addr.to_string()).env("SESSION_STORAGE", "memory");
        // A machine that is busy is no outage.
        command.env("SESSION_STORE_BUDGET_MS", "15000");
        command.envs(variables.iter().copied());
        let mut process = Child::spawn(command).expect("starting the example");
        eventually("the example listens", async || {
            assert_eq!(process.exited(), None, "{program} has ended");
            TcpStream::connect(addr).await.is_ok()
        })
        .await;
        Self { process, addr }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// Counts, signs in, uploads, counts at once and signs out, as a browser would.
pub async fn walk_example(program: &str) {
    // A store that takes its time, so that what comes at once overlaps.
    let redis = RedisServer::start().await;
    let url = redis.url();
    let example =
        Example::start(program, &[("SESSION_STORAGE", "redis"), ("REDIS_URL", &url)]).await;
    let mut browser = Browser::new(example.addr()).await;

    assert_eq!(visit(&mut browser).await.0, "visit 1 of nobody, 0 bytes uploaded");
    let (told, token) = visit(&mut browser).await;
    assert_eq!(told, "visit 2 of nobody, 0 bytes uploaded", "the cookie is kept");
    let _ = browser.get("/account").await.expect(401);

    for (fault, fields, header, status) in [
        ("no token", "password=wonderland".to_owned(), None, 403),
        ("another token", "password=wonderland&csrf_token=x".to_owned(), None, 403),
        ("from elsewhere", sign_in("wonderland", &token), Some("cross-site"), 403),
        ("wrong password", sign_in("guess", &token), Some("same-origin"), 403),
        ("none", sign_in("wonderland", &token), Some("same-origin"), 303),
    ] {
        let before = browser.cookie_header();
        let reply = post(&mut browser, "/login", fields, header).await;
        assert_eq!(reply, status, "{fault}");
        assert_eq!(browser.cookie_header() != before, status == 303, "a new id: {fault}");
    }
    let (told, token) = visit(&mut browser).await;
    assert_eq!(told, "visit 3 of alice, 0 bytes uploaded", "a sign-in keeps the values");
    assert_eq!(browser.get("/account").await.expect(200).text(), "your account\n");

    upload(&browser, &token).await;
    let (told, _) = visit(&mut browser).await;
    assert_eq!(told, "visit 4 of alice, 11 bytes uploaded", "what the stream stored");

    let tabs = join_all((0..20).map(|_| browser.tab())).await;
    let _ = join_all(tabs.into_iter().map(async |mut tab| tab.get("/").await.expect(200))).await;
    let (told, token) = visit(&mut browser).await;
    assert_eq!(told, "visit 25 of alice, 11 bytes uploaded", "20 at once are 20");

    let mut thief = browser.tab().await;
    assert_eq!(post(&mut browser, "/logout", "".to_owned(), None).await, 403, "no token");
    assert_eq!(post(&mut browser, "/logout", format!("csrf_token={token}"), None).await, 303);
    let _ = thief.get("/account").await.expect(401);
    let (told, _) = visit(&mut thief).await;
    assert_eq!(told, "visit 1 of nobody, 0 bytes uploaded", "the old cookie opens nothing");

    redis.kill();
    let reply = browser.get("/").await.expect(503);
    assert_eq!(reply.all("retry-after"), ["1"], "{reply:?}");
}

fn sign_in(password: &str, token: &str) -> String {
    format!("password={password}&csrf_token={token}")
}

/// What the page says, and the token in its form.
async fn visit(browser: &mut Browser) -> (String, String) {
    let page = browser.get("/").await.expect(200).text();
    let between = |start: &str, end: &str| {
        let found = page.split_once(start).and_then(|(_, rest)| rest.split_once(end));
        found.unwrap_or_else(|| panic!("no {start} in {page}")).0.to_owned()
    };
    (between("<p>", "</p>"), between(r#"name="csrf_token" value=""#, "\""))
}

async fn post(browser: &mut Browser, path: &str, form: String, site: Option<&str>) -> u16 {
    let mut headers: Vec<(&str, &[u8])> =
        vec![("content-type", b"application/x-www-form-urlencoded")];
    headers.extend(site.map(|site| ("sec-fetch-site", site.as_bytes())));
    browser.send(Method::POST, path, &headers, form).await.status.as_u16()
}

/// Sends a second piece when the answer to the first is there: nothing on the way keeps a body,
/// of the request or of the response, until it is whole.
async fn upload(browser: &Browser, token: &str) {
    bounded("an upload that is answered while it goes on", async {
        let stream = TcpStream::connect(browser.addr()).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let (pieces, body) = mpsc::unbounded_channel::<&'static str>();
        let body = stream::unfold(body, |mut body| async move {
            let piece = body.recv().await?;
            Some((Ok::<_, std::io::Error>(Frame::data(Bytes::from(piece))), body))
        });
        let request = Request::post("/upload")
            .header("host", browser.addr().to_string())
            .header("cookie", browser.cookie_header())
            .header("x-csrf-token", token)
            .body(StreamBody::new(Box::pin(body)));
        pieces.send("first").unwrap();
        let response = client.send_request(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut answer = response.into_body();
        let mut next = async || {
            let frame = answer.frame().await.map(|frame| frame.unwrap().into_data().unwrap());
            frame.map(|data| String::from_utf8(data.into()).unwrap())
        };
        assert_eq!(next().await.as_deref(), Some("5 bytes\n"));
        pieces.send("second").unwrap();
        assert_eq!(next().await.as_deref(), Some("11 bytes\n"));
        drop(pieces);
        assert_eq!(next().await, None);
        connection.abort();
    })
    .await;
}
