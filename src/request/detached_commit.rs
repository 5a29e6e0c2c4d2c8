//! A commit that has started always ends: in place, or on the runtime if its owner is dropped.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::runtime::Handle;

use crate::{
    error::Error,
    request::{RequestSession, commit::Applied},
};

/// In a mutex that nobody ever locks: a body that holds one is then as `Sync` as the handler's.
type Work = Pin<Box<dyn Future<Output = Result<Applied, Error>> + Send>>;

/// A commit under way.
pub(crate) struct RunningCommit {
    work: Mutex<Option<Work>>,
    runtime: Option<Handle>,
}

impl RunningCommit {
    pub(crate) fn start(session: Arc<RequestSession>) -> Self {
        let tracker = session.backend.tracker.clone();
        let work = tracker.track_future(async move { session.commit().await });
        Self { work: Mutex::new(Some(Box::pin(work))), runtime: Handle::try_current().ok() }
    }
}

impl Future for RunningCommit {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let slot = self.work.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(work) = slot else { return Poll::Ready(Ok(())) };
        let result = std::task::ready!(work.as_mut().poll(context));
        *slot = None;
        Poll::Ready(result.map(|_| ()))
    }
}

// Cancellation safety: hyper drops the response future, or the body, when the client leaves. A
// commit that has been polled may have reached the store, so it runs on to its known end.
impl Drop for RunningCommit {
    fn drop(&mut self) {
        let work = self.work.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(work), Some(runtime)) = (work, &self.runtime) {
            runtime.spawn(work);
        }
    }
}

impl fmt::Debug for RunningCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningCommit").finish_non_exhaustive()
    }
}
