//! The middleware that counts requests by network.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Method, Request, Response};
use pin_project::pin_project;
use tower_service::Service;

use crate::{
    limiter::{error::AttemptError, sign_in_limiter::SignInLimiter},
    response::{EitherBody, ErrorResponse},
};

/// Counts a request before it calls the inner service. Created by
/// [`NetworkLimitLayer`](crate::limiter::NetworkLimitLayer).
#[derive(Clone)]
pub struct NetworkLimitService<S, A> {
    inner: S,
    limiter: SignInLimiter,
    on_throttled: A,
}

impl<S, A> NetworkLimitService<S, A> {
    pub(super) const fn new(inner: S, limiter: SignInLimiter, on_throttled: A) -> Self {
        Self { inner, limiter, on_throttled }
    }
}

impl<S, A, ReqBody, ResBody> Service<Request<ReqBody>> for NetworkLimitService<S, A>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    A: ErrorResponse<AttemptError>,
{
    type Response = Response<EitherBody<ResBody, A::Body>>;
    type Error = S::Error;
    type Future = NetworkLimitFuture<S, ReqBody, A>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        // The instance that was polled ready is the one that is called, after the count.
        let fresh = self.inner.clone();
        let inner = mem::replace(&mut self.inner, fresh);
        let address = self.limiter.address(request.headers(), request.extensions());
        let limiter = self.limiter.clone();
        let count: Count = Box::pin(async move { limiter.count(address?).await });
        let counting = Counting { count, inner, request, on_throttled: self.on_throttled.clone() };
        NetworkLimitFuture { stage: Stage::Counting(Some(counting)) }
    }
}

/// Boxed, once a limited request: the futures of async functions have no name.
type Count = Pin<Box<dyn Future<Output = Result<(), AttemptError>> + Send>>;

/// The response of the inner service, or to the throttled request.
#[must_use = "futures do nothing unless polled"]
#[pin_project]
pub struct NetworkLimitFuture<S: Service<Request<B>>, B, A> {
    #[pin]
    stage: Stage<S, B, A>,
}

#[pin_project(project = StageProjected)]
#[allow(clippy::large_enum_variant, reason = "what a service makes is seldom smaller")]
enum Stage<S: Service<Request<B>>, B, A> {
    Counting(Option<Counting<S, B, A>>),
    Answering(#[pin] S::Future),
}

struct Counting<S, B, A> {
    count: Count,
    inner: S,
    request: Request<B>,
    on_throttled: A,
}

impl<S, ReqBody, ResBody, A> Future for NetworkLimitFuture<S, ReqBody, A>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    A: ErrorResponse<AttemptError>,
{
    type Output = Result<Response<EitherBody<ResBody, A::Body>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        loop {
            let counting = match stage.as_mut().project() {
                StageProjected::Answering(answer) => {
                    let answer = ready!(answer.poll(context));
                    return Poll::Ready(answer.map(|response| response.map(EitherBody::inner)));
                }
                StageProjected::Counting(counting) => counting,
            };
            // Polled again after completion, against the contract: stays pending instead of a
            // panic.
            let Some(counted) = counting.as_mut() else { return Poll::Pending };
            let counted = ready!(counted.count.as_mut().poll(context));
            let Some(Counting { mut inner, request, on_throttled, .. }) = counting.take() else {
                return Poll::Pending;
            };
            match counted {
                Ok(()) => stage.set(Stage::Answering(inner.call(request))),
                Err(error) => {
                    let head = request.into_parts().0;
                    let response = on_throttled.respond(&error, &head);
                    return Poll::Ready(Ok(EitherBody::instead(
                        response,
                        head.method == Method::HEAD,
                    )));
                }
            }
        }
    }
}

impl<S, A> fmt::Debug for NetworkLimitService<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkLimitService").finish_non_exhaustive()
    }
}

impl<S: Service<Request<B>>, B, A> fmt::Debug for NetworkLimitFuture<S, B, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkLimitFuture").finish_non_exhaustive()
    }
}
