//! A client of a stack, over a real connection of HTTP/1.1 or HTTP/2 in memory.

use std::{collections::BTreeMap, io::Read as _};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, Request, StatusCode, Version, header, request};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};

use crate::stack::Boxed;

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// A browser, as far as it keeps cookies.
pub struct Client {
    sender: Sender,
    pub cookies: BTreeMap<String, String>,
}

/// A response that has come to its end, its content decoded.
#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    pub trailers: Option<HeaderMap>,
}

pub fn get(path: &str) -> request::Builder {
    Request::get(format!("http://shop.example{path}"))
}

pub fn post(path: &str) -> request::Builder {
    Request::post(format!("http://shop.example{path}"))
}

impl Client {
    pub async fn connect(service: Boxed, version: Version) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        drop(tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            let service = TowerToHyperService::new(service);
            drop(server.serve_connection_with_upgrades(TokioIo::new(theirs), service).await);
        }));
        let sender = if version == Version::HTTP_2 {
            let executor = TokioExecutor::new();
            let (sender, connection) =
                http2::handshake(executor, TokioIo::new(ours)).await.unwrap();
            drop(tokio::spawn(connection));
            Sender::Two(sender)
        } else {
            let (sender, connection) = http1::handshake(TokioIo::new(ours)).await.unwrap();
            drop(tokio::spawn(connection.with_upgrades()));
            Sender::One(sender)
        };
        Self { sender, cookies: BTreeMap::new() }
    }

    /// The head as it comes, after which the body can be read in pieces.
    pub async fn head(
        &mut self,
        request: request::Builder,
        body: impl Into<Bytes>,
    ) -> http::Response<Incoming> {
        let mut request = request.body(Full::new(body.into())).unwrap();
        let headers = request.headers_mut();
        let cookies: Vec<_> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        if !cookies.is_empty() {
            headers.insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        headers.insert(header::ACCEPT, "text/plain".parse().unwrap());
        let response = match &mut self.sender {
            Sender::One(sender) => {
                headers.insert(header::HOST, "shop.example".parse().unwrap());
                let place = request.uri().path_and_query().unwrap().clone();
                *request.uri_mut() = place.into();
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
            Sender::Two(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
        };
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            self.keep(cookie.to_str().unwrap());
        }
        response
    }

    pub async fn send(&mut self, request: request::Builder, body: impl Into<Bytes>) -> Got {
        let (head, body) = self.head(request, body).await.into_parts();
        let body = body.collect().await.expect("a body that comes whole");
        let trailers = body.trailers().cloned();
        let mut bytes = body.to_bytes();
        if head.headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip") {
            let mut decoded = Vec::new();
            let _ = GzDecoder::new(&*bytes).read_to_end(&mut decoded).expect("whole gzip");
            bytes = decoded.into();
        }
        let body = String::from_utf8(bytes.to_vec()).unwrap();
        Got { status: head.status, headers: head.headers, body, trailers }
    }

    fn keep(&mut self, line: &str) {
        let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
        if line.to_ascii_lowercase().contains("max-age=0") {
            let _ = self.cookies.remove(name);
        } else {
            let _ = self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}
