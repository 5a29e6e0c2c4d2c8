//! The guard's service and future.

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
    context::SessionContext,
    error::{Error, ErrorKind},
    guard::{condition::Condition, denied::Denied},
    response::{EitherBody, ErrorResponse},
    telemetry::instruments::rejected,
};

/// Checks the condition before it calls the inner service. Created by
/// [`RequireLayer`](crate::guard::RequireLayer).
#[derive(Clone)]
pub struct RequireService<S, C, A> {
    inner: S,
    condition: C,
    deny: A,
}

impl<S, C, A> RequireService<S, C, A> {
    pub(super) const fn new(inner: S, condition: C, deny: A) -> Self {
        Self { inner, condition, deny }
    }
}

impl<S, C, A, ReqBody, ResBody> Service<Request<ReqBody>> for RequireService<S, C, A>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    C: Condition,
    A: ErrorResponse<Denied>,
{
    type Response = Response<EitherBody<ResBody, A::Body>>;
    type Error = S::Error;
    type Future = RequireFuture<S, ReqBody, A>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        // The instance that was polled ready is the one that is called, after the check.
        let fresh = self.inner.clone();
        let inner = mem::replace(&mut self.inner, fresh);
        let check: Check = match request.extensions().get::<SessionContext>().cloned() {
            Some(session) => {
                let condition = self.condition.clone();
                Box::pin(async move { condition.check(session).await })
            }
            // Fails closed: without the session layer no condition can be checked.
            None => Box::pin(std::future::ready(Err(no_layer()))),
        };
        let asking = Asking { check, inner, request, deny: self.deny.clone() };
        RequireFuture { stage: Stage::Asking(Some(asking)) }
    }
}

pub(super) fn no_layer() -> Denied {
    tracing::error!("guard outside of the session layer: every request is rejected");
    Denied::from(Error::new(ErrorKind::Invalid, "the guard is outside of the session layer"))
}

/// Boxed, once a guarded request: the futures of async functions have no name.
type Check = Pin<Box<dyn Future<Output = Result<(), Denied>> + Send>>;

/// The response of the inner service, or to the denied request.
#[must_use = "futures do nothing unless polled"]
#[pin_project]
pub struct RequireFuture<S: Service<Request<B>>, B, A> {
    #[pin]
    stage: Stage<S, B, A>,
}

#[pin_project(project = StageProjected)]
#[allow(clippy::large_enum_variant, reason = "what a service makes is seldom smaller")]
enum Stage<S: Service<Request<B>>, B, A> {
    Asking(Option<Asking<S, B, A>>),
    Answering(#[pin] S::Future),
}

struct Asking<S, B, A> {
    check: Check,
    inner: S,
    request: Request<B>,
    deny: A,
}

impl<S, ReqBody, ResBody, A> Future for RequireFuture<S, ReqBody, A>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    A: ErrorResponse<Denied>,
{
    type Output = Result<Response<EitherBody<ResBody, A::Body>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        loop {
            let asking = match stage.as_mut().project() {
                StageProjected::Answering(answer) => {
                    let answer = ready!(answer.poll(context));
                    return Poll::Ready(answer.map(|response| response.map(EitherBody::inner)));
                }
                StageProjected::Asking(asking) => asking,
            };
            // Polled again after completion, against the contract: stays pending instead of a
            // panic.
            let Some(asked) = asking.as_mut() else { return Poll::Pending };
            let checked = ready!(asked.check.as_mut().poll(context));
            let Some(Asking { mut inner, request, deny, .. }) = asking.take() else {
                return Poll::Pending;
            };
            match checked {
                Ok(()) => stage.set(Stage::Answering(inner.call(request))),
                Err(denied) => {
                    tracing::debug!(reason = denied.code(), "request denied");
                    rejected("guard", denied.code());
                    let head = request.into_parts().0;
                    let response = deny.respond(&denied, &head);
                    return Poll::Ready(Ok(EitherBody::instead(
                        response,
                        head.method == Method::HEAD,
                    )));
                }
            }
        }
    }
}

impl<S, C, A> fmt::Debug for RequireService<S, C, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireService").finish_non_exhaustive()
    }
}

impl<S: Service<Request<B>>, B, A> fmt::Debug for RequireFuture<S, B, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireFuture").finish_non_exhaustive()
    }
}
