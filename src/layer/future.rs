//! Response future: runs the handler, commits its changes, sends the head.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Response, request::Parts};
use http_body::Body;
use pin_project::{pin_project, pinned_drop};

use crate::{
    context::SessionContext,
    error::Error,
    layer::{body::SessionBody, kept_head, response::decorate},
    request::{RequestSession, commit::Commit, state::Stage},
    response::{EitherBody, ErrorResponse, PlainErrorResponse},
};

/// The future of [`RedisSessionService`](crate::layer::RedisSessionService).
///
/// An untouched request passes through without a box, a command or a header.
#[must_use = "futures do nothing unless polled"]
#[pin_project(PinnedDrop)]
pub struct ResponseFuture<F: Future, A = PlainErrorResponse> {
    #[pin]
    inner: F,
    session: Option<Arc<RequestSession>>,
    waiting: Option<Box<Waiting<F::Output>>>,
    on_error: A,
    /// For an error response that reads the request.
    head: Option<Box<Parts>>,
}

/// A commit, and the handler's response that waits for it. Boxed, to be small where nothing waits.
struct Waiting<T> {
    commit: Commit,
    output: T,
}

impl<F: Future, A> ResponseFuture<F, A> {
    pub(crate) fn new(
        inner: F,
        session: Arc<RequestSession>,
        on_error: A,
        head: Option<Box<Parts>>,
    ) -> Self {
        Self { inner, session: Some(session), waiting: None, on_error, head }
    }
}

impl<F, B, E, A> Future for ResponseFuture<F, A>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    A: ErrorResponse<Error>,
{
    type Output = Result<Response<SessionBody<B, A::Body>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Polled again after the end, as no caller may: stays pending rather than panic.
        let Some(session) = this.session.as_ref() else { return Poll::Pending };
        let (output, committed) = match this.waiting.as_mut() {
            Some(waiting) => {
                let committed = ready!(Pin::new(&mut waiting.commit).poll(context));
                let Some(waiting) = this.waiting.take() else { return Poll::Pending };
                (waiting.output, committed)
            }
            None => {
                let output = ready!(this.inner.poll(context));
                let commit = settle_head(session, &output);
                match commit.map(|mut commit| (Pin::new(&mut commit).poll(context), commit)) {
                    None => (output, Ok(())),
                    Some((Poll::Ready(committed), _)) => (output, committed),
                    Some((Poll::Pending, commit)) => {
                        *this.waiting = Some(Box::new(Waiting { commit, output }));
                        return Poll::Pending;
                    }
                }
            }
        };
        let Some(session) = this.session.take() else { return Poll::Pending };
        Poll::Ready(match output {
            Ok(response) => {
                Ok(finish(response, committed, session, this.on_error, this.head.take()))
            }
            Err(error) => {
                session.close();
                Err(error)
            }
        })
    }
}

/// Builds the final response from the handler's and the commit's outcome.
fn finish<B: Body, A: ErrorResponse<Error>>(
    response: Response<B>,
    committed: Result<(), Error>,
    session: Arc<RequestSession>,
    on_error: &A,
    head: Option<Box<Parts>>,
) -> Response<SessionBody<B, A::Body>> {
    let touched = session.is_accessed().then(|| Arc::clone(&session));
    let mut response = match committed {
        Ok(()) => {
            session.set_stage(Stage::Streaming);
            SessionBody::wrap(response, session)
        }
        // Fails closed: a change that is not stored is never reported as stored, and once reported
        // as failed it is not stored later.
        Err(error) => {
            session.close();
            let without_copy = || kept_head::without_copy(&session, response.headers());
            let mut head = head.unwrap_or_else(without_copy);
            let _ = head.extensions.insert(SessionContext::new(Arc::clone(&session)));
            let response = on_error.respond(&error, &head);
            EitherBody::instead(response, session.is_head)
                .map(|body| SessionBody::instead(body, session))
        }
    };
    if let Some(session) = touched {
        decorate(response.headers_mut(), &session);
    }
    response
}

/// Decides what has to be committed before the head, now that the handler is done.
fn settle_head<B, E>(
    session: &Arc<RequestSession>,
    output: &Result<Response<B>, E>,
) -> Option<Commit> {
    if !session.is_accessed() {
        return None;
    }
    let backend = &session.backend;
    let keep = match output {
        Ok(response) => backend.rules.success.is_success(response),
        // Without a response a new id cannot reach the client.
        Err(_) => false,
    };
    let mut state = session.state();
    if !keep {
        state.drop_changes();
    }
    // A task of the handler may be storing a change that the head has to reflect.
    if state.is_dirty() || session.accessed().operation_lock.try_lock().is_err() {
        drop(state);
        return Some(session.commit_surely());
    }
    drop(state);
    // Only read: at most the activity is written, in the background.
    if let Some((held, activity)) = session.due_use() {
        session.touch_later(&held, activity);
    }
    None
}

#[pinned_drop]
impl<F: Future, A> PinnedDrop for ResponseFuture<F, A> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        match (this.session.take(), &this.waiting) {
            // A handler that was dropped before its head commits nothing more.
            (Some(session), None) => session.close(),
            // A commit that has started completes by itself (see `Commit`).
            (Some(session), Some(_)) => session.set_stage(Stage::Closed),
            (None, _) => {}
        }
    }
}

impl<F: Future, A> fmt::Debug for ResponseFuture<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("committing", &self.waiting.is_some())
            .finish_non_exhaustive()
    }
}
