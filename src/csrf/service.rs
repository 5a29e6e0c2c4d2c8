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
        future::CsrfFuture,
        rules::{Judgement, Rules},
    },
    transport::cross_site::Judged,
};

/// The service that [`CsrfLayer`](crate::csrf::CsrfLayer) makes.
#[derive(Clone)]
pub struct CsrfService<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> CsrfService<S> {
    pub(super) fn new(inner: S, rules: Arc<Rules>) -> Self {
        Self { inner, rules }
    }
}

impl<S: Clone> CsrfService<S> {
    /// The inner service that reported ready, for a later call.
    fn take_ready(&mut self) -> S {
        let next = self.inner.clone();
        mem::replace(&mut self.inner, next)
    }
}

impl<S, B, R> Service<Request<B>> for CsrfService<S>
where
    S: Service<Request<CsrfBody<B>>, Response = Response<R>> + Clone,
    B: Body,
{
    type Response = Response<CsrfBody<R>>;
    type Error = S::Error;
    type Future = CsrfFuture<S, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let rules = Arc::clone(&self.rules);
        match self.rules.judge(&parts) {
            Judgement::Pass => {
                let request = Request::from_parts(parts, CsrfBody::untouched(body));
                CsrfFuture::answering(self.inner.call(request), rules)
            }
            Judgement::Refuse(error) => CsrfFuture::refusing(error, parts, rules),
            Judgement::Verify(session, token) => {
                let _ = parts.extensions.insert(Judged);
                let request = Request::from_parts(parts, CsrfBody::untouched(body));
                CsrfFuture::verifying(session, token, (request, self.take_ready()), rules)
            }
            Judgement::Read(session) => {
                let _ = parts.extensions.insert(Judged);
                CsrfFuture::reading(session, body, (parts, self.take_ready()), rules)
            }
        }
    }
}

impl<S> fmt::Debug for CsrfService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfService").field("rules", &self.rules).finish_non_exhaustive()
    }
}
