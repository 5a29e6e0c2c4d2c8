//! Body of requests that went through the layer.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

/// The body of a request that went through [`CsrfLayer`](crate::csrf::CsrfLayer): the original
/// frames, or, if the layer had to read a form for its token, the same bytes and trailers again.
/// Data are [`Bytes`]: nothing is copied where they were before. Errors are the original ones.
///
/// That of a response is [`EitherBody`](crate::response::EitherBody).
#[pin_project]
pub struct CsrfBody<B>(#[pin] Kind<B>);

#[pin_project(project = KindPin)]
enum Kind<B> {
    Untouched(#[pin] B),
    Held { data: Bytes, trailers: Option<HeaderMap> },
}

impl<B> CsrfBody<B> {
    pub(super) fn untouched(body: B) -> Self {
        Self(Kind::Untouched(body))
    }

    pub(super) fn again(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self(Kind::Held { data, trailers })
    }
}

/// Empty, for layers in between that take the body.
impl<B> Default for CsrfBody<B> {
    fn default() -> Self {
        Self::again(Bytes::new(), None)
    }
}

impl<B: Body> Body for CsrfBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().0.project() {
            KindPin::Untouched(body) => body
                .poll_frame(context)
                .map_ok(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))),
            KindPin::Held { data, .. } if !data.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(data)))))
            }
            KindPin::Held { trailers, .. } => {
                Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Untouched(body) => body.is_end_stream(),
            Kind::Held { data, trailers } => data.is_empty() && trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Untouched(body) => body.size_hint(),
            Kind::Held { data, .. } => {
                u64::try_from(data.len()).map_or_else(|_| SizeHint::new(), SizeHint::with_exact)
            }
        }
    }
}

impl<B> fmt::Debug for CsrfBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A form may hold secrets.
        f.write_str(match self.0 {
            Kind::Untouched(_) => "CsrfBody(untouched)",
            Kind::Held { .. } => "CsrfBody(held)",
        })
    }
}
