//! The body behind a guard: the inner service's, or that of the response to a denied request.

use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::{Method, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::layer::{BodyError, response::head_only};

/// The body of a response that went through a guard: the inner service's of type `B`, frame by
/// frame, or that of the [`Deny`](crate::guard::Deny) of type `D`. So a guard fits around any
/// service, whatever its body is made of.
///
/// Data frames are [`Bytes`]: nothing is copied that was `Bytes` before. Errors are
/// [`BodyError::Inner`].
#[pin_project]
pub struct RequireBody<B, D = String>(#[pin] Kind<B, D>);

#[pin_project(project = KindPin)]
enum Kind<B, D> {
    Inner(#[pin] B),
    Denied(#[pin] D),
    Empty,
}

impl<B, D> RequireBody<B, D> {
    pub(super) const fn inner(body: B) -> Self {
        Self(Kind::Inner(body))
    }
}

impl<B, D: Body> RequireBody<B, D> {
    /// The response to a denied request.
    pub(super) fn instead(response: Response<D>, method: &Method) -> Response<Self> {
        if *method == Method::HEAD {
            let length = response.body().size_hint().exact();
            return head_only(response, length, Self::default());
        }
        response.map(|body| Self(Kind::Denied(body)))
    }
}

/// Empty, for outer layers that respond in place of the inner service.
impl<B, D> Default for RequireBody<B, D> {
    fn default() -> Self {
        Self(Kind::Empty)
    }
}

impl<B, D> Body for RequireBody<B, D>
where
    B: Body<Error: Into<Box<dyn StdError + Send + Sync>>>,
    D: Body<Error: Into<Box<dyn StdError + Send + Sync>>>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.project().0.project() {
            KindPin::Inner(body) => poll_bytes(body, context),
            KindPin::Denied(body) => poll_bytes(body, context),
            KindPin::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Inner(body) => body.is_end_stream(),
            Kind::Denied(body) => body.is_end_stream(),
            Kind::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Inner(body) => body.size_hint(),
            Kind::Denied(body) => body.size_hint(),
            Kind::Empty => SizeHint::with_exact(0),
        }
    }
}

fn poll_bytes<B>(
    body: Pin<&mut B>,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>>
where
    B: Body<Error: Into<Box<dyn StdError + Send + Sync>>>,
{
    let frame = ready!(body.poll_frame(context));
    Poll::Ready(frame.map(|frame| match frame {
        Ok(frame) => Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))),
        Err(error) => Err(BodyError::inner(error)),
    }))
}

impl<B, D> fmt::Debug for RequireBody<B, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Inner(_) => "RequireBody(inner)",
            Kind::Denied(_) => "RequireBody(denied)",
            Kind::Empty => "RequireBody(empty)",
        })
    }
}
