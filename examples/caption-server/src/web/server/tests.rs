//! Tests on real connections.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{Empty, Full};
use hyper::client::conn::{http1, http2};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::Instant,
};
use tower::service_fn;

use super::*;

/// Answers `/slow` only when told to.
struct Running {
    address: SocketAddr,
    arrived: Arc<Notify>,
    go_on: Arc<Notify>,
    end: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

async fn running() -> Running {
    running_with(Patience::default()).await
}

async fn running_with(patience: Patience) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let notes = (Arc::clone(&arrived), Arc::clone(&go_on));
    let service = service_fn(move |request: Request<Body>| {
        let (arrived, go_on) = notes.clone();
        async move {
            if request.uri().path() == "/slow" {
                arrived.notify_one();
                go_on.notified().await;
            }
            let body = Full::from("done").map_err(|never: Infallible| match never {});
            Ok::<_, Infallible>(Response::new(body.boxed_unsync()))
        }
    });
    let (end, ended) = oneshot::channel();
    let shutdown = async {
        let _ = ended.await;
    };
    let server = tokio::spawn(Server::new(service, patience).run(listener, shutdown));
    Running { address, arrived, go_on, end, server }
}

#[tokio::test]
async fn a_body_that_is_still_coming_keeps_its_connection() {
    let patience = Patience { idle: Duration::from_millis(200), ..Patience::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = service_fn(|_: Request<Body>| async {
        let ticks = futures_util::stream::unfold(0, |count| async move {
            sleep(Duration::from_millis(100)).await;
            let frame = hyper::body::Frame::data(Bytes::from_static(b"."));
            (count < 8).then_some((Ok::<_, io::Error>(frame), count + 1))
        });
        let body = Body::new(http_body_util::StreamBody::new(ticks));
        Ok::<_, Infallible>(Response::new(body))
    });
    let server = tokio::spawn(Server::new(service, patience).run(listener, std::future::pending()));
    let mut sender = client(address).await;
    let answer = sender.send_request(Request::new(Empty::new())).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "........");
    server.abort();
}

async fn client(address: SocketAddr) -> http1::SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).header("host", "127.0.0.1").body(Empty::new()).unwrap()
}

#[tokio::test]
async fn both_versions_of_the_protocol_are_spoken() {
    let running = running().await;
    let answer = client(running.address).await.send_request(get("/")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);

    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(get("http://127.0.0.1/")).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "done");
}

#[tokio::test]
async fn a_request_in_work_is_finished_after_the_end_was_asked_for() {
    let running = running().await;
    let mut client = client(running.address).await;
    let answer = tokio::spawn(async move { client.send_request(get("/slow")).await });
    running.arrived.notified().await;
    running.end.send(()).unwrap();
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!running.server.is_finished());
    running.go_on.notify_one();
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "done");
    running.server.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let running = running().await;
    let mut client = client(running.address).await;
    client.send_request(get("/")).await.unwrap();
    let _silent = TcpStream::connect(running.address).await.unwrap();
    let asked = Instant::now();
    running.end.send(()).unwrap();
    running.server.await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_client_that_sends_no_whole_head_is_let_go() {
    let short = Duration::from_millis(200);
    for (name, head, idle, sent) in [
        ("half a head", short, Duration::from_secs(60), &b"GET / HTTP/1.1\r\nhost: a\r\n"[..]),
        ("nothing at all", Duration::from_secs(60), short, b""),
        ("half a preface of HTTP/2", Duration::from_secs(60), short, b"PRI * HTTP/2"),
    ] {
        let running = running_with(Patience { head, idle, ..Patience::default() }).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let asked = Instant::now();
        // A reset counts as an end too.
        let _ = stream.read_to_end(&mut Vec::new()).await;
        assert!(asked.elapsed() < Duration::from_secs(10), "{name}");
    }
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_when_patience_does() {
    let patience = Patience { drain: Duration::from_millis(200), ..Patience::default() };
    let running = running_with(patience).await;
    let mut client = client(running.address).await;
    let answer = tokio::spawn(async move { client.send_request(get("/slow")).await });
    running.arrived.notified().await;
    running.end.send(()).unwrap();
    running.server.await.unwrap();
    assert!(answer.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn idle_time_starts_anew_after_each_request() {
    let (count, seen) = watch::channel(0);
    let count = Arc::new(count);
    let started = Instant::now();
    let patience = Duration::from_secs(60);
    let idle = tokio::spawn(idle(seen, patience));
    sleep(patience / 2).await;
    let busy = Busy::new(&count);
    sleep(patience * 3).await;
    assert!(!idle.is_finished(), "a request is in work");
    drop(busy);
    idle.await.unwrap();
    assert_eq!(started.elapsed().as_secs(), (patience / 2 + patience * 4).as_secs());
}
