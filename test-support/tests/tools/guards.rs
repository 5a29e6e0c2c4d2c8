//! The tools of the other tests, tested: a guard that leaves nothing behind, a proxy whose modes
//! do what they say, a capture that misses nothing.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use redis::aio::MultiplexedConnection;
use test_support::{
    Browser, FaultProxy, LogCapture, Mode, PostgresServer, RedisServer, ServerProcess, bounded,
    eventually,
};
use tokio::net::TcpStream;

async fn through(addr: std::net::SocketAddr) -> redis::RedisResult<MultiplexedConnection> {
    let quick = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_millis(1_000)))
        .set_response_timeout(Some(Duration::from_millis(1_000)));
    let client = redis::Client::open(format!("redis://{addr}/")).unwrap();
    client.get_multiplexed_async_connection_with_config(&quick).await
}

async fn get(connection: &mut MultiplexedConnection) -> redis::RedisResult<Option<String>> {
    redis::cmd("GET").arg("name").query_async(connection).await
}

async fn set(connection: &mut MultiplexedConnection, value: &str) -> redis::RedisResult<()> {
    redis::cmd("SET").arg("name").arg(value).arg("EX").arg(60).query_async(connection).await
}

#[tokio::test]
async fn a_killed_test_process_leaves_no_redis_server() {
    if test_support::asked_to_serve().is_some() {
        let server = RedisServer::start().await;
        return test_support::announce(server.addr()).await;
    }
    let process = ServerProcess::start(
        "guards::a_killed_test_process_leaves_no_redis_server",
        "a Redis server",
    );
    let addr = process.addr();
    TcpStream::connect(addr).await.expect("the server of the other process");
    process.kill();
    eventually("the orphan's end", async || TcpStream::connect(addr).await.is_err()).await;
}

#[tokio::test]
async fn a_server_can_be_killed_stopped_and_restarted_empty_on_its_port() {
    let server = RedisServer::builder().requirepass("secret").start().await;
    let mut connection = server.connection().await;
    set(&mut connection, "value").await.unwrap();
    server.assert_every_key_has_a_ttl().await;
    assert_eq!(server.dump().await, [("name".to_owned(), b"value".to_vec())]);
    server.hang();
    let mut answer = tokio::spawn(async move { get(&mut connection).await });
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut answer).await.is_err());
    server.resume();
    assert_eq!(bounded("the answer", answer).await.unwrap().unwrap().unwrap(), "value");
    server.restart().await;
    assert!(server.keys().await.is_empty());
    server.kill();
    assert!(TcpStream::connect(server.addr()).await.is_err());
    server.restart().await;
    server.hang();
    let pid = server.pid();
    drop(server);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_killed_test_process_leaves_no_postgres() {
    if let Some(note) = test_support::asked_to_serve() {
        let (shared, hung) = tokio::join!(PostgresServer::shared(), PostgresServer::own());
        hung.hang();
        let folders = [shared, &hung].map(|server| server.folder().to_str().unwrap().to_owned());
        std::fs::write(note, folders.join("\n")).unwrap();
        return test_support::announce(shared.addr()).await;
    }
    let note = tempfile::NamedTempFile::new().unwrap();
    let process = ServerProcess::start(
        "guards::a_killed_test_process_leaves_no_postgres",
        note.path().to_str().unwrap(),
    );
    let folders = std::fs::read_to_string(note.path()).unwrap();
    let processes = || folders.lines().flat_map(|folder| processes_in(folder.as_ref())).count();
    assert!(processes() > 4, "two servers");
    process.kill();
    eventually("the orphans' end", async || processes() == 0).await;
    let exists = || folders.lines().any(|folder| Path::new(folder).exists());
    eventually("the end of their folders", async || !exists()).await;
}

/// Those that stand below `folder`, as each process of PostgreSQL does with its data.
fn processes_in(folder: &Path) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let stands =
        |path: &PathBuf| path.join("cwd").read_link().is_ok_and(|at| at.starts_with(folder));
    processes.filter(stands).collect()
}

#[tokio::test]
async fn tests_share_a_postgres_and_have_a_database_each() {
    let fresh = async || PostgresServer::shared().await.database().await;
    let (one, other) = tokio::join!(fresh(), fresh());
    assert_eq!(one.sql("CREATE TABLE t (n int, s text)").await, "");
    assert_eq!(one.sql("INSERT INTO t VALUES (1, 'a'), (2, NULL); TABLE t").await, "1|a\n2|");
    assert!(other.try_sql("TABLE t").await.unwrap_err().contains("does not exist"));
    assert_eq!(one.sql("SHOW synchronous_commit").await, "on");
    let proxy = FaultProxy::start(PostgresServer::shared().await.addr()).await;
    assert!(one.url_through(proxy.port()).contains(&format!(":{}/{}", proxy.port(), one.name())));
}

#[tokio::test]
async fn a_postgres_can_be_killed_stopped_and_restarted_with_its_commits() {
    let server = PostgresServer::builder().password("secret").start().await;
    let database = server.database().await;
    assert_eq!(database.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)").await, "");
    let rules = database.sql("SELECT DISTINCT auth_method FROM pg_hba_file_rules").await;
    assert_eq!(rules, "scram-sha-256");

    server.hang();
    let question = database.sql("TABLE t");
    tokio::pin!(question);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut question).await.is_err());
    server.resume();
    assert_eq!(question.await, "1");

    server.restart().await;
    assert_eq!(database.sql("TABLE t").await, "1");
    server.kill();
    assert!(TcpStream::connect(server.addr()).await.is_err());
    assert!(database.try_sql("TABLE t").await.is_err());
    server.restart().await;
    server.hang();
    let folder = server.folder().to_owned();
    assert!(processes_in(&folder).len() > 2);
    drop(server);
    assert!(processes_in(&folder).is_empty() && !folder.exists());
}

#[tokio::test]
async fn the_monitor_tells_clients_from_scripts_and_from_the_test_itself() {
    let server = RedisServer::builder().log_every_command().start().await;
    let mut stranger = through(server.addr()).await.unwrap();
    let mut monitor = server.monitor().await;
    set(&mut stranger, "a\"\\\n\u{1}ü").await.unwrap();
    let () = redis::cmd("EVAL")
        .arg("redis.call('set', 'bare', 'x'); return redis.call('get', 'name')")
        .arg(0)
        .query_async(&mut stranger)
        .await
        .unwrap();
    let _ = server.keys().await;
    let seen = monitor.take().await;
    let by_whom: Vec<_> =
        seen.iter().map(|command| (command.name(), command.is_from_a_client())).collect();
    let expected = [("SET", true), ("EVAL", true), ("SET", false), ("GET", false)];
    assert_eq!(by_whom, expected.map(|(name, client)| (name.to_owned(), client)));
    assert_eq!(seen[0].args[2], "a\"\\\n\u{1}ü".as_bytes());
    assert!(!seen[0].is_bare_set() && seen[2].is_bare_set());
    assert_eq!(test_support::names(&seen), ["SET", "EVAL"]);
    get(&mut stranger).await.unwrap();
    assert_eq!(monitor.take_names().await, ["GET"]);
    assert_eq!(server.command_counts().await["get"], 2);
    let eternal = server.keys().await.into_iter().find(|(_, ttl)| *ttl == -1);
    assert_eq!(eternal.unwrap().0, "bare");
    assert_eq!(server.find_everywhere("bare").await.len(), 2, "the key and the slow log");
    assert!(server.find_everywhere("nowhere").await.is_empty());
}

#[tokio::test]
async fn the_proxy_misbehaves_as_told() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::start(server.addr()).await;
    let mut connection = through(proxy.addr()).await.unwrap();
    set(&mut connection, "passed").await.unwrap();
    assert!(proxy.connections() == 1 && proxy.request_bytes() > 0 && proxy.reply_bytes() > 0);

    proxy.set(Mode::Delay(Duration::from_millis(50)));
    let started = Instant::now();
    get(&mut connection).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(50));

    proxy.set(Mode::BlackHole);
    assert!(get(&mut connection).await.unwrap_err().is_timeout());
    assert!(through(proxy.addr()).await.is_err());
    proxy.set(Mode::Pass);
    assert_eq!(get(&mut connection).await.unwrap().unwrap(), "passed");

    proxy.set(Mode::CutReplies);
    assert!(set(&mut connection, "landed").await.unwrap_err().is_io_error());
    let mut direct = server.connection().await;
    assert_eq!(get(&mut direct).await.unwrap().unwrap(), "landed");

    proxy.set(Mode::Pass);
    let mut connection = through(proxy.addr()).await.unwrap();
    proxy.set(Mode::HoldRequests);
    let leaving = tokio::spawn(async move { set(&mut connection, "late").await });
    proxy.holds_something().await;
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    assert_eq!(get(&mut direct).await.unwrap().unwrap(), "landed");
    proxy.release().await;
    assert_eq!(get(&mut direct).await.unwrap().unwrap(), "late");

    let mut connection = through(proxy.addr()).await.unwrap();
    proxy.set(Mode::DropEveryNthReply(2));
    let mut failed = 0;
    while failed == 0 {
        failed += u32::from(get(&mut connection).await.is_err());
    }
    for (mode, is_expected) in [
        (Mode::Refuse, redis::RedisError::is_io_error as fn(&redis::RedisError) -> bool),
        (Mode::Reset, redis::RedisError::is_connection_dropped),
    ] {
        proxy.set(Mode::Pass);
        let mut open = through(proxy.addr()).await.unwrap();
        proxy.set(mode);
        assert!(is_expected(&get(&mut open).await.unwrap_err()), "{mode:?}");
        assert!(through(proxy.addr()).await.is_err(), "{mode:?}");
    }
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let cookies: Vec<_> =
        request.headers().get_all("cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let mut response = Response::builder();
    for line in request.uri().query().unwrap_or_default().split('&').filter(|line| !line.is_empty())
    {
        response = response.header("set-cookie", line.replace('+', " "));
    }
    Ok(response.body(Full::from(cookies.join(" | "))).unwrap())
}

#[tokio::test]
async fn the_browser_keeps_and_removes_cookies() {
    let server = test_support::serve(tower::service_fn(echo)).await;
    let mut browser = Browser::new(server.addr).await;
    assert_eq!(browser.get("/").await.text(), "");
    browser.get("/?a=1;Secure;Max-Age=60&b=2").await;
    assert_eq!(browser.last_set_cookies(), ["a=1;Secure;Max-Age=60", "b=2"]);
    assert_eq!(browser.get("/").await.text(), "a=1; b=2");
    assert_eq!(browser.tab().await.get("/").await.text(), "a=1; b=2");
    browser.get("/?a=;Max-Age=0&b=2;+Expires=Thu,+01+Jan+1970+00:00:00+GMT").await;
    assert_eq!(browser.cookie_header(), "");
    browser.get("/?c=3;Expires=Fri,+31-Dec-9998+23:59:59+GMT&d=4;Max-Age=9;Expires=0").await;
    assert_eq!(browser.cookie_header(), "c=3; d=4");
}

#[tokio::test]
async fn the_server_speaks_http_1_and_2_and_drains() {
    let server = test_support::serve(tower::service_fn(echo)).await;
    let reply = test_support::get_h2(server.addr, "/", &["a=1", "b=2"]).await;
    assert_eq!((reply.status, reply.text().as_str()), (StatusCode::OK, "a=1 | b=2"));
    let mut raw =
        test_support::raw(server.addr, "GET / HTTP/1.1\r\nhost: x\r\ncookie: c=3\r\n\r\n").await;
    assert!(raw.read_until("c=3").await.starts_with("HTTP/1.1 200 OK\r\n"));
    let addr = server.addr;
    server.shutdown().await;
    assert_eq!(raw.read_to_end().await, b"");
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn the_log_capture_sees_every_level_and_field() {
    let (capture, _guard) = LogCapture::on_this_thread();
    let span = tracing::trace_span!("request", id = "one", later = tracing::field::Empty);
    span.in_scope(|| tracing::trace!(number = 2, "said"));
    span.record("later", "three");
    for needle in ["request id=one", "said number=2", "later=three"] {
        assert!(capture.contains(needle), "{needle} in {:?}", capture.all());
    }
    assert_eq!(capture.events().len(), 1);
}

/// Each way in which a secret may show itself, and some that only look like one.
#[test]
fn a_secret_that_is_logged_printed_or_stored_fails_its_test() {
    let token: [u8; 32] = std::array::from_fn(|place| (place * 7 + 3) as u8);
    let text = BASE64.encode(token);
    let hex: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut column = b"R0000000000000001TRS".to_vec();
    column.extend_from_slice(text.as_bytes());
    let column: String = column.iter().map(|byte| format!("{byte:02X}")).collect();
    let shown = [
        ("its text", text.clone()),
        ("its text in a line", format!("GET cookie=__Host-session={text}; path")),
        ("its text in a longer word", format!("x{text}x")),
        ("its hex digits", format!("key \\x{hex}")),
        ("its hex digits in capitals", hex.to_uppercase()),
        ("its bytes as they are printed", format!("{token:?}")),
        ("its bytes on lines of their own", format!("Token({token:#?})")),
        ("its text in a column in hex", format!("X'{column}'")),
        ("another secret", "postgres://u:a-long-password@host".to_owned()),
    ];
    let line = format!("__Host-session={text}; Path=/; Secure");
    for (name, shown) in &shown {
        let mut secrets = test_support::Secrets::default();
        secrets.add_text("a-long-password");
        let early = secrets.are_in_text(shown);
        let was_seen = secrets.add_set_cookie(&line);
        assert!(early || was_seen, "{name}, before it was known");
        assert!(secrets.are_in_text(shown), "{name}, in a text");
        assert!(secrets.are_in(shown.as_bytes()), "{name}, in a store");
        assert!(secrets.are_in(&[b"R\0", &token[..], b"x"].concat()), "its bytes");
    }
    let mut secrets = test_support::Secrets::default();
    assert!(!secrets.add_set_cookie(&line));
    for (name, harmless) in [
        ("another token", BASE64.encode([7; 32])),
        ("a part of it", text[1..].to_owned()),
        ("its digits without one", hex[1..].to_owned()),
        ("a removal", "__Host-session=; Max-Age=0".to_owned()),
    ] {
        assert!(!secrets.are_in_text(&harmless), "{name}");
        assert!(!secrets.are_in(harmless.as_bytes()), "{name}");
    }
    assert!(!secrets.add_set_cookie("__Host-session=; Max-Age=0"), "a removal is no token");
    assert_eq!(secrets.tokens(), 1);
}

#[test]
fn a_panic_of_the_library_fails_its_test() {
    for (file, ours) in [
        ("src/request/commit.rs", true),
        ("src/store/redis/open.rs", true),
        ("src/testing/conformance.rs", false),
        ("tests/redis/commands.rs", false),
        ("/root/.cargo/registry/src/x/tokio-1.0.0/src/runtime/mod.rs", false),
    ] {
        assert_eq!(test_support::leak_monitor::is_ours(file), ours, "{file}");
    }
}

/// What the leak monitor tells in a process of its own: the test binary once more, with a fault.
#[tokio::test]
async fn what_the_leak_monitor_sees_fails_the_test_that_lets_go_of_a_server() {
    const FAULT: &str = "SESSION_TEST_FAULT";
    const NAME: &str = "guards::what_the_leak_monitor_sees_fails_the_test_that_lets_go_of_a_server";
    if let Ok(fault) = std::env::var(FAULT) {
        let cookie = format!("a={}; Path=/", BASE64.encode([9; 32]));
        let server = test_support::serve(tower::service_fn(move |_: Request<Incoming>| {
            let cookie = cookie.clone();
            async move {
                let response = Response::builder().header("set-cookie", cookie);
                Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
            }
        }))
        .await;
        Browser::new(server.addr).await.get("/").await.expect(200);
        let token = BASE64.encode([9; 32]);
        match fault.as_str() {
            "logs" => tracing::trace!(token, "said"),
            "stores" => {
                let redis = RedisServer::start().await;
                let mut connection = redis.connection().await;
                let mut set = redis::cmd("SET");
                set.arg("session:a").arg(format!("x{token}")).arg("EX").arg(60);
                let () = set.query_async(&mut connection).await.unwrap();
            }
            _ => {}
        }
        return;
    }
    for (fault, fails) in [("logs", true), ("stores", true), ("nothing", false)] {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(FAULT, fault)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), !fails, "{fault}: {said}");
        assert!(!fails || said.contains("a secret in"), "{fault}: {said}");
    }
}
