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

use bytes::{Buf as _, Bytes};
use http::{Response, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use pin_project::{pin_project, pinned_drop};

use crate::{
    request::{RequestSession, commit::Commit, state::Stage},
    response::{BodyError, EitherBody},
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
/// [`on_error`](crate::RedisSessionLayer::on_error)) it is the body of type `D`. Data are
/// [`Bytes`]: nothing is copied where they were before.
#[pin_project(PinnedDrop)]
pub struct SessionBody<B, D = String> {
    #[pin]
    inner: EitherBody<B, D>,
    /// `None`: a layer in between made an empty response of its own.
    session: Option<Arc<RequestSession>>,
    waiting: Option<Box<Waiting>>,
    /// Bytes of the declared length that have not passed yet, if a length is declared.
    promised: Option<u64>,
    ended: bool,
}

/// A commit, and the last frame that waits for it. Boxed, since few bodies have one.
struct Waiting {
    commit: Commit,
    frame: Option<Frame<Bytes>>,
}

impl<B, D> SessionBody<B, D> {
    pub(crate) fn wrap(response: Response<B>, session: Arc<RequestSession>) -> Response<Self>
    where
        B: Body,
    {
        let length = response.headers().get(CONTENT_LENGTH);
        let promised = length.and_then(|length| length.to_str().ok()?.parse().ok());
        // Servers derive `Content-Length` from the body's exact size.
        let promised = promised.or_else(|| response.body().size_hint().exact());
        response.map(|inner| Self::new(EitherBody::inner(inner), promised, session))
    }

    /// A body that is not the handler's.
    pub(crate) fn instead(body: EitherBody<B, D>, session: Arc<RequestSession>) -> Self {
        Self::new(body, None, session)
    }

    fn new(inner: EitherBody<B, D>, promised: Option<u64>, session: Arc<RequestSession>) -> Self {
        Self { inner, session: Some(session), waiting: None, promised, ended: false }
    }

    fn is_dirty(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_dirty())
    }
}

/// Empty, for outer layers that respond in the handler's place, as time-out and CORS layers do.
impl<B, D> Default for SessionBody<B, D> {
    fn default() -> Self {
        let inner = EitherBody::default();
        Self { inner, session: None, waiting: None, promised: None, ended: false }
    }
}

impl<B, D> Body for SessionBody<B, D>
where
    B: Body<Error: Into<Box<dyn StdError + Send + Sync>>>,
    D: Body<Error: Into<Box<dyn StdError + Send + Sync>>>,
{
    type Data = Bytes;
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
            let frame = ready!(this.inner.as_mut().poll_frame(context));
            let last = match &frame {
                None => true,
                Some(Err(_)) => false,
                Some(Ok(frame)) => is_last(frame, &*this.inner, this.promised),
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
        (self.ended || self.inner.is_end_stream()) && self.waiting.is_none() && !self.is_dirty()
    }

    fn size_hint(&self) -> SizeHint {
        // A frame that is held back, or an error that may come, is not in the inner hint.
        if self.waiting.is_some() { SizeHint::new() } else { self.inner.size_hint() }
    }
}

/// Whether the server will poll no frame after this one: trailers end a message, the body reports
/// its end, or all bytes of the declared length have passed.
fn is_last<B: Body>(frame: &Frame<Bytes>, inner: &B, promised: &mut Option<u64>) -> bool {
    if let (Some(rest), Some(data)) = (promised.as_mut(), frame.data_ref()) {
        *rest = rest.saturating_sub(u64::try_from(data.remaining()).unwrap_or(u64::MAX));
    }
    frame.is_trailers()
        || inner.is_end_stream()
        || inner.size_hint().exact() == Some(0)
        || *promised == Some(0)
}

/// Commits what the stream has changed, except before trailers that report a failure.
fn commit(session: &Arc<RequestSession>, frame: Option<&Frame<Bytes>>) -> Commit {
    let success = &session.backend.rules.success;
    let trailers = frame.and_then(Frame::trailers_ref);
    if trailers.is_some_and(|trailers| !success.reports_success(trailers)) {
        session.state().drop_changes();
    }
    session.commit_surely()
}

#[pinned_drop]
impl<B, D> PinnedDrop for SessionBody<B, D> {
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

impl<B, D> fmt::Debug for SessionBody<B, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBody").field("ended", &self.ended).finish_non_exhaustive()
    }
}
