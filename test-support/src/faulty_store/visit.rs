//! A visitor with a cookie jar for one cookie, and handlers that are plain functions.

use std::{convert::Infallible, future::Future};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt};
use tower_redis_session::{Error, RedisSessionLayer, SessionContext};

/// Why an inner service fails, in tests of that.
#[derive(Debug, PartialEq)]
pub struct Failure;

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the service fails")
    }
}

impl std::error::Error for Failure {}

/// What came back.
#[derive(Debug)]
pub struct Answered {
    pub head: http::response::Parts,
    /// All of the body, or the error that it ended in.
    pub body: Result<Bytes, String>,
}

impl Answered {
    pub fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_ref().unwrap()).unwrap()
    }

    pub fn set_cookie(&self) -> Option<&str> {
        let mut lines = self.head.headers.get_all(header::SET_COOKIE).iter();
        let line = lines.next()?;
        assert!(lines.next().is_none(), "more than one Set-Cookie");
        line.to_str().ok()
    }
}

/// A client of a site that lives behind `layer`.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub layer: RedisSessionLayer,
    pub cookie: Option<String>,
}

impl Visitor {
    pub fn new(layer: &RedisSessionLayer) -> Self {
        Self { layer: layer.clone(), cookie: None }
    }

    pub fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        if let Some(cookie) = &self.cookie {
            let value = HeaderValue::try_from(cookie.as_str()).unwrap();
            request.headers_mut().insert(header::COOKIE, value);
        }
        request
    }

    /// One request; the jar follows the answer.
    pub async fn visit<F, Fut, B, E>(&mut self, handler: F) -> Answered
    where
        F: FnOnce(SessionContext) -> Fut,
        Fut: Future<Output = Result<Response<B>, E>>,
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        E: std::fmt::Debug,
    {
        let answered = answer(&self.layer, self.request(), handler).await.unwrap();
        self.keep(&answered);
        answered
    }

    /// The same for a handler that only uses the session: 200 with its text, or the error's answer.
    pub async fn ask<F, Fut>(&mut self, handler: F) -> Answered
    where
        F: FnOnce(SessionContext) -> Fut,
        Fut: Future<Output = Result<String, Error>>,
    {
        self.visit(|session| {
            let text = handler(session);
            async move { Ok::<_, Infallible>(full(text.await)) }
        })
        .await
    }

    pub fn keep(&mut self, answered: &Answered) {
        if let Some(line) = answered.set_cookie() {
            self.cookie = cookie_of(line);
        }
    }
}

/// The pair to send back, or nothing if the line removes it.
pub fn cookie_of(set_cookie: &str) -> Option<String> {
    let removed = set_cookie.contains("Max-Age=0");
    (!removed).then(|| set_cookie.split(';').next().unwrap().to_owned())
}

pub fn session_of(request: &Request<()>) -> SessionContext {
    request.extensions().get::<SessionContext>().expect("the layer's handle").clone()
}

/// A handler's result as a response.
pub fn full(text: Result<String, Error>) -> Response<Full<Bytes>> {
    match text {
        Ok(text) => Response::new(text.into()),
        Err(error) => error.response::<()>().map(|()| Full::from(format!("{:?}", error.kind()))),
    }
}

/// One request through the layer, head and body.
pub async fn answer<F, Fut, B, E>(
    layer: &RedisSessionLayer,
    request: Request<()>,
    handler: F,
) -> Result<Answered, E>
where
    F: FnOnce(SessionContext) -> Fut,
    Fut: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut handler = Some(handler);
    let inner = tower::service_fn(move |request: Request<()>| {
        let handler = handler.take().expect("one request");
        handler(session_of(&request))
    });
    let (head, body) = layer.layer(inner).oneshot(request).await?.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    Ok(Answered { head, body: body.map_err(|error| format!("{error:?}")) })
}
