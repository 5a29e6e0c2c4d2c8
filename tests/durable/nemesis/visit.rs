//! One request over a connection of its own, to a server that may be gone at any moment.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Seen {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Failed {
    /// Nobody listens: the request was not sent.
    Refused,
    /// It may have been carried out.
    Lost,
}

pub async fn visit(addr: SocketAddr, path: &str, cookie: Option<&str>) -> Result<Seen, Failed> {
    let stream = TcpStream::connect(addr).await.map_err(|_| Failed::Refused)?;
    let _ = stream.set_nodelay(true);
    match tokio::time::timeout(PATIENCE, exchange(stream, path, cookie)).await {
        Ok(seen) => seen.map_err(|_| Failed::Lost),
        // Far beyond every budget, and beyond every halt.
        Err(_) => Err(Failed::Lost),
    }
}

async fn exchange(
    stream: TcpStream,
    path: &str,
    cookie: Option<&str>,
) -> Result<Seen, hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let _connection = tokio::spawn(connection);
    let mut request = Request::builder().uri(path).header(header::HOST, "localhost");
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Seen { status: head.status, headers: head.headers, body })
}
