//! The body of a response that may be an error response, and its error.

use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::{
    Response, StatusCode,
    header::{CONTENT_LENGTH, Entry},
};
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::error::Error;

const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;

/// The body of a response that went through a guard or the CSRF layer: the inner service's of type
/// `B`, frame by frame, or that of an [error response](crate::response::ErrorResponse) of type `D`.
///
/// Data frames are `Bytes`: nothing is copied that was `Bytes` before. Errors are
/// [`BodyError::Inner`], or the [`BodyError`] of a session layer inside.
#[pin_project]
pub struct EitherBody<B, D = String>(#[pin] Kind<B, D>);

#[pin_project(project = KindPin)]
enum Kind<B, D> {
    Inner(#[pin] B),
    Instead(#[pin] D),
    Empty,
}

impl<B, D> EitherBody<B, D> {
    pub(crate) const fn inner(body: B) -> Self {
        Self(Kind::Inner(body))
    }
}

impl<B, D: Body> EitherBody<B, D> {
    /// The error response in place of the inner service's; to `HEAD` without its body.
    pub(crate) fn instead(response: Response<D>, is_head: bool) -> Response<Self> {
        if is_head {
            let length = response.body().size_hint().exact();
            return head_only(response, length, Self::default());
        }
        response.map(|body| Self(Kind::Instead(body)))
    }
}

/// Empty, for outer layers that respond in place of the inner service.
impl<B, D> Default for EitherBody<B, D> {
    fn default() -> Self {
        Self(Kind::Empty)
    }
}

impl<B, D> Body for EitherBody<B, D>
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
            KindPin::Instead(body) => poll_bytes(body, context),
            KindPin::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Inner(body) => body.is_end_stream(),
            Kind::Instead(body) => body.is_end_stream(),
            Kind::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Inner(body) => body.size_hint(),
            Kind::Instead(body) => body.size_hint(),
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

impl<B, D> fmt::Debug for EitherBody<B, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Inner(_) => "EitherBody(inner)",
            Kind::Instead(_) => "EitherBody(instead)",
            Kind::Empty => "EitherBody(empty)",
        })
    }
}

/// Response to `HEAD`: the head alone (RFC 9110 section 9.3.2), with the length of the omitted
/// body. Over HTTP/2 hyper would send the body, which clients treat as an error.
pub(crate) fn head_only<B, C>(
    mut response: Response<B>,
    length: Option<u64>,
    empty: C,
) -> Response<C> {
    // These have no length (RFC 9110 section 8.6).
    let has_none = response.status().is_informational() || response.status() == NO_CONTENT;
    if let (false, Some(length), Entry::Vacant(entry)) =
        (has_none, length, response.headers_mut().entry(CONTENT_LENGTH))
    {
        let _ = entry.insert(length.into());
    }
    response.map(|_| empty)
}

/// Error of an [`EitherBody`] or a [`SessionBody`](crate::layer::SessionBody).
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// The handler's body failed.
    Inner(Box<dyn StdError + Send + Sync>),
    /// What the stream changed in the session could not be stored.
    Session(Error),
}

impl BodyError {
    /// Of a body that fails; the error of another layer of this crate directly inside stays as it
    /// is.
    pub(crate) fn inner(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        match error.into().downcast::<Self>() {
            Ok(error) => *error,
            Err(error) => Self::Inner(error),
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inner(error) => error.fmt(f),
            Self::Session(error) => error.fmt(f),
        }
    }
}

impl StdError for BodyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Inner(error) => error.source(),
            Self::Session(error) => error.source(),
        }
    }
}
