//! Two instances as processes on one store: what one revokes closes the sockets of the other.
//!
//! `LIVE=all cargo test -p websocket -- --nocapture` closes 100 sockets a store, prints how long it
//! took, and opens 10,000 sockets one after the other.
//!
//! To see these fail: leave `ended()` out of the loop; hear of what happens in one's own process
//! alone; open the socket without `SignedIn`; leave out the CSRF layer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Method, Request};
use test_support::{Browser, Child, RedisServer, bounded, eventually};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest as _},
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Instance {
    child: Child,
    addr: SocketAddr,
}

fn all() -> bool {
    std::env::var("LIVE").is_ok_and(|value| value == "all")
}

fn start(settings: &[(&str, String)]) -> Instance {
    let mut command = Child::command(Path::new(env!("CARGO_BIN_EXE_websocket")));
    command.arg("127.0.0.1:0").env("SESSION_INSECURE_HTTP", "true").stdout(Stdio::piped());
    for (name, value) in settings {
        command.env(name, value);
    }
    let mut child = Child::spawn(command).unwrap();
    let mut lines = BufReader::new(child.inner().stdout.take().unwrap()).lines();
    let line = lines.next().expect("the address").unwrap();
    Instance { child, addr: line.strip_prefix("http://").unwrap().parse().unwrap() }
}

fn handshake(on: &Instance, cookie: &str, origin: Option<&str>) -> Request<()> {
    let mut request = format!("ws://{}/ws", on.addr).into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("cookie", HeaderValue::try_from(cookie).unwrap());
    if let Some(origin) = origin {
        headers.insert("origin", HeaderValue::try_from(origin).unwrap());
    }
    request
}

async fn socket(on: &Instance, cookie: &str) -> Socket {
    let opened = bounded("a handshake", connect_async(handshake(on, cookie, None)));
    opened.await.unwrap().0
}

/// The status of a handshake that is refused.
async fn refused(request: Request<()>) -> u16 {
    match bounded("a refusal", connect_async(request)).await {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        other => panic!("not refused: {other:?}"),
    }
}

async fn say(socket: &mut Socket, text: &str) -> String {
    socket.send(Message::text(text)).await.unwrap();
    let said = bounded("an echo", socket.next()).await.unwrap().unwrap();
    said.into_text().unwrap().to_string()
}

async fn signed_in(on: &Instance, user: &str) -> Browser {
    let mut browser = Browser::new(on.addr).await;
    let form: &[u8] = b"application/x-www-form-urlencoded";
    let headers = [("content-type", form)];
    let said = browser.send(Method::POST, "/login", &headers, format!("user={user}")).await;
    assert_eq!(said.expect(200).text(), format!("hello {user}\n"));
    browser
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_instance_revokes_closes_the_sockets_of_the_other() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let setting = |name, value: &str| (name, value.to_owned());
    let stores = [
        vec![setting("SESSION_STORAGE", "redis"), setting("REDIS_URL", &redis.url())],
        vec![
            setting("SESSION_STORAGE", "database"),
            setting("SESSION_DATABASE_URL", &file("alone.db")),
        ],
        vec![
            setting("SESSION_STORAGE", "durable"),
            setting("REDIS_URL", &redis.durable_url()),
            setting("SESSION_DATABASE_URL", &file("behind.db")),
        ],
    ];
    let (stores, count) = if all() { (&stores[..], 100) } else { (&stores[..1], 10) };
    for settings in stores {
        let (a, b) = (start(settings), start(settings));
        let mut took = Vec::new();
        // One that stays, so that the others end at every moment of the interval.
        let keeper = signed_in(&a, "keeper").await;
        let _kept = socket(&a, &keeper.cookie_header()).await;
        for number in 0..count {
            let user = format!("user-{number}");
            let phone = signed_in(&a, &user).await;
            let mut laptop = signed_in(&b, &user).await;
            let mut socket = socket(&a, &phone.cookie_header()).await;
            assert_eq!(say(&mut socket, "hello").await, "1: hello");
            assert_eq!(say(&mut socket, "again").await, "2: again");
            let revoked = laptop.post("/revoke-others", "").await.expect(200).text();
            assert_eq!(revoked, "1 revoked\n");
            let at = Instant::now();
            let end = bounded("the end of a socket", socket.next()).await.unwrap().unwrap();
            took.push(at.elapsed());
            let Message::Close(Some(frame)) = end else { panic!("no close: {end:?}") };
            assert_eq!(
                (u16::from(frame.code), frame.reason.as_str()),
                (4401, &*format!("Ended: {user}"))
            );
            assert_eq!(refused(handshake(&a, &phone.cookie_header(), None)).await, 401);
        }
        took.sort_unstable();
        let (median, last) = (took[took.len() / 2], took[took.len() - 1]);
        println!("| {} | {count} | {median:.0?} | {last:.0?} |", settings[0].1);
        // The interval of a second, and what a busy machine may add.
        assert!(last < Duration::from_secs(3), "{:?}: {last:?}", settings[0]);
    }
}

#[tokio::test]
async fn a_socket_is_opened_for_those_who_are_signed_in_by_its_own_pages() {
    let a = start(&[]);
    let alice = signed_in(&a, "alice").await;
    let cookie = alice.cookie_header();
    assert_eq!(refused(handshake(&a, "", None)).await, 401);
    assert_eq!(refused(handshake(&a, &cookie, Some("https://evil.test"))).await, 403);
    let own = format!("http://{}", a.addr);
    let opened = connect_async(handshake(&a, &cookie, Some(&own)));
    let (mut socket, response) = bounded("a handshake", opened).await.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(say(&mut socket, "hello").await, "1: hello");
}

#[tokio::test]
async fn sockets_that_came_and_went_leave_nothing() {
    let a = start(&[]);
    let alice = signed_in(&a, "alice").await;
    let files =
        |of: &Instance| fs::read_dir(format!("/proc/{}/fd", of.child.pid())).unwrap().count();
    let memory = |of: &Instance| {
        let status = fs::read_to_string(format!("/proc/{}/status", of.child.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let (rounds, at_once) = if all() { (100, 100) } else { (5, 100) };
    let before = files(&a);
    let mut first = 0;
    for round in 0..rounds {
        let mut sockets = Vec::new();
        for _ in 0..at_once {
            sockets.push(socket(&a, &alice.cookie_header()).await);
        }
        drop(sockets);
        eventually("their connections are closed", async || files(&a) <= before + 1).await;
        if round == 9 {
            first = memory(&a);
        }
    }
    let last = memory(&a);
    println!("{} sockets: {first} KiB after 1,000, {last} KiB in the end", rounds * at_once);
    assert!(!all() || last < first + 2 * 1024, "{first} KiB, then {last} KiB");
}
