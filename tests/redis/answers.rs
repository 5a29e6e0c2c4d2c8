//! What a server answers, by what an operator has to do: a socket says it, and what the store makes
//! of it is a table.
//!
//! To see these fail: take a row out of `store/redis/client/answer.rs`.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use test_support::{Resp, Wire as _, patient};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower_redis_session::{ErrorKind, RedisConfig, RedisStore, SessionId, store::Store as _};

/// A server that says what it is told to.
struct Says {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// What is said to a command, over so many connections from the first one on.
    said: Mutex<BTreeMap<&'static str, (String, u64)>>,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Says {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let inner = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = inner.count("connections");
                drop(tokio::spawn(serve(client, number, Arc::clone(&inner))));
            }
        });
        Self { addr, shared, accepting }
    }

    /// Says `line` to `command`, and to nothing else anything but what is well.
    fn only(&self, command: &'static str, line: &str, connections: u64) {
        let said = BTreeMap::from([(command, (format!("{line}\r\n"), connections))]);
        *self.shared.said.lock().unwrap() = said;
        self.shared.counts.lock().unwrap().clear();
    }

    fn counted(&self, name: &str) -> u64 {
        self.shared.counts.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    fn config(&self, user: &str) -> RedisConfig {
        patient(&format!("redis://{user}127.0.0.1:{}", self.addr.port())).pool_size(1)
    }
}

impl Shared {
    fn count(&self, name: &str) -> u64 {
        let mut counts = self.counts.lock().unwrap();
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        *count
    }
}

impl Drop for Says {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut client: TcpStream, number: u64, shared: Arc<Shared>) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..length]);
        while let Some(request) = Resp::default().request(&mut bytes) {
            let _ = shared.count(&request.name);
            let said = shared.said.lock().unwrap().get(request.name.as_str()).cloned();
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
            let time = format!("*2\r\n$10\r\n{now}\r\n$1\r\n0\r\n");
            let usual = || {
                match request.name.as_str() {
                    "TIME" => &*time,
                    "GET" => "$-1\r\n",
                    "EVALSHA" | "EVAL" => ":1\r\n",
                    "SCRIPT" => "$2\r\nok\r\n",
                    "INFO" => "$0\r\n\r\n",
                    _ => "+OK\r\n",
                }
                .to_owned()
            };
            let reply =
                said.filter(|(_, until)| number <= *until).map_or_else(usual, |(line, _)| line);
            if client.write_all(reply.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

fn id() -> SessionId {
    "A".repeat(43).parse().unwrap()
}

use ErrorKind::{Corrupt, Misconfigured, Unavailable};

/// What is said to a `GET`: the kind, a word of the text, how often it was sent, over how many
/// connections.
#[rustfmt::skip]
const SAID: &[(&str, ErrorKind, &str, u64, u64)] = &[
    ("-WRONGTYPE Operation against a key", Corrupt, "no string", 1, 1),
    ("-NOPERM this user has no permissions to run the 'get' command", Misconfigured, "may not run", 1, 1),
    ("-ERR unknown command 'GET', with args beginning with: 'a' ", Misconfigured, "does not know", 1, 1),
    ("-ERR script tried accessing undeclared key", Misconfigured, "declared", 1, 1),
    ("-NOAUTH Authentication required.", Misconfigured, "password", 1, 1),
    ("-MOVED 1 10.0.0.1:6379", Misconfigured, "cluster", 2, 2),
    ("-ASK 1 10.0.0.1:6379", Misconfigured, "cluster", 2, 2),
    ("-CROSSSLOT Keys in request don't hash to the same slot", Misconfigured, "cluster", 1, 1),
    ("-READONLY You can't write against a read only replica.", Unavailable, "replica", 2, 2),
    ("-LOADING Redis is loading the dataset in memory", Unavailable, "loading", 2, 2),
    ("-MASTERDOWN Link with MASTER is down", Unavailable, "primary", 2, 2),
    ("-CLUSTERDOWN The cluster is down", Unavailable, "cluster is down", 2, 1),
    ("-TRYAGAIN Multiple keys request during rehashing of slot", Unavailable, "moves keys", 2, 1),
    ("-OOM command not allowed when used memory > 'maxmemory'.", Unavailable, "no memory", 2, 1),
    ("-MISCONF Redis is configured to save RDB snapshots", Unavailable, "disk", 1, 1),
    ("-NOREPLICAS Not enough good replicas to write.", Unavailable, "too few replicas", 1, 1),
    ("-BUSY Redis is busy running a script.", Unavailable, "busy", 1, 1),
    ("-ERR something else", Unavailable, "unavailable", 1, 1),
];

#[tokio::test]
async fn an_answer_is_told_by_what_an_operator_has_to_do() {
    let server = Says::start().await;
    for (line, kind, word, sent, connections) in SAID {
        server.only("GET", line, u64::MAX);
        let store = RedisStore::new(server.config("")).unwrap();
        let error = store.load(&id()).await.expect_err(line);
        assert!(error.kind() == *kind && error.to_string().contains(word), "{line}: {error:?}");
        let counts = (server.counted("GET"), server.counted("connections"));
        assert_eq!(counts, (*sent, *connections), "{line}");
        // The connection is of use, or another one is opened.
        server.only("GET", line, 0);
        assert!(store.load(&id()).await.unwrap().is_none(), "{line}");
    }
}

#[tokio::test]
async fn what_is_said_to_a_new_connection_is_told_as_well() {
    let server = Says::start().await;
    for (user, command, line, kind, word) in [
        ("", "TIME", "-DENIED Redis is running in protected mode", Misconfigured, "own machine"),
        ("", "TIME", "-NOAUTH Authentication required.", Misconfigured, "requires a password"),
        ("", "TIME", "-ERR max number of clients reached", Unavailable, "no more connections"),
        ("u:p@", "AUTH", "-WRONGPASS invalid username-password pair", Misconfigured, "rejects"),
        (
            "u:p@",
            "AUTH",
            "-DENIED Redis is running in protected mode",
            Misconfigured,
            "own machine",
        ),
        ("u:p@", "AUTH", "-LOADING Redis is loading the dataset", Unavailable, "loading"),
        ("u:p@", "AUTH", "-ERR max number of clients reached", Unavailable, "no more connections"),
        ("", "TIME", "-NOPERM no permissions to run the 'time' command", Misconfigured, "(TIME)"),
        ("", "SCRIPT", "-MISCONF cannot save", Unavailable, "disk"),
        ("", "TIME", "HTTP/1.1 400 Bad Request", Misconfigured, "not a redis server"),
    ] {
        server.only(command, line, u64::MAX);
        let store = RedisStore::new(server.config(user)).unwrap();
        for error in [store.load(&id()).await.unwrap_err(), store.check().await.unwrap_err()] {
            assert!(error.kind() == kind && error.to_string().contains(word), "{line}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_write_that_did_not_run_is_tried_once_more_over_a_fresh_connection() {
    let server = Says::start().await;
    for (line, connections) in [
        ("-READONLY You can't write against a read only replica.", 2),
        ("-ERR Error running script (call to f_1): @user_script:1: -READONLY You can't", 2),
        ("-LOADING Redis is loading the dataset in memory", 2),
        ("-MOVED 1 10.0.0.1:6379", 2),
    ] {
        // The first server behind the address says so; the second one is what it failed over to.
        server.only("EVALSHA", line, 1);
        let store = RedisStore::new(server.config("")).unwrap();
        store.delete(&id()).await.unwrap_or_else(|error| panic!("{line}: {error:?}"));
        let counts = (server.counted("EVALSHA"), server.counted("connections"));
        assert_eq!(counts, (2, connections), "{line}");
    }
}

#[tokio::test]
async fn a_server_without_info_or_hashes_of_scripts_is_used_as_it_is() {
    let server = Says::start().await;
    for (command, line) in [
        ("INFO", "-ERR unknown command 'INFO', with args beginning with: "),
        ("INFO", "-ERR unknown command `INFO`, with args beginning with: "),
        ("INFO", "-NOPERM this user has no permissions to run the 'info' command"),
        ("EVALSHA", "-ERR unknown command 'EVALSHA', with args beginning with: 'a' "),
        ("SCRIPT", "-ERR unknown command `SCRIPT`, with args beginning with: `LOAD`, "),
    ] {
        server.only(command, line, u64::MAX);
        let store = RedisStore::new(server.config("")).unwrap();
        store.check().await.unwrap_or_else(|error| panic!("{line}: {error:?}"));
        store.delete(&id()).await.unwrap();
        if command == "EVALSHA" {
            // Found out once.
            assert_eq!(server.counted("EVALSHA"), 1);
        }
    }
}
