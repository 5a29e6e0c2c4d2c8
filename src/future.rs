//! The response future: the handler runs, its changes are committed, the head leaves.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project::{pin_project, pinned_drop};

use crate::{
    body::SessionBody,
    error::Error,
    request::RequestSession,
    response::{Answer, PlainAnswer, decorate},
    running::RunningCommit,
    state::Stage,
};

/// The future of [`RedisSessionService`](crate::RedisSessionService).
///
/// An untouched request passes through without a box, a command or a header.
#[must_use = "futures do nothing unless polled"]
#[pin_project(PinnedDrop)]
pub struct ResponseFuture<F: Future, A = PlainAnswer> {
    #[pin]
    inner: F,
    session: Option<Arc<RequestSession>>,
    commit: Option<RunningCommit>,
    /// The handler's response while its commit runs.
    parked: Option<F::Output>,
    answer: A,
}

impl<F: Future, A> ResponseFuture<F, A> {
    pub(crate) fn new(inner: F, session: Arc<RequestSession>, answer: A) -> Self {
        Self { inner, session: Some(session), commit: None, parked: None, answer }
    }
}

impl<F, B, E, A> Future for ResponseFuture<F, A>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    A: Answer<B>,
{
    type Output = Result<Response<SessionBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Polled again after the end, as no caller may: stays pending rather than panic.
        if this.session.is_none() {
            return Poll::Pending;
        }
        if this.commit.is_none() {
            let output = ready!(this.inner.poll(context));
            let ok = output.as_ref().is_ok_and(|response| !response.status().is_server_error());
            if let Some(session) = this.session.as_ref().filter(|session| session.is_touched()) {
                *this.commit = settle_head(session, ok);
            }
            *this.parked = Some(output);
        }
        let mut committed = Ok(());
        if let Some(commit) = this.commit.as_mut() {
            committed = ready!(Pin::new(commit).poll(context));
        }
        *this.commit = None;
        let (Some(output), Some(session)) = (this.parked.take(), this.session.take()) else {
            return Poll::Pending;
        };
        Poll::Ready(match output {
            Ok(response) => Ok(finish(response, committed, session, this.answer)),
            Err(error) => {
                session.close();
                Err(error)
            }
        })
    }
}

/// Makes the response that leaves, of the handler's and of what the commit said.
fn finish<B: Body>(
    response: Response<B>,
    committed: Result<(), Error>,
    session: Arc<RequestSession>,
    answer: &impl Answer<B>,
) -> Response<SessionBody<B>> {
    let mut response = match committed {
        Ok(()) => {
            session.state().stage = Stage::Streaming;
            SessionBody::wrap(response, Arc::clone(&session))
        }
        // Fails closed: a change that is not stored is never answered as if it were, and once it
        // is answered so it is not stored later either.
        Err(error) => {
            session.close();
            let answer = answer.answer(&error);
            answer.map(|body| SessionBody::instead(body, Arc::clone(&session)))
        }
    };
    if session.is_touched() {
        decorate(response.headers_mut(), &session);
    }
    response
}

/// Decides what has to be committed before the head, now that the handler is done.
fn settle_head(session: &Arc<RequestSession>, ok: bool) -> Option<RunningCommit> {
    let backend = &session.backend;
    let mut state = session.state();
    if !ok && !backend.keep_on_server_error {
        let dropped = mem::take(&mut state.changes);
        if !dropped.is_empty() {
            tracing::debug!("session changes dropped with a server error");
        }
    }
    if state.is_dirty() {
        drop(state);
        return Some(RunningCommit::start(Arc::clone(session)));
    }
    drop(state);
    // Read only: at most the time of this activity is worth a write, and nobody waits for it.
    if let Some((held, activity)) = session.due_touch() {
        session.touch_later(&held, activity);
    }
    None
}

#[pinned_drop]
impl<F: Future, A> PinnedDrop for ResponseFuture<F, A> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        match (this.session.take(), &this.commit) {
            // A handler that was dropped before its head commits nothing more.
            (Some(session), None) => session.close(),
            // A commit that has started goes on by itself (see `RunningCommit`).
            (Some(session), Some(_)) => session.state().stage = Stage::Closed,
            (None, _) => {}
        }
    }
}

impl<F: Future, A> fmt::Debug for ResponseFuture<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("committing", &self.commit).finish_non_exhaustive()
    }
}
