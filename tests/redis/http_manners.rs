//! What HTTP and Tower ask of a middleware: upgrades, tunnels, heads without a body and interim
//! answers pass unharmed, headers that are not ours arrive, and readiness is the inner service's.
//!
//! To see these fail: forget the size hint of the body; drop the extensions of the request; build
//! the response anew from its headers; answer `Ready` without asking the inner service.

use std::convert::Infallible;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use test_support::{COOKIE, Client, REMOVED, RedisServer, Running, Site, patient, raw, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::{Layer, Service};
use tower_redis_session::{MemoryStore, RedisSessionLayer, RedisStore, SessionContext};

/// Counts in the session, and does with the request what its method and headers ask for.
async fn handle(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let session = request.extensions().get::<SessionContext>().unwrap().clone();
    let count = session.get::<u32>("n").await.unwrap().unwrap_or(0) + 1;
    session.insert("n", &count).await.unwrap();
    let mut response = Response::builder();
    if request.method() == Method::CONNECT || request.headers().contains_key(header::UPGRADE) {
        if request.method() != Method::CONNECT {
            response = response
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header(header::UPGRADE, "echo")
                .header(header::CONNECTION, "upgrade");
        }
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgraded.await.unwrap());
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(&bytes.map(|byte| byte.to_ascii_uppercase())).await.unwrap();
        });
        return Ok(response.body(Full::default()).unwrap());
    }
    for (name, value) in request.headers() {
        if name.as_str().starts_with("sec-") {
            response = response.header(format!("seen-{name}"), value);
        }
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let response = response
        .header("secure-session-registration", "(ES256);path=\"/start\"")
        .header("secure-session-challenge", "\"c1\";id=\"s\"")
        .header("secure-session-challenge", "\"c2\"");
    Ok(response.body(Full::from(format!("{count}{}", String::from_utf8_lossy(&body)))).unwrap())
}

async fn site(redis: &RedisServer) -> Running {
    let store = RedisStore::new(patient(&redis.url())).unwrap();
    let layer = RedisSessionLayer::builder(store).build().unwrap();
    serve(layer.layer(tower::service_fn(handle))).await
}

/// The `name=value` of our cookie in the head of an answer.
fn cookie_in(head: &str) -> String {
    let line = head.lines().find(|line| line.starts_with("set-cookie: ")).expect(head);
    line["set-cookie: ".len()..].split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn an_upgrade_and_a_tunnel_pass_and_their_session_is_stored() {
    let redis = RedisServer::start().await;
    let site = site(&redis).await;
    for (name, first_line, expected) in [
        ("WebSocket and its like", "GET /ws HTTP/1.1\r\nconnection: upgrade\r\nupgrade: echo", 101),
        ("a tunnel", "CONNECT example.org:443 HTTP/1.1", 200),
    ] {
        let head = format!("{first_line}\r\nhost: example.org\r\n\r\n");
        let mut connection = raw(site.addr, head).await;
        let answer = connection.read_until("\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{name}: {answer}");
        assert!(!answer.contains("transfer-encoding"), "{name}: {answer}");
        assert!(!answer.contains("content-length"), "{name}: {answer}");
        let cookie = cookie_in(&answer);
        // The session was there before the head left, and the stream is the client's own.
        let seen = Client::connect(site.addr).await.get_with("/", &cookie).await.expect(200);
        assert_eq!(seen.text(), "2", "{name}");
        connection.send("ping").await;
        assert_eq!(connection.read_until("PING").await, "PING", "{name}");
    }
}

#[tokio::test]
async fn what_has_no_body_has_the_head_of_what_would_have_one() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    for path in ["/insert:a:1,say:hello", "/say:hello", "/get:a,say:hello"] {
        let head = browser.send(Method::HEAD, path, &[], "").await.expect(200);
        let whole = browser.get(path).await.expect(200);
        assert_eq!(whole.all("content-length"), [whole.body.len().to_string()], "{path}");
        assert_eq!(head.all("content-length"), whole.all("content-length"), "{path}");
        assert_eq!(head.all("vary"), whole.all("vary"), "{path}");
        assert_eq!((head.text().as_str(), head.body_error), ("", None), "{path}");
    }
    for status in [204, 205, 304] {
        let path = format!("/update:n,header:etag:W/x,status:{status}");
        let mut browser = site.browser().await;
        let reply = browser.get(&path).await.expect(status);
        assert_eq!((reply.all("etag"), reply.body_error.clone()), (vec!["W/x".into()], None));
        assert_eq!(reply.set_cookies().len(), 1, "{status}: {reply:?}");
        // Nothing is left in the way of the next answer on that connection.
        assert_eq!(browser.get("/get:n").await.expect(200).text(), "1", "{status}");
    }
}

#[tokio::test]
async fn an_interim_answer_comes_before_the_body_is_sent() {
    let redis = RedisServer::start().await;
    let site = site(&redis).await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";
    let mut connection = raw(site.addr, head).await;
    assert_eq!(connection.read_until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    connection.send("-body").await;
    let answer = connection.read_until("1-body").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(COOKIE), "{answer}");
}

/// Device Bound Session Credentials (W3C, draft of February 2026): both sides speak by headers.
#[tokio::test]
async fn the_headers_of_device_bound_sessions_pass_both_ways() {
    let redis = RedisServer::start().await;
    let site = site(&redis).await;
    let mut client = Client::connect(site.addr).await;
    let sent: [(&str, &[u8]); 2] =
        [("sec-secure-session-id", b"\"s\""), ("sec-session-response", b"a.b.c")];
    let reply = client.send(Method::GET, "/", &sent, "").await.expect(200);
    assert_eq!(reply.all("seen-sec-secure-session-id"), ["\"s\""]);
    assert_eq!(reply.all("seen-sec-session-response"), ["a.b.c"]);
    assert_eq!(reply.all("secure-session-registration"), ["(ES256);path=\"/start\""]);
    assert_eq!(reply.all("secure-session-challenge"), ["\"c1\";id=\"s\"", "\"c2\""]);
    assert_eq!(reply.set_cookies().len(), 1);
}

/// RFC 9110 has no word for it; it is a header of the W3C's "Clear Site Data".
#[tokio::test]
async fn clear_site_data_goes_out_with_the_removal_cookie() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    browser.get("/login:alice").await.expect(200);
    let path = "/logout,header:clear-site-data:%22cache%22%2C%20%22storage%22";
    let reply = browser.get(path).await.expect(200);
    assert_eq!(reply.all("clear-site-data"), ["\"cache\", \"storage\""]);
    assert_eq!(reply.set_cookies(), [REMOVED]);
}

/// A service that says of itself what the test wants.
struct Inner(Poll<Result<(), &'static str>>);

impl Service<Request<()>> for Inner {
    type Response = Response<String>;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response<String>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.0
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        panic!("called although it was not ready");
    }
}

#[test]
fn the_layer_is_ready_when_the_inner_service_is() {
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    for said in [Poll::Pending, Poll::Ready(Err("it is broken")), Poll::Ready(Ok(()))] {
        let mut service = layer.layer(Inner(said));
        assert_eq!(service.poll_ready(&mut context), said);
        assert_eq!(service.poll_ready(&mut context), said, "asked again");
    }
}
