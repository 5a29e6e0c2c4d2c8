//! The service: checks a request by its head, and passes it on at once if that is enough.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    csrf::{
        body::CsrfBody,
        error::CsrfError,
        future::CsrfFuture,
        rules::{Judgement, Rules},
    },
    response::{EitherBody, ErrorResponse, PlainErrorResponse},
    transport::cross_site::Judged,
};

/// The service that [`CsrfLayer`](crate::csrf::CsrfLayer) makes.
#[derive(Clone)]
pub struct CsrfService<S, A = PlainErrorResponse> {
    inner: S,
    rules: Arc<Rules>,
    on_error: A,
}

impl<S, A> CsrfService<S, A> {
    pub(super) fn new(inner: S, rules: Arc<Rules>, on_error: A) -> Self {
        Self { inner, rules, on_error }
    }
}

impl<S: Clone, A> CsrfService<S, A> {
    /// The inner service that reported ready, for a later call.
    fn take_ready(&mut self) -> S {
        let next = self.inner.clone();
        mem::replace(&mut self.inner, next)
    }
}

impl<S, B, R, A> Service<Request<B>> for CsrfService<S, A>
where
    S: Service<Request<CsrfBody<B>>, Response = Response<R>> + Clone,
    B: Body,
    A: ErrorResponse<CsrfError>,
{
    type Response = Response<EitherBody<R, A::Body>>;
    type Error = S::Error;
    type Future = CsrfFuture<S, B, A>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let with = (Arc::clone(&self.rules), self.on_error.clone());
        match self.rules.judge(&parts) {
            Judgement::Pass => {
                let request = Request::from_parts(parts, CsrfBody::untouched(body));
                CsrfFuture::answering(self.inner.call(request), with)
            }
            Judgement::Refuse(error) => CsrfFuture::refusing(error, parts, with),
            Judgement::Verify(session, token) => {
                let _ = parts.extensions.insert(Judged);
                let request = Request::from_parts(parts, CsrfBody::untouched(body));
                CsrfFuture::verifying(session, token, (request, self.take_ready()), with)
            }
            Judgement::Read(session) => {
                let _ = parts.extensions.insert(Judged);
                CsrfFuture::reading(session, body, (parts, self.take_ready()), with)
            }
        }
    }
}

impl<S, A> fmt::Debug for CsrfService<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfService").field("rules", &self.rules).finish_non_exhaustive()
    }
}
