//! Response body: commits what the handler's stream changes in the session after the head, before
//! the client sees the end.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{Response, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use pin_project::{pin_project, pinned_drop};

use crate::{
    error::Error,
    request::{RequestSession, commit::Commit, state::Stage},
};

/// The body of a response that went through the layer.
///
/// Frames pass unchanged. If the handler's stream has unsaved changes, the last frame waits for
/// their commit; if that fails the body ends in [`BodyError::Session`], so the client sees a broken
/// response and not a complete one.
///
/// The session handle returns `Closed` once the body is dropped.
///
/// For a response that replaces the handler's (see
/// [`on_error`](crate::RedisSessionLayer::on_error)) it is the body of type `D`.
#[pin_project(PinnedDrop)]
pub struct SessionBody<B: Body, D = B> {
    #[pin]
    inner: Inner<B, D>,
    /// `None`: a layer in between made an empty response of its own.
    session: Option<Arc<RequestSession>>,
    waiting: Option<Box<Waiting<B::Data>>>,
    /// Bytes of the declared length that have not passed yet, if a length is declared.
    promised: Option<u64>,
    ended: bool,
}

#[pin_project(project = InnerPin)]
enum Inner<B, D> {
    Handler(#[pin] B),
    Instead(#[pin] D),
    Empty,
}

/// A commit, and the last frame that waits for it. Boxed, since few bodies have one.
struct Waiting<D> {
    commit: Commit,
    frame: Option<Frame<D>>,
}

impl<B: Body, D> SessionBody<B, D> {
    pub(crate) fn wrap(response: Response<B>, session: Arc<RequestSession>) -> Response<Self> {
        let length = response.headers().get(CONTENT_LENGTH);
        let promised = length.and_then(|length| length.to_str().ok()?.parse().ok());
        // Servers derive `Content-Length` from the body's exact size.
        let promised = promised.or_else(|| response.body().size_hint().exact());
        response.map(|inner| Self::new(Inner::Handler(inner), promised, session))
    }

    /// A body that is not the handler's.
    pub(crate) fn instead(body: Option<D>, session: Arc<RequestSession>) -> Self {
        Self::new(body.map_or(Inner::Empty, Inner::Instead), None, session)
    }

    fn new(inner: Inner<B, D>, promised: Option<u64>, session: Arc<RequestSession>) -> Self {
        Self { inner, session: Some(session), waiting: None, promised, ended: false }
    }

    fn is_dirty(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_dirty())
    }
}

/// Empty, for outer layers that respond in the handler's place, as time-out and CORS layers do.
impl<B: Body, D> Default for SessionBody<B, D> {
    fn default() -> Self {
        let inner = Inner::Empty;
        Self { inner, session: None, waiting: None, promised: None, ended: false }
    }
}

impl<B, D> Body for SessionBody<B, D>
where
    B: Body<Error: Into<Box<dyn StdError + Send + Sync>>>,
    D: Body<Data = B::Data, Error: Into<Box<dyn StdError + Send + Sync>>>,
{
    type Data = B::Data;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        loop {
            if let Some(waiting) = this.waiting.as_mut() {
                let committed = ready!(Pin::new(&mut waiting.commit).poll(context));
                let frame = this.waiting.take().and_then(|waiting| waiting.frame);
                if let Err(error) = committed {
                    *this.ended = true;
                    if let Some(session) = this.session {
                        session.close();
                    }
                    return Poll::Ready(Some(Err(BodyError::Session(error))));
                }
                if frame.is_some() {
                    return Poll::Ready(frame.map(Ok));
                }
            }
            if *this.ended {
                return Poll::Ready(None);
            }
            let (frame, last) = match this.inner.as_mut().project() {
                InnerPin::Handler(inner) => ready!(poll_inner(inner, this.promised, context)),
                InnerPin::Instead(inner) => ready!(poll_inner(inner, this.promised, context)),
                InnerPin::Empty => (None, true),
            };
            *this.ended |= frame.is_none();
            let dirty = this.session.as_ref().filter(|session| last && session.is_dirty());
            if let Some(session) = dirty {
                let frame = frame.and_then(Result::ok);
                let commit = commit(session, frame.as_ref());
                *this.waiting = Some(Box::new(Waiting { commit, frame }));
                continue;
            }
            return Poll::Ready(frame);
        }
    }

    fn is_end_stream(&self) -> bool {
        let inner_ended = match &self.inner {
            Inner::Handler(inner) => inner.is_end_stream(),
            Inner::Instead(inner) => inner.is_end_stream(),
            Inner::Empty => true,
        };
        (self.ended || inner_ended) && self.waiting.is_none() && !self.is_dirty()
    }

    fn size_hint(&self) -> SizeHint {
        // A frame that is held back, or an error that may come, is not in the inner hint.
        match (&self.inner, &self.waiting) {
            (Inner::Empty, _) => SizeHint::with_exact(0),
            (Inner::Handler(inner), None) => inner.size_hint(),
            (Inner::Instead(inner), None) => inner.size_hint(),
            (_, Some(_)) => SizeHint::new(),
        }
    }
}

type Polled<D> = (Option<Result<Frame<D>, BodyError>>, bool);

/// The next frame, and whether it is the last.
fn poll_inner<B>(
    mut inner: Pin<&mut B>,
    promised: &mut Option<u64>,
    context: &mut Context<'_>,
) -> Poll<Polled<B::Data>>
where
    B: Body<Error: Into<Box<dyn StdError + Send + Sync>>>,
{
    let frame = ready!(inner.as_mut().poll_frame(context));
    let last = match &frame {
        None => true,
        Some(Err(_)) => false,
        Some(Ok(frame)) => is_last(frame, &*inner, promised),
    };
    Poll::Ready((frame.map(|frame| frame.map_err(BodyError::inner)), last))
}

/// Whether the server will poll no frame after this one: trailers end a message, the body reports
/// its end, or all bytes of the declared length have passed.
fn is_last<B: Body>(frame: &Frame<B::Data>, inner: &B, promised: &mut Option<u64>) -> bool {
    if let (Some(rest), Some(data)) = (promised.as_mut(), frame.data_ref()) {
        *rest = rest.saturating_sub(u64::try_from(data.remaining()).unwrap_or(u64::MAX));
    }
    frame.is_trailers()
        || inner.is_end_stream()
        || inner.size_hint().exact() == Some(0)
        || *promised == Some(0)
}

/// Commits what the stream has changed, except before trailers that report a failure.
fn commit<D>(session: &Arc<RequestSession>, frame: Option<&Frame<D>>) -> Commit {
    let success = &session.backend.rules.success;
    let trailers = frame.and_then(Frame::trailers_ref);
    if trailers.is_some_and(|trailers| !success.reports_success(trailers)) {
        session.state().drop_changes();
    }
    session.commit_surely()
}

#[pinned_drop]
impl<B: Body, D> PinnedDrop for SessionBody<B, D> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        let Some(session) = this.session else { return };
        match this.waiting {
            // What a stream changed before the client disconnected is dropped, like a handler's
            // changes.
            None => session.close(),
            Some(_) => session.set_stage(Stage::Closed),
        }
    }
}

impl<B: Body, D> fmt::Debug for SessionBody<B, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBody").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Error of a [`SessionBody`] or a [`RequireBody`](crate::guard::RequireBody).
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// The handler's body failed.
    Inner(Box<dyn StdError + Send + Sync>),
    /// What the stream changed in the session could not be stored.
    Session(Error),
}

impl BodyError {
    pub(crate) fn inner(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Inner(error.into())
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
