//! tonic behind the session layer, with an interceptor and a guard, driven by tonic's client.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use bytes::{Buf as _, BufMut as _};
use futures_util::{StreamExt as _, future::BoxFuture, stream, stream::BoxStream};
use http::{request::Parts, uri::PathAndQuery};
use tokio::net::TcpListener;
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    client,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    server::{self, NamedService, ServerStreamingService, UnaryService},
    service::{InterceptorLayer, LayerExt as _, interceptor::InterceptedService},
    transport::{Channel, Server, server::TcpIncoming},
};
use tower::Service;
use tower_http::{compression::CompressionLayer, cors::CorsLayer};
use tower_redis_session::{
    Error, MemoryStore, RedisSessionLayer, SessionContext, Transport,
    csrf::CsrfLayer,
    guard::{Denied, RequireLayer},
    layer::SavepointLayer,
};

/// Messages are texts, so that no protocol compiler is needed.
#[derive(Clone, Copy, Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, item: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(item.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| Status::internal("no text"))
    }
}

/// For everybody.
#[derive(Clone, Copy)]
struct Public;

/// Behind a guard.
#[derive(Clone, Copy)]
struct Members;

impl NamedService for Public {
    const NAME: &'static str = "shop.Public";
}

impl NamedService for Members {
    const NAME: &'static str = "shop.Members";
}

fn session_of<T>(request: &Request<T>) -> SessionContext {
    request.extensions().get::<SessionContext>().expect("the layer is outside").clone()
}

fn status(error: Error) -> Status {
    Status::unavailable(error.to_string())
}

struct Unary(String);

impl UnaryService<String> for Unary {
    type Response = String;
    type Future = BoxFuture<'static, Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move {
            let session = session_of(&request);
            let text = match path.as_str() {
                "/shop.Public/Login" => {
                    session.login(&request.into_inner()).await.map_err(status)?;
                    "welcome".to_owned()
                }
                "/shop.Members/Fail" => {
                    session.insert("n", &100).await.map_err(status)?;
                    return Err(Status::internal("broken"));
                }
                "/shop.Members/Watched" => {
                    let last: Option<u32> = session.get("watched").await.map_err(status)?;
                    last.map_or_else(String::new, |last| last.to_string())
                }
                _ => {
                    let add = |n: Option<u32>| n.unwrap_or(0) + 1;
                    session.update("n", add).await.map_err(status)?.to_string()
                }
            };
            Ok(Response::new(text))
        })
    }
}

struct Watch;

impl ServerStreamingService<String> for Watch {
    type Response = String;
    type ResponseStream = BoxStream<'static, Result<String, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let session = session_of(&request);
        Box::pin(async move {
            let messages = stream::iter(0..3_u32).then(move |n| {
                let session = session.clone();
                async move {
                    session.insert("watched", &n).await.map_err(status)?;
                    Ok(format!("{n}"))
                }
            });
            Ok(Response::new(messages.boxed()))
        })
    }
}

async fn answer(request: http::Request<Body>) -> Result<http::Response<Body>, Infallible> {
    let mut grpc = server::Grpc::new(Text);
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        "/shop.Members/Watch" => grpc.server_streaming(Watch, request).await,
        _ => grpc.unary(Unary(path), request).await,
    })
}

macro_rules! service {
    ($name:ty) => {
        impl Service<http::Request<Body>> for $name {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<Body>) -> Self::Future {
                Box::pin(answer(request))
            }
        }
    };
}
service!(Public);
service!(Members);

struct Client {
    grpc: client::Grpc<Channel>,
    token: Option<String>,
}

impl Client {
    fn request(&self, text: &str) -> Request<String> {
        let mut request = Request::new(text.to_owned());
        if let Some(token) = &self.token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    fn keep(&mut self, metadata: &MetadataMap) {
        if let Some(token) = metadata.get("session-token") {
            self.token = Some(token.to_str().unwrap().to_owned());
        }
    }

    async fn unary(&mut self, path: &'static str, text: &str) -> Result<String, Status> {
        self.grpc.ready().await.unwrap();
        let request = self.request(text);
        let path = PathAndQuery::from_static(path);
        let response = self.grpc.unary(request, path, Text).await?;
        self.keep(response.metadata());
        Ok(response.into_inner())
    }

    async fn watch(&mut self) -> Vec<String> {
        self.grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/shop.Members/Watch");
        let response = self.grpc.server_streaming(self.request(""), path, Text).await.unwrap();
        response.into_inner().map(|message| message.unwrap()).collect().await
    }
}

#[tokio::test]
async fn tonic_fits_with_an_interceptor_and_a_guard() {
    let sessions = RedisSessionLayer::builder(MemoryStore::new()).transport(Transport::bearer());
    let sessions = sessions.build().unwrap();
    let intercept = |request: Request<()>| {
        let session = request.extensions().get::<SessionContext>();
        session.ok_or_else(|| Status::internal("no session"))?;
        Ok::<_, Status>(request)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // As tonic has it: what is put around a service keeps its name.
    let members = InterceptedService::new(Members, intercept);
    let members = SavepointLayer::new().named_layer(members);
    let deny = |denied: &Denied, _: &Parts| -> http::Response<Body> {
        Status::unauthenticated(denied.code()).into_http()
    };
    let members = RequireLayer::user().on_denied(deny).named_layer(members);
    let server = Server::builder()
        .layer(CorsLayer::permissive())
        .layer(CompressionLayer::new())
        .layer(sessions)
        .layer(CsrfLayer::new())
        .layer(InterceptorLayer::new(intercept))
        .add_service(Public)
        .add_service(members)
        .serve_with_incoming(TcpIncoming::from(listener));
    let serving = tokio::spawn(server);
    let channel = Channel::builder(format!("http://{address}").parse().unwrap());
    let grpc = client::Grpc::new(channel.connect().await.unwrap());
    let mut client = Client { grpc, token: None };

    let denied = client.unary("/shop.Members/Count", "").await.unwrap_err();
    assert_eq!(denied.code(), Code::Unauthenticated, "{denied:?}");
    assert_eq!(client.unary("/shop.Public/Login", "alice").await.unwrap(), "welcome");
    assert!(client.token.is_some(), "a new token comes with the response");
    for n in ["1", "2"] {
        assert_eq!(client.unary("/shop.Members/Count", "").await.unwrap(), n);
    }
    let failed = client.unary("/shop.Members/Fail", "").await.unwrap_err();
    assert_eq!((failed.code(), failed.message()), (Code::Internal, "broken"));
    assert_eq!(client.unary("/shop.Members/Count", "").await.unwrap(), "3", "nothing was stored");
    assert_eq!(client.watch().await, ["0", "1", "2"]);
    assert_eq!(client.unary("/shop.Members/Watched", "").await.unwrap(), "2");
    serving.abort();
}
