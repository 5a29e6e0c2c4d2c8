//! The load: keep-alive connections that send one fixed request again and again, as cheaply as
//! can be, since they share the machine with what is measured.

use std::net::SocketAddr;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::CONNECTIONS;

/// What every handler answers if it found what it looked for.
pub const BODY: &str = "ok";
const GOOD_START: &[u8] = b"HTTP/1.1 200 OK\r\n";
const GOOD_END: &[u8] = b"\r\n\r\nok";

/// The connections to one server.
pub struct Load {
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
}

impl Load {
    /// One connection for each of the Cookie header lines.
    pub async fn connect(addr: SocketAddr, cookies: &[String]) -> Self {
        assert_eq!(cookies.len(), CONNECTIONS, "one session a connection");
        let mut connections = Vec::new();
        for cookie in cookies {
            let stream = TcpStream::connect(addr).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let request = format!("GET / HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\r\n");
            connections.push(Connection { stream, request: request.into_bytes() });
        }
        Self { connections }
    }

    /// Sends `requests` on each connection, all connections at once.
    pub async fn run(&mut self, requests: usize) {
        join_all(self.connections.iter_mut().map(|connection| connection.run(requests))).await;
    }
}

impl Connection {
    async fn run(&mut self, requests: usize) {
        let mut buffer = [0; 1024];
        for _ in 0..requests {
            self.stream.write_all(&self.request).await.unwrap();
            let mut filled = 0;
            // The end of the head and the body, since there is nothing else in a good answer.
            while !buffer[..filled].ends_with(GOOD_END) {
                let read = self.stream.read(&mut buffer[filled..]).await.unwrap();
                let answer = String::from_utf8_lossy(&buffer[..filled]);
                assert!(read > 0, "the server sends no good answer but: {answer}");
                filled += read;
                let good = buffer.starts_with(GOOD_START) || filled < GOOD_START.len();
                assert!(good, "not a good answer: {}", String::from_utf8_lossy(&buffer[..filled]));
            }
        }
    }
}
