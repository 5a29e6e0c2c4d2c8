//! The application behind every cell, and the one type to which a stack is boxed.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture, stream};
use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    request::Parts,
};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody, combinators::BoxBody};
use hyper::body::Incoming;
use tower::{BoxError, Service, ServiceExt as _, util::BoxCloneService};
use tower_redis_session::{
    MemoryStore, RedisSessionLayer, SessionContext,
    guard::{Condition, Denied, RequireLayer, User},
};

/// The handler's body: `Default`, `Sync` and `Unpin`, as frameworks' are.
pub type Reply = BoxBody<Bytes, Infallible>;

/// A stack as a server takes it.
pub type Boxed = BoxCloneService<Request<Incoming>, Response<axum::body::Body>, axum::Error>;

/// What a server asks of a stack, and no more.
pub fn boxed<S, R>(service: S) -> Boxed
where
    S: Service<Request<Incoming>, Response = Response<R>> + Clone + Send + 'static,
    S: Service<Request<Incoming>, Error: Into<BoxError>, Future: Send + 'static>,
    R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let service = service.map_response(|response| response.map(axum::body::Body::new));
    service.map_err(axum::Error::new).boxed_clone()
}

pub fn sessions() -> RedisSessionLayer {
    RedisSessionLayer::builder(MemoryStore::new()).build().unwrap()
}

/// A guard that lets everybody pass until it is closed.
#[derive(Clone, Debug, Default)]
pub struct Door(Arc<AtomicBool>);

impl Door {
    pub fn guard(&self) -> RequireLayer<Self> {
        RequireLayer::new(self.clone())
    }

    pub fn set_closed(&self, closed: bool) {
        self.0.store(closed, Ordering::SeqCst);
    }
}

impl Condition for Door {
    async fn check(&self, session: SessionContext) -> Result<(), Denied> {
        if self.0.load(Ordering::SeqCst) { User.check(session).await } else { Ok(()) }
    }
}

/// Long enough to be compressed, and more than one window of flow control would be too slow.
pub fn padded(text: &str) -> String {
    format!("{text}\n{}", "all work and no play ".repeat(100))
}

pub const FRAMES: usize = 8;

/// What a frame of the stream holds.
pub fn frame(n: usize) -> String {
    format!("{n}:{};", "x".repeat(1024))
}

/// A handler that takes any body.
#[derive(Clone, Copy, Debug)]
pub struct Handler;

impl<B> Service<Request<B>> for Handler
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Reply>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        Box::pin(async move {
            let body = body.collect().await.map_err(Into::into).expect("the body comes whole");
            let response = respond(&head, body.to_bytes()).await;
            Ok(if head.method == Method::HEAD { without_body(response) } else { response })
        })
    }
}

/// The same as a handler of axum.
pub async fn axum_handler(request: axum::extract::Request) -> Response<axum::body::Body> {
    let Ok(response) = Handler.call(request).await;
    response.map(axum::body::Body::new)
}

async fn respond(head: &Parts, body: Bytes) -> Response<Reply> {
    let session = head.extensions.get::<SessionContext>().expect("the layer is outside").clone();
    let text = match head.uri.path() {
        "/token" => session.csrf_token().await.unwrap().to_string(),
        "/login" => {
            session.login("alice").await.unwrap();
            return with(StatusCode::OK, Full::new(body).boxed());
        }
        "/logout" => {
            session.logout().await.unwrap();
            "signed out".to_owned()
        }
        "/count" => {
            let count = session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.unwrap();
            count.to_string()
        }
        "/stream" => return with(StatusCode::OK, streamed(session)),
        "/streamed" => session.get::<usize>("frames").await.unwrap().unwrap_or(0).to_string(),
        "/nothing" => return with(StatusCode::NO_CONTENT, Empty::new().boxed()),
        "/same" => return with(StatusCode::NOT_MODIFIED, Empty::new().boxed()),
        "/echo" => return with(StatusCode::OK, Full::new(body).boxed()),
        other => panic!("no such path: {other}"),
    };
    with(StatusCode::OK, Full::from(padded(&text)).boxed())
}

/// HTTP/2 servers send a body that they are given, to `HEAD` too.
fn without_body(response: Response<Reply>) -> Response<Reply> {
    let (mut head, body) = response.into_parts();
    head.headers.insert(CONTENT_LENGTH, body.size_hint().exact().unwrap().into());
    Response::from_parts(head, Empty::new().boxed())
}

fn with(status: StatusCode, body: Reply) -> Response<Reply> {
    let response = Response::builder().status(status).header(CONTENT_TYPE, "text/plain");
    response.body(body).unwrap()
}

/// Counts its frames in the session while it streams, and ends in trailers.
fn streamed(session: SessionContext) -> Reply {
    let frames = stream::iter(0..FRAMES).then(move |n| {
        let session = session.clone();
        async move {
            session.insert("frames", &(n + 1)).await.unwrap();
            Ok(Frame::data(Bytes::from(frame(n))))
        }
    });
    let mut trailers = HeaderMap::new();
    trailers.insert("x-frames", FRAMES.into());
    let frames = frames.chain(stream::iter([Ok(Frame::trailers(trailers))]));
    http_body_util::BodyExt::boxed(StreamBody::new(SyncStream(std::sync::Mutex::new(
        frames.boxed(),
    ))))
}

/// A stream that is only ever polled through `&mut`, and so `Sync`.
struct SyncStream<S>(std::sync::Mutex<S>);

impl<S: stream::Stream + Unpin> stream::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<S::Item>> {
        self.get_mut().0.get_mut().unwrap().poll_next_unpin(context)
    }
}
