//! `examples/hyper.rs`, over HTTP.

use std::time::Duration;

use test_support::{Browser, bounded};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tower_redis_session::{MemoryStore, RedisSessionLayer};

#[allow(dead_code, reason = "its main is not called")]
#[path = "../../examples/hyper.rs"]
mod example;

use example::serve;

#[tokio::test]
async fn it_counts_signs_in_and_answers_what_is_in_work_at_the_end() {
    let sessions = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut server = tokio::spawn(async move {
        serve(listener, &sessions, async { drop(stopped.await) }).await.unwrap();
        sessions.shutdown().await;
    });

    let mut browser = Browser::new(address).await;
    assert_eq!(browser.get("/").await.expect(200).text(), "visit 1 of nobody\n");
    assert_eq!(browser.get("/").await.expect(200).text(), "visit 2 of nobody\n");
    let _ = browser.post("/login", "guess").await.expect(403);
    let before = browser.cookie_header();
    let _ = browser.post("/login", "wonderland").await.expect(200);
    assert_ne!(browser.cookie_header(), before, "a sign-in gives a new id");
    assert_eq!(browser.get("/").await.expect(200).text(), "visit 3 of alice\n");
    let _ = browser.get("/nothing").await.expect(404);

    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = "POST /login HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nwonder";
    slow.write_all(head.as_bytes()).await.unwrap();
    // Served after the connection of the slow client was accepted.
    let _ = Browser::new(address).await.get("/").await.expect(200);
    drop(stop);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let early = tokio::time::timeout(Duration::from_millis(50), &mut server).await;
    assert!(early.is_err(), "the server waits for the slow client");
    slow.write_all(b"land").await.unwrap();
    let mut answer = String::new();
    let _ = bounded("the answer", slow.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    bounded("the end of the server", server).await.unwrap();
}
