//! The service: inserts the session's handle into the request and calls the inner service.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use crate::{
    context::SessionContext,
    error::Error,
    layer::{body::SessionBody, future::ResponseFuture, kept_head},
    request::{RequestSession, shared::Backend},
    response::{ErrorResponse, PlainErrorResponse},
};

/// The service that [`RedisSessionLayer`](crate::RedisSessionLayer) makes.
#[derive(Clone)]
pub struct RedisSessionService<S, A = PlainErrorResponse> {
    inner: S,
    backend: Arc<Backend>,
    on_error: A,
}

impl<S, A> RedisSessionService<S, A> {
    pub(crate) fn new(inner: S, backend: Arc<Backend>, on_error: A) -> Self {
        Self { inner, backend, on_error }
    }
}

impl<S, A, ReqBody, ResBody> Service<Request<ReqBody>> for RedisSessionService<S, A>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: http_body::Body,
    A: ErrorResponse<Error>,
{
    type Response = Response<SessionBody<ResBody, A::Body>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, A>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let session = RequestSession::new(Arc::clone(&self.backend), &request);
        let head = self.on_error.reads_request().then(|| kept_head::copy(&request));
        let _ = request.extensions_mut().insert(SessionContext::new(Arc::clone(&session)));
        ResponseFuture::new(self.inner.call(request), session, self.on_error.clone(), head)
    }
}

impl<S, A> fmt::Debug for RedisSessionService<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessionService")
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}
