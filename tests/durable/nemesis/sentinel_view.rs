//! A sentinel as one instance sees it: the servers that it names are behind that instance's proxies.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A listener before a sentinel.
#[derive(Debug)]
pub struct SentinelView {
    addr: SocketAddr,
    listener: JoinHandle<()>,
}

impl SentinelView {
    /// `ports` has that of each server, and the one that is named in its place: both of five digits.
    pub async fn start(sentinel: SocketAddr, ports: BTreeMap<u16, u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let ports: Vec<_> =
            ports.iter().map(|(server, way)| (server.to_string(), way.to_string())).collect();
        assert!(ports.iter().all(|(server, way)| server.len() == 5 && way.len() == 5));
        let listener = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let ports = ports.clone();
                tokio::spawn(async move { pass(client, sentinel, &ports).await });
            }
        });
        Self { addr, listener }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for SentinelView {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn pass(
    client: TcpStream,
    sentinel: SocketAddr,
    ports: &[(String, String)],
) -> io::Result<()> {
    let server = TcpStream::connect(sentinel).await?;
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut questions, mut to_client) = client.into_split();
    let (mut replies, mut to_server) = server.into_split();
    let asked = tokio::io::copy(&mut questions, &mut to_server);
    let told = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let length = replies.read(&mut bytes).await?;
            if length == 0 {
                return io::Result::Ok(());
            }
            rename(&mut bytes[..length], ports);
            to_client.write_all(&bytes[..length]).await?;
        }
    };
    tokio::select! {
        _ = asked => Ok(()),
        told = told => told,
    }
}

/// A port stands by itself, or as a word of an announcement.
fn rename(bytes: &mut [u8], ports: &[(String, String)]) {
    for (server, way) in ports {
        let server = server.as_bytes();
        for at in 1..bytes.len().saturating_sub(server.len()) {
            let is_word = matches!(bytes[at - 1], b'\n' | b' ');
            if is_word && bytes[at..].starts_with(server) {
                bytes[at..at + server.len()].copy_from_slice(way.as_bytes());
            }
        }
    }
}

#[test]
fn the_ports_of_servers_are_replaced_where_they_are_words() {
    let ports = [("15001".to_owned(), "40001".to_owned())];
    let mut bytes = b"$4\r\nport\r\n$5\r\n15001\r\n$6\r\nf15001\r\nmain 127.0.0.1 15001 x".to_vec();
    rename(&mut bytes, &ports);
    let expected = b"$4\r\nport\r\n$5\r\n40001\r\n$6\r\nf15001\r\nmain 127.0.0.1 40001 x";
    assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(expected));
}
