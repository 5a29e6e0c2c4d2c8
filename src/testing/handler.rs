//! Runs the examples in the documentation: a handler behind the layer on the memory store.

use std::{
    convert::Infallible,
    future::Future,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, header::COOKIE};
use http_body::Body as _;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::{Error, MemoryStore, RedisSessionLayer, SessionContext};

struct Handler<F>(F);

impl<F, Fut> Service<Request<()>> for Handler<F>
where
    F: FnMut(Request<()>) -> Fut,
    Fut: Future<Output = Result<Response<String>, Error>>,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Answered<Fut>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        Answered(Box::pin((self.0)(request)))
    }
}

struct Answered<Fut>(std::pin::Pin<Box<Fut>>);

impl<Fut: Future<Output = Result<Response<String>, Error>>> Future for Answered<Fut> {
    type Output = Result<Response<String>, Infallible>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context).map(|result| Ok(result.unwrap_or_else(|e| e.response())))
    }
}

/// One request through the layer; the response, and its `Set-Cookie`.
pub fn run<F, Fut>(cookie: Option<&str>, handler: F) -> (Response<String>, Option<String>)
where
    F: FnMut(Request<()>) -> Fut,
    Fut: Future<Output = Result<Response<String>, Error>>,
{
    let run = async {
        let layer = RedisSessionLayer::builder(MemoryStore::new()).build().ok()?;
        let mut request = Request::new(());
        let cookie = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok());
        request.headers_mut().extend(cookie.map(|cookie| (COOKIE, cookie)));
        let Ok(response) = layer.layer(Handler(handler)).call(request).await;
        let (head, body) = response.into_parts();
        let mut body = Box::pin(body);
        let mut text = String::new();
        while let Some(Ok(frame)) = std::future::poll_fn(|c| body.as_mut().poll_frame(c)).await {
            if let Ok(data) = frame.into_data() {
                text.push_str(&String::from_utf8_lossy(&data));
            }
        }
        let set_cookie = head.headers.get(http::header::SET_COOKIE);
        let set_cookie = set_cookie.map(|value| String::from_utf8_lossy(value.as_bytes()).into());
        Some((Response::from_parts(head, text), set_cookie))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let done = runtime.ok().and_then(|runtime| runtime.block_on(run));
    done.unwrap_or_else(|| (Error::unavailable("no runtime").response(), None))
}

/// Runs an example that only needs the session's handle; an error fails it.
#[track_caller]
pub fn handle<F, Fut>(mut example: F)
where
    F: FnMut(SessionContext) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    let handler = |request: Request<()>| {
        let example = request.extensions().get::<SessionContext>().cloned().map(&mut example);
        async move {
            match example {
                Some(example) => example.await.map(|()| Response::new(String::new())),
                None => Err(Error::unavailable("no session handle")),
            }
        }
    };
    let (response, _) = run(None, handler);
    assert!(response.status().is_success(), "the example failed: {response:?}");
}
