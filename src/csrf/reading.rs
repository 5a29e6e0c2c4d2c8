//! Reader of a whole form, within a limit of size and of time.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use pin_project::pin_project;
use tokio::time::{Sleep, sleep};

use crate::csrf::{error::CsrfErrorKind, rules::Rules};

/// A form while it is read.
#[pin_project]
pub(super) struct Reading<B> {
    #[pin]
    body: B,
    /// Starts with the first poll.
    #[pin]
    timer: Option<Sleep>,
    data: BytesMut,
    trailers: Option<HeaderMap>,
}

/// A complete form.
pub(super) struct Form {
    pub(super) data: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

impl<B: Body> Reading<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, timer: None, data: BytesMut::new(), trailers: None }
    }

    pub(super) fn poll(
        self: Pin<&mut Self>,
        rules: &Rules,
        context: &mut Context<'_>,
    ) -> Poll<Result<Form, CsrfErrorKind>> {
        let mut this = self.project();
        let max = u64::try_from(rules.max_form_size).unwrap_or(u64::MAX);
        if this.timer.is_none() {
            // A form with a declared size over the limit is not read.
            if this.body.size_hint().lower() > max {
                return Poll::Ready(Err(CsrfErrorKind::TooLarge));
            }
            this.timer.set(Some(sleep(rules.form_timeout)));
        }
        // Checked first, so that a form that trickles in without end times out too.
        if this.timer.as_mut().as_pin_mut().is_some_and(|timer| timer.poll(context).is_ready()) {
            return Poll::Ready(Err(CsrfErrorKind::Incomplete));
        }
        loop {
            let Some(frame) = ready!(this.body.as_mut().poll_frame(context)) else {
                let data = std::mem::take(this.data).freeze();
                return Poll::Ready(Ok(Form { data, trailers: this.trailers.take() }));
            };
            let Ok(frame) = frame else { return Poll::Ready(Err(CsrfErrorKind::Incomplete)) };
            match frame.into_data() {
                Ok(data) if data.remaining() > rules.max_form_size - this.data.len() => {
                    return Poll::Ready(Err(CsrfErrorKind::TooLarge));
                }
                Ok(data) => this.data.put(data),
                Err(frame) => *this.trailers = frame.into_trailers().ok(),
            }
        }
    }
}
