//! A client that writes bytes and may leave at any moment.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::bounded;

/// An open connection on which some bytes were sent. Dropping it is leaving.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
}

/// Connects and writes `bytes`.
pub async fn raw(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> RawConnection {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(bytes.as_ref()).await.unwrap();
    RawConnection { stream }
}

/// `GET path` with these cookies, as bytes for [`raw`].
pub fn get(path: &str, cookie: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\ncookie: {cookie}\r\n\r\n").into_bytes()
}

impl RawConnection {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything up to the server's close.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = bounded("the close of a connection", self.stream.read_to_end(&mut bytes)).await;
        bytes
    }

    /// Reads until `end` has come.
    pub async fn read_until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        bounded(end, async {
            while !bytes.ends_with(end.as_bytes()) {
                match self.stream.read_u8().await {
                    Ok(byte) => bytes.push(byte),
                    Err(_) => break,
                }
            }
        })
        .await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Says that nothing more will be sent, and stays to listen.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Leaves as a browser does whose tab was closed.
    pub fn close(self) {}

    /// Leaves without a word to the server's kernel but a reset.
    pub fn reset(self) {
        let _ = self.stream.set_zero_linger();
    }
}
