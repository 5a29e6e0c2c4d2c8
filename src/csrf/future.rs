//! Response future: reads the form, verifies the token, calls the inner service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, request::Parts};
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
};

/// The future of [`CsrfService`](crate::csrf::CsrfService).
///
/// A request that passes by its head alone is not boxed; one that is verified is.
#[must_use = "futures do nothing unless polled"]
#[pin_project]
pub struct CsrfFuture<S, B>
where
    S: Service<Request<CsrfBody<B>>>,
{
    #[pin]
    step: Step<S, B, S::Future>,
    rules: Arc<Rules>,
}

#[pin_project(project = StepPin)]
enum Step<S, B, F> {
    Answering(#[pin] F),
    Refusing(Box<(CsrfError, Parts)>),
    Verifying { verdict: Verdict, held: Option<Box<(Request<CsrfBody<B>>, S)>> },
    Reading { session: SessionContext, form: Pin<Box<Reading<B>>>, held: Option<Box<(Parts, S)>> },
    Done,
}

type Verdict = Pin<Box<dyn Future<Output = Result<(), CsrfError>> + Send>>;

impl<S, B> CsrfFuture<S, B>
where
    S: Service<Request<CsrfBody<B>>>,
    B: Body,
{
    pub(super) fn answering(answer: S::Future, rules: Arc<Rules>) -> Self {
        Self { step: Step::Answering(answer), rules }
    }

    pub(super) fn refusing(error: CsrfError, parts: Parts, rules: Arc<Rules>) -> Self {
        Self { step: Step::Refusing(Box::new((error, parts))), rules }
    }

    pub(super) fn verifying(
        session: SessionContext,
        token: impl AsRef<[u8]> + Send + 'static,
        held: (Request<CsrfBody<B>>, S),
        rules: Arc<Rules>,
    ) -> Self {
        Self { step: verify(session, token, Box::new(held)), rules }
    }

    pub(super) fn reading(
        session: SessionContext,
        body: B,
        held: (Parts, S),
        rules: Arc<Rules>,
    ) -> Self {
        let (form, held) = (Box::pin(Reading::new(body)), Some(Box::new(held)));
        Self { step: Step::Reading { session, form, held }, rules }
    }
}

impl<S, B, R> Future for CsrfFuture<S, B>
where
    S: Service<Request<CsrfBody<B>>, Response = Response<R>>,
    B: Body,
{
    type Output = Result<Response<CsrfBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.step.as_mut().project() {
                StepPin::Answering(answer) => {
                    let answer = ready!(answer.poll(context));
                    return Poll::Ready(answer.map(|response| response.map(CsrfBody::untouched)));
                }
                StepPin::Refusing(refused) => {
                    let refusal = this.rules.refuse(&refused.0, &refused.1);
                    this.step.set(Step::Done);
                    return Poll::Ready(Ok(refusal));
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

impl<S, B> fmt::Debug for CsrfFuture<S, B>
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
