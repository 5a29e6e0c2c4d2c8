//! What a server, or the way to it, does to connections that were good a moment ago costs no
//! request an error, and what cannot be done as asked is refused.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use test_support::{COOKIE, RedisServer, Site, eventually, patient, records, signed_in};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower_redis_session::{RedisConfig, RedisSessionLayer, RedisStore};

/// How many connections a store has at most, unless it is told otherwise.
const POOL: usize = 4;

/// A site with all the connections that it may have: a burst of requests opens them.
async fn busy_site(redis: &RedisServer) -> Site {
    let site = Site::start(redis).await;
    let visits = (0..16).map(|_| site.visit("/insert:a:1", ""));
    for response in join_all(visits).await {
        assert_eq!(response.status(), 200);
    }
    let mut connection = redis.connection().await;
    eventually("as many connections as the pool may have", async || {
        let mut list = redis::cmd("CLIENT");
        let list: String = list.arg("LIST").query_async(&mut connection).await.unwrap();
        let ours = redis.ours();
        let is_ours = |line: &str| ours.iter().any(|addr| line.contains(&format!("addr={addr} ")));
        list.lines().filter(|line| !is_ours(line)).count() == POOL
    })
    .await;
    site
}

/// As a restart, a time-out or a reset on the way does.
async fn cut_all(redis: &RedisServer) {
    let mut connection = redis.connection().await;
    let mut kill = redis::cmd("CLIENT");
    kill.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes");
    let killed: usize = kill.query_async(&mut connection).await.unwrap();
    assert!(killed >= POOL, "{killed} killed");
}

#[tokio::test]
async fn all_idle_connections_cut_at_once_cost_no_request() {
    for path in ["/get:cart", "/insert:cart:milk", "/update:n", "/renew", "/validate", "/login:bob"]
    {
        let redis = RedisServer::start().await;
        let site = busy_site(&redis).await;
        let mut browser = signed_in(&site).await;
        cut_all(&redis).await;
        for count in 0..2 * POOL {
            let reply = browser.get(path).await;
            assert_eq!(reply.status.as_u16(), 200, "{path}, {count} before it: {reply:?}");
        }
    }
}

#[tokio::test]
async fn all_idle_connections_cut_at_once_cost_no_new_session() {
    let redis = RedisServer::start().await;
    let site = busy_site(&redis).await;
    cut_all(&redis).await;
    for count in 0..2 * POOL {
        let response = site.visit("/login:alice", "").await;
        assert_eq!(response.status(), 200, "{count} before it");
    }
}

/// A way to Redis that, while it lies, tells an hour less where the server tells the time.
struct FalseClock {
    addr: SocketAddr,
    lies: Arc<AtomicBool>,
    accepting: JoinHandle<()>,
}

impl FalseClock {
    async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let lies = Arc::new(AtomicBool::new(true));
        let lying = Arc::clone(&lies);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(upstream).await.unwrap();
                tokio::spawn(forward(client, server, lying.load(Ordering::SeqCst)));
            }
        });
        Self { addr, lies, accepting }
    }
}

impl Drop for FalseClock {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, lies: bool) {
    // The reply to TIME is the only one of two strings of which the first has ten digits.
    const TIME: &[u8] = b"*2\r\n$10\r\n";
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let replies = async {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
            let reply = &mut bytes[..length];
            if lies && reply.starts_with(TIME) {
                let seconds = &mut reply[TIME.len()..TIME.len() + 10];
                let told: u64 = std::str::from_utf8(seconds).unwrap().parse().unwrap();
                seconds.copy_from_slice((told - 3_600).to_string().as_bytes());
            }
            if to_client.write_all(reply).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        () = replies => {}
    }
}

#[tokio::test]
async fn a_wrong_idea_of_the_servers_clock_costs_no_request() {
    for (name, path, signed_in_before) in [
        ("renewal", "/renew", true),
        ("login", "/login:bob", true),
        ("first login", "/login:alice", false),
        ("first insert", "/insert:a:1", false),
    ] {
        let redis = RedisServer::start().await;
        // The truth, for the session to be there.
        let truthful = Site::start(&redis).await;
        let browser = signed_in(&truthful).await;
        let cookie = format!("{COOKIE}={}", browser.cookie(COOKIE).unwrap());
        let way = FalseClock::start(redis.addr()).await;
        let url = redis.url_at(way.addr.port());
        let site = Site::on(patient(&url), |builder| builder.budget(Duration::from_secs(15))).await;
        // Reads need no clock, and open all connections while the way lies.
        let reads = join_all((0..64).map(|_| site.visit("/user", &cookie))).await;
        assert!(reads.iter().all(|read| read.status() == 200), "{name}");
        way.lies.store(false, Ordering::SeqCst);
        let cookie = if signed_in_before { cookie.as_str() } else { "" };
        let response = site.visit(path, cookie).await;
        assert_eq!(response.status(), 200, "{name}");
        assert!(response.headers().contains_key("set-cookie"), "{name}");
    }
}

#[tokio::test]
async fn an_address_told_to_be_encrypted_never_talks_in_plain() {
    let redis = RedisServer::start().await;
    redis.reset_stats().await;
    for scheme in ["redis", "valkey", "REDIS", "Valkey", "rediss", "REDISS"] {
        let url = redis.url().replace("redis://", &format!("{scheme}://"));
        // Refused at once, as without the crate feature, is as good.
        let Ok(store) = RedisStore::new(RedisConfig::new(url).tls()) else { continue };
        let layer = RedisSessionLayer::builder(store).build().unwrap();
        layer.check().await.expect_err(scheme);
    }
    let counts = redis.command_counts().await;
    for command in ["time", "get", "script|load", "auth", "evalsha"] {
        assert!(!counts.contains_key(command), "{command} in {counts:?}");
    }
    let socket = RedisConfig::new("unix:///run/redis.sock").tls();
    RedisStore::new(socket).expect_err("a socket has no TLS");
}

#[tokio::test]
async fn what_cannot_be_done_to_a_record_of_a_newer_version_is_refused() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    let (key, mut value) = records(&redis).await.pop().unwrap();
    let magic = value.windows(3).position(|bytes| bytes == b"TRS").expect("the envelope");
    value[magic + 3] += 1;
    let mut connection = redis.connection().await;
    let set = redis::cmd("SET").arg(&key).arg(value).arg("EX").arg(600).to_owned();
    let () = set.query_async(&mut connection).await.unwrap();
    let before = redis.dump().await;
    for path in [
        "/user",
        "/renew",
        "/clear",
        "/remove:cart",
        "/insert:cart:milk",
        "/update:n",
        "/clear_platform",
        "/set_platform:p",
    ] {
        let reply = browser.get(path).await;
        assert_eq!(reply.text(), "Unsupported", "{path}: {reply:?}");
        assert_eq!(reply.status.as_u16(), 503, "{path}: {reply:?}");
        assert_eq!(redis.dump().await, before, "{path}");
    }
}
