//! One line in the log for each request: what, the answer, how long. Neither query nor headers:
//! they may hold what is nobody's business.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use http::{Method, Request, Response};
use pin_project::pin_project;
use tower::{Layer, Service};

/// Puts [`Log`] around a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLayer;

impl<S> Layer<S> for LogLayer {
    type Service = Log<S>;

    fn layer(&self, inner: S) -> Log<S> {
        Log { inner }
    }
}

/// Writes to the log what passes through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log<S> {
    inner: S,
}

impl<S, Q, B> Service<Request<Q>> for Log<S>
where
    S: Service<Request<Q>, Response = Response<B>>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = LogFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        LogFuture {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            started: Instant::now(),
            answer: self.inner.call(request),
        }
    }
}

/// The answer on its way.
#[pin_project]
#[derive(Debug)]
pub(crate) struct LogFuture<F> {
    #[pin]
    answer: F,
    method: Method,
    path: String,
    started: Instant,
}

impl<F, B, E> Future for LogFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.answer.poll(context));
        if let Ok(response) = &result {
            tracing::info!(
                method = %this.method,
                path = this.path,
                status = response.status().as_u16(),
                elapsed = ?this.started.elapsed(),
                "answered"
            );
        }
        Poll::Ready(result)
    }
}
