//! A closure as the handler behind a layer, and what it returned.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode};
use tower_service::Service;

use crate::{Error, SessionContext};

/// The slot for the result; a failed commit replaces it.
pub(super) struct Outcome<T>(Arc<Mutex<Option<Result<T, Error>>>>);

/// The handler; it serves one request.
pub(super) struct Probe<F, T> {
    work: Option<F>,
    outcome: Outcome<T>,
}

pub(super) struct ProbeFuture<Fut, T> {
    work: Option<Pin<Box<Fut>>>,
    outcome: Outcome<T>,
}

impl<T> Outcome<T> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn set(&self, result: Result<T, Error>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }

    pub(super) fn take(&self) -> Result<T, Error> {
        let result = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.unwrap_or_else(|| Err(Error::unavailable("the handler did not run")))
    }
}

impl<T> Clone for Outcome<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F, T> Probe<F, T> {
    pub(super) fn new(work: F, outcome: Outcome<T>) -> Self {
        Self { work: Some(work), outcome }
    }
}

impl<F, Fut, T> Service<Request<()>> for Probe<F, T>
where
    F: FnOnce(SessionContext) -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = ProbeFuture<Fut, T>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let session = request.extensions().get::<SessionContext>().cloned();
        let work = self.work.take().zip(session);
        let work = work.map(|(work, session)| Box::pin(work(session)));
        ProbeFuture { work, outcome: self.outcome.clone() }
    }
}

impl<Fut: Future<Output = Result<T, Error>>, T> Future for ProbeFuture<Fut, T> {
    type Output = Result<Response<String>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = Response::new(String::new());
        if let Some(work) = &mut self.work {
            let result = std::task::ready!(work.as_mut().poll(context));
            if result.is_err() {
                // The layer then drops the buffered changes.
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            }
            self.outcome.set(result);
        }
        Poll::Ready(Ok(response))
    }
}
