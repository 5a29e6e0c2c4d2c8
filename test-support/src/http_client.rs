//! A real HTTP client over one connection that is kept open.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{bounded, leak_monitor};

/// A client without a memory: it sends the headers that it is given.
#[derive(Debug)]
pub struct Client {
    addr: SocketAddr,
    sender: Option<http1::SendRequest<Full<Bytes>>>,
}

/// What came back, to the end of the body.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Why the body did not end as it should.
    pub body_error: Option<String>,
}

impl Client {
    pub async fn connect(addr: SocketAddr) -> Self {
        let mut client = Self { addr, sender: None };
        client.open().await.expect("connecting to the test's HTTP server");
        client
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], "").await
    }

    pub async fn get_with(&mut self, path: &str, cookie: &str) -> Reply {
        self.send(Method::GET, path, &[("cookie", cookie.as_bytes())], "").await
    }

    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &[u8])],
        body: impl Into<Bytes>,
    ) -> Reply {
        self.try_send(method, path, headers, body).await.expect("an answer to an HTTP request")
    }

    /// As [`Client::send`], where the server may close the connection in the place of an answer.
    pub async fn try_send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &[u8])],
        body: impl Into<Bytes>,
    ) -> Result<Reply, hyper::Error> {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, self.addr.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        bounded(&format!("the answer to {path}"), async {
            if !self.is_open().await {
                self.open().await?;
            }
            let sender = self.sender.as_mut().expect("opened above");
            Ok(Reply::read(sender.send_request(request).await?).await)
        })
        .await
    }

    /// Sends and returns when the head is here; the body can be read frame by frame.
    pub async fn head(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        if !self.is_open().await {
            self.open().await.unwrap();
        }
        let sender = self.sender.as_mut().expect("opened above");
        bounded("the head of an answer", sender.send_request(request)).await.unwrap()
    }

    async fn is_open(&mut self) -> bool {
        match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        }
    }

    async fn open(&mut self) -> Result<(), hyper::Error> {
        let stream = TcpStream::connect(self.addr).await.expect("connecting to the HTTP server");
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        self.sender = Some(sender);
        Ok(())
    }
}

impl Reply {
    async fn read(response: Response<Incoming>) -> Self {
        let (head, mut incoming) = response.into_parts();
        let mut body = Vec::new();
        let mut body_error = None;
        while let Some(frame) = incoming.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(data) => body.extend_from_slice(&data.unwrap_or_default()),
                Err(error) => body_error = Some(error.to_string()),
            }
        }
        leak_monitor::answered(&head.headers);
        for (name, value) in head.headers.iter().filter(|(name, _)| *name != header::SET_COOKIE) {
            leak_monitor::said(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
        }
        leak_monitor::said("the body of an answer", &String::from_utf8_lossy(&body));
        Self { status: head.status, headers: head.headers, body: body.into(), body_error }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The values of a header, in order.
    pub fn all(&self, name: &str) -> Vec<String> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    pub fn set_cookies(&self) -> Vec<String> {
        self.all("set-cookie")
    }

    /// The `name=value` of the one cookie that was set.
    #[track_caller]
    pub fn cookie(&self) -> String {
        let lines = self.set_cookies();
        assert_eq!(lines.len(), 1, "one Set-Cookie in {self:?}");
        lines[0].split(';').next().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }
}

/// One request over HTTP/2, which splits cookies into several lines.
pub async fn get_h2(addr: SocketAddr, path: &str, cookies: &[&str]) -> Reply {
    bounded("the answer to an HTTP/2 request", async {
        let stream = TcpStream::connect(addr).await.unwrap();
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().uri(format!("http://{addr}{path}"));
        for cookie in cookies {
            request = request.header(header::COOKIE, *cookie);
        }
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let reply = Reply::read(sender.send_request(request).await.unwrap()).await;
        connection.abort();
        reply
    })
    .await
}
