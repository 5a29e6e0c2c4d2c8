//! Work that, once started, completes even if its caller is dropped.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// In a mutex that is never locked: a body that holds one is then as `Sync` as the handler's.
type Work<T> = Mutex<Option<Pin<Box<dyn Future<Output = T> + Send>>>>;

/// Work in progress: polled in place while its owner waits, on the runtime from then on.
pub(crate) struct Carried<T: Send + 'static> {
    work: Work<T>,
    /// The runtime on which it started, since its owner may be dropped elsewhere; `None` before the
    /// start.
    runtime: Option<Handle>,
}

impl<T: Send + 'static> Carried<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self { work: Mutex::new(Some(Box::pin(work))), runtime: None }
    }
}

impl<T: Send + 'static> Future for Carried<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let slot = this.work.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(work) = slot else { return Poll::Pending };
        if this.runtime.is_none() {
            this.runtime = Handle::try_current().ok();
        }
        let result = std::task::ready!(work.as_mut().poll(context));
        *slot = None;
        Poll::Ready(result)
    }
}

// Cancellation safety: a client that disconnects (hyper drops the response future, or the body), or
// a spent budget, drops the waiting caller. Work that was polled may have reached the store, and
// other requests would find it half done.
impl<T: Send + 'static> Drop for Carried<T> {
    fn drop(&mut self) {
        let work = self.work.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(work), Some(runtime)) = (work, &self.runtime) {
            drop(runtime.spawn(work));
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Carried<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried").field("started", &self.runtime.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use tokio::sync::oneshot;

    use crate::sync::carried::*;

    #[tokio::test]
    async fn what_has_begun_ends_without_its_owner_and_what_has_not_never_begins() {
        for begun in [true, false] {
            let (go_on, wait) = oneshot::channel();
            let (ended, end) = oneshot::channel();
            let mut work = Carried::new(async move {
                let _ = wait.await;
                let _ = ended.send(());
            });
            if begun {
                assert!(poll!(&mut work).is_pending());
            }
            // Where there is no runtime, as a body may be.
            std::thread::spawn(|| drop(work)).join().unwrap();
            assert_eq!(go_on.send(()).is_ok(), begun);
            assert_eq!(end.await.is_ok(), begun);
        }
        assert_eq!(Carried::new(async { 7 }).await, 7);
    }
}
