//! Work that has begun and goes on to its end, whether or not anybody waits for it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// Work under way: in place as long as its owner waits, on the runtime from then on.
pub(crate) struct Carried<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    begun: bool,
}

impl<T: Send + 'static> Carried<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self { work: Some(Box::pin(work)), begun: false }
    }
}

impl<T: Send + 'static> Future for Carried<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.begun = true;
        let Some(work) = &mut self.work else { return Poll::Pending };
        let result = std::task::ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(result)
    }
}

// Cancellation safety: a client that leaves, or a budget that is spent, drops whoever waits. What
// has been polled may have reached the store: left half done it would be for others to find out.
impl<T: Send + 'static> Drop for Carried<T> {
    fn drop(&mut self) {
        if let (Some(work), true, Ok(runtime)) =
            (self.work.take(), self.begun, Handle::try_current())
        {
            drop(runtime.spawn(work));
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Carried<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried").field("done", &self.work.is_none()).finish_non_exhaustive()
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
            drop(work);
            assert_eq!(go_on.send(()).is_ok(), begun);
            assert_eq!(end.await.is_ok(), begun);
        }
        assert_eq!(Carried::new(async { 7 }).await, 7);
    }
}
