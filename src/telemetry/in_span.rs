//! A future in a span, which costs nothing without a subscriber.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project::pin_project;
use tracing::Span;

/// `tracing::Instrument`, without a look at the `log` crate for a span that is disabled.
#[pin_project]
pub(crate) struct InSpan<F> {
    #[pin]
    work: F,
    span: Span,
}

pub(crate) trait SpanExt: Future + Sized {
    /// Every poll of this future happens in `span`.
    fn in_span(self, span: Span) -> InSpan<Self> {
        InSpan { work: self, span }
    }
}

impl<F: Future> SpanExt for F {}

impl<F: Future> Future for InSpan<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if this.span.is_disabled() {
            return this.work.poll(context);
        }
        this.span.in_scope(|| this.work.poll(context))
    }
}
