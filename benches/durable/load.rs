//! The load: keep-alive connections, each with a session of its own, one request after the other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Connections to each server.
pub const CONNECTIONS: usize = 64;
const END: &[u8] = b"\r\n\r\nok";

/// The connections to one server.
pub struct Load {
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    cookie: String,
}

/// When an answer came, how long it took, and whether it was a good one.
pub struct Answer {
    pub at: Instant,
    pub took: Duration,
    pub good: bool,
}

impl Load {
    /// Signs in once on each connection.
    pub async fn connect(addr: SocketAddr) -> Self {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(addr).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut connection = Connection { stream, cookie: String::new() };
            let head = connection.ask("/login").await;
            let line = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
            let cookie = line.unwrap_or_else(|| panic!("no cookie in {head}"));
            connection.cookie = cookie.split(';').next().unwrap().to_owned();
            connections.push(connection);
        }
        Self { connections }
    }

    /// The time that `requests` on each connection take, all connections at once.
    pub async fn run(&mut self, path: &str, requests: usize) -> Duration {
        let start = Instant::now();
        let all = self.connections.iter_mut().map(async |connection| {
            for _ in 0..requests {
                let head = connection.ask(path).await;
                assert!(head.starts_with("HTTP/1.1 200"), "not a good answer: {head}");
            }
        });
        join_all(all).await;
        start.elapsed()
    }

    /// Asks on all connections until `end`.
    pub async fn run_until(&mut self, path: &str, end: Instant) -> Vec<Answer> {
        let all = self.connections.iter_mut().map(async |connection| {
            let mut answers = Vec::new();
            while Instant::now() < end {
                let start = Instant::now();
                let good = connection.ask(path).await.starts_with("HTTP/1.1 200");
                answers.push(Answer { at: start, took: start.elapsed(), good });
            }
            answers
        });
        join_all(all).await.into_iter().flatten().collect()
    }
}

impl Connection {
    async fn ask(&mut self, path: &str) -> String {
        let cookie = &self.cookie;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let (mut buffer, mut filled) = ([0; 1024], 0);
        // A body of "ok", or of a failed commit none.
        loop {
            let read = self.stream.read(&mut buffer[filled..]).await.unwrap();
            assert!(read > 0, "the server closed the connection");
            filled += read;
            let empty = buffer[..filled].ends_with(b"\r\n\r\n");
            if buffer[..filled].ends_with(END) || empty && buffer.starts_with(b"HTTP/1.1 503") {
                return String::from_utf8_lossy(&buffer[..filled]).into_owned();
            }
        }
    }
}
