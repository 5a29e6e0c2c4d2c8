//! Response future: reads the form, verifies the token, calls the inner service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Method, Request, Response, request::Parts};
use http_body::Body;
use pin_project::pin_project;
use tower_service::Service;

use crate::{
    context::SessionContext,
    csrf::{
        body::CsrfBody,
        error::CsrfError,
        form,
        reading::{Form, Reading},
        rules::Rules,
    },
    response::{EitherBody, ErrorResponse, PlainErrorResponse},
    telemetry::instruments::rejected,
};

/// The future of [`CsrfService`](crate::csrf::CsrfService).
///
/// A request that passes by its head alone is not boxed; one that is verified is.
#[must_use = "futures do nothing unless polled"]
#[pin_project]
pub struct CsrfFuture<S, B, A = PlainErrorResponse>
where
    S: Service<Request<CsrfBody<B>>>,
{
    #[pin]
    step: Step<S, B, S::Future>,
    rules: Arc<Rules>,
    on_error: A,
}

#[pin_project(project = StepPin)]
enum Step<S, B, F> {
    Answering(#[pin] F),
    Refusing(Box<(CsrfError, Parts)>),
    Verifying { verdict: Verdict, held: Option<Box<(Request<CsrfBody<B>>, S)>> },
    Reading { session: SessionContext, form: Pin<Box<Reading<B>>>, held: Option<Box<(Parts, S)>> },
    Done,
}

/// What every response is made with.
type With<A> = (Arc<Rules>, A);

type Verdict = Pin<Box<dyn Future<Output = Result<(), CsrfError>> + Send>>;

impl<S, B, A> CsrfFuture<S, B, A>
where
    S: Service<Request<CsrfBody<B>>>,
    B: Body,
{
    pub(super) fn answering(answer: S::Future, with: With<A>) -> Self {
        Self::at(Step::Answering(answer), with)
    }

    pub(super) fn refusing(error: CsrfError, parts: Parts, with: With<A>) -> Self {
        Self::at(Step::Refusing(Box::new((error, parts))), with)
    }

    pub(super) fn verifying(
        session: SessionContext,
        token: impl AsRef<[u8]> + Send + 'static,
        held: (Request<CsrfBody<B>>, S),
        with: With<A>,
    ) -> Self {
        Self::at(verify(session, token, Box::new(held)), with)
    }

    pub(super) fn reading(
        session: SessionContext,
        body: B,
        held: (Parts, S),
        with: With<A>,
    ) -> Self {
        let (form, held) = (Box::pin(Reading::new(body)), Some(Box::new(held)));
        Self::at(Step::Reading { session, form, held }, with)
    }

    fn at(step: Step<S, B, S::Future>, (rules, on_error): With<A>) -> Self {
        Self { step, rules, on_error }
    }
}

impl<S, B, R, A> Future for CsrfFuture<S, B, A>
where
    S: Service<Request<CsrfBody<B>>, Response = Response<R>>,
    B: Body,
    A: ErrorResponse<CsrfError>,
{
    type Output = Result<Response<EitherBody<R, A::Body>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.step.as_mut().project() {
                StepPin::Answering(answer) => {
                    let answer = ready!(answer.poll(context));
                    return Poll::Ready(answer.map(|response| response.map(EitherBody::inner)));
                }
                StepPin::Refusing(refused) => {
                    let (error, head) = &**refused;
                    log(error);
                    let response = this.on_error.respond(error, head);
                    let response = EitherBody::instead(response, head.method == Method::HEAD);
                    this.step.set(Step::Done);
                    return Poll::Ready(Ok(response));
                }
                StepPin::Verifying { verdict, held } => {
                    let verdict = ready!(verdict.as_mut().poll(context));
                    admit(verdict, held.take())
                }
                StepPin::Reading { session, form, held } => {
                    let form =
                        ready!(form.as_mut().poll(this.rules, context)).map_err(CsrfError::from);
                    search(form, session, held.take(), &this.rules.field)
                }
                // Polled again after the end, as no caller may: stays pending rather than panic.
                StepPin::Done => return Poll::Pending,
            };
            this.step.set(next);
        }
    }
}

pub(super) fn log(error: &CsrfError) {
    rejected("csrf", error.code());
    match error.kind() {
        Some(fault) => tracing::debug!(%fault, "csrf refused"),
        None => tracing::debug!(%error, "csrf not judged"),
    }
}

/// Takes the token out of a form, and puts the form back into the request.
fn search<S, B, F>(
    form: Result<Form, CsrfError>,
    session: &SessionContext,
    held: Option<Box<(Parts, S)>>,
    field: &str,
) -> Step<S, B, F> {
    let Some((parts, inner)) = held.map(|held| *held) else { return Step::Done };
    let found = form.and_then(|form| Ok((form::field(&form.data, field)?, form)));
    match found {
        Ok((token, form)) => {
            let body = CsrfBody::again(form.data, form.trailers);
            let held = Box::new((Request::from_parts(parts, body), inner));
            verify(session.clone(), token, held)
        }
        Err(error) => Step::Refusing(Box::new((error, parts))),
    }
}

fn verify<S, B, F>(
    session: SessionContext,
    token: impl AsRef<[u8]> + Send + 'static,
    held: Box<(Request<CsrfBody<B>>, S)>,
) -> Step<S, B, F> {
    let verdict = Box::pin(async move { session.verify_csrf(token).await });
    Step::Verifying { verdict, held: Some(held) }
}

fn admit<S, B>(
    verdict: Result<(), CsrfError>,
    held: Option<Box<(Request<CsrfBody<B>>, S)>>,
) -> Step<S, B, S::Future>
where
    S: Service<Request<CsrfBody<B>>>,
{
    let Some((request, mut inner)) = held.map(|held| *held) else { return Step::Done };
    match verdict {
        Ok(()) => Step::Answering(inner.call(request)),
        Err(error) => Step::Refusing(Box::new((error, request.into_parts().0))),
    }
}

impl<S, B, A> fmt::Debug for CsrfFuture<S, B, A>
where
    S: Service<Request<CsrfBody<B>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match self.step {
            Step::Answering(_) => "answering",
            Step::Refusing(_) => "refusing",
            Step::Verifying { .. } => "verifying",
            Step::Reading { .. } => "reading",
            Step::Done => "done",
        };
        f.debug_struct("CsrfFuture").field("step", &step).finish_non_exhaustive()
    }
}
