//! Several futures side by side, in one task.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

enum One<F: Future> {
    Waits(Pin<Box<F>>),
    Done(F::Output),
}

/// The outputs of all of them, in their sequence. For few: each wakes all.
pub(in crate::store::redis) async fn all<F: Future>(
    futures: impl Iterator<Item = F>,
) -> Vec<F::Output> {
    let mut all: Vec<_> = futures.map(|future| One::Waits(Box::pin(future))).collect();
    poll_fn(|context| {
        let mut waits = false;
        for one in &mut all {
            if let One::Waits(future) = one {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *one = One::Done(output),
                    Poll::Pending => waits = true,
                }
            }
        }
        if waits { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let done = all.into_iter().filter_map(|one| match one {
        One::Done(output) => Some(output),
        One::Waits(_) => None,
    });
    done.collect()
}
