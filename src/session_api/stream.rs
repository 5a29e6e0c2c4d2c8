//! The stream that tells other tabs: asks the store now and then, and says what is new.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{
    sync::OwnedSemaphorePermit,
    task::AbortHandle,
    time::{Instant, Sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    context::SessionContext,
    error::{Error, ErrorKind},
    session_api::snapshot_json::state_now,
};

/// Milliseconds until a client comes back to a session that may be there.
pub(super) const RETRY_MILLIS: u32 = 5_000;
/// The same for one that has ended: a page that somebody left open asks for little then.
pub(super) const RETRY_MILLIS_ENDED: u32 = 60_000;

type Asked = Pin<Box<dyn Future<Output = Result<Value, Error>> + Send>>;

/// One client's stream.
pub(super) struct Events {
    session: SessionContext,
    interval: Duration,
    ends: Instant,
    phase: Phase,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
    last: Option<Value>,
    permit: HeldPermit,
}

/// One of the permits of the streams of this process: free again when the stream ends, and when its
/// life is over though nobody polls it any more.
struct HeldPermit(AbortHandle);

impl HeldPermit {
    fn until(ends: Instant, permit: OwnedSemaphorePermit) -> Self {
        let held = tokio::spawn(async move {
            tokio::time::sleep_until(ends).await;
            drop(permit);
        });
        Self(held.abort_handle())
    }
}

impl Drop for HeldPermit {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum Phase {
    /// In a mutex that nobody ever locks, so that the body is `Sync`.
    Asking(Mutex<Asked>),
    Waiting(Pin<Box<Sleep>>),
    Over,
}

impl Events {
    pub(super) fn new(
        session: SessionContext,
        (interval, life): (Duration, Duration),
        permit: OwnedSemaphorePermit,
        over: CancellationToken,
    ) -> Self {
        let over = Box::pin(over.cancelled_owned());
        let phase = Phase::Asking(Mutex::new(ask(&session)));
        let ends = Instant::now() + life;
        let permit = HeldPermit::until(ends, permit);
        Self { session, interval, ends, phase, over, last: None, permit }
    }

    /// The next event, or a sign of life; none when the client has to come back.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !matches!(self.phase, Phase::Over) && self.over.as_mut().poll(context).is_ready() {
            self.phase = Phase::Over;
            self.permit.0.abort();
        }
        loop {
            match &mut self.phase {
                Phase::Over => return Poll::Ready(None),
                Phase::Waiting(sleep) => {
                    ready!(sleep.as_mut().poll(context));
                    self.phase = match Instant::now() < self.ends {
                        true => Phase::Asking(Mutex::new(ask(&self.session))),
                        false => Phase::Over,
                    };
                }
                Phase::Asking(asked) => {
                    let asked = asked.get_mut().unwrap_or_else(PoisonError::into_inner);
                    let answer = ready!(asked.as_mut().poll(context));
                    return Poll::Ready(Some(self.tell(answer)));
                }
            }
        }
    }

    fn tell(&mut self, answer: Result<Value, Error>) -> Bytes {
        self.phase = Phase::Over;
        let (name, said, retry) = match answer {
            Ok(state) => {
                self.phase = Phase::Waiting(Box::pin(tokio::time::sleep(self.interval)));
                if self.last.as_ref() == Some(&state) {
                    return Bytes::from_static(b":\n\n");
                }
                self.last = Some(state.clone());
                ("state", state, RETRY_MILLIS)
            }
            // Nothing more comes under this id; whether there is another one the client will see.
            Err(error) => match error.kind() {
                ErrorKind::Absent => ("ended", json!({ "reason": "absent" }), RETRY_MILLIS_ENDED),
                ErrorKind::Expired => ("ended", json!({ "reason": "expired" }), RETRY_MILLIS_ENDED),
                ErrorKind::Ambiguous => {
                    ("ended", json!({ "reason": "ambiguous" }), RETRY_MILLIS_ENDED)
                }
                ErrorKind::Corrupt => {
                    ("ended", json!({ "reason": "unreadable" }), RETRY_MILLIS_ENDED)
                }
                _ => ("unavailable", json!({}), RETRY_MILLIS),
            },
        };
        if matches!(self.phase, Phase::Over) {
            self.permit.0.abort();
        }
        told(name, &said, retry)
    }
}

/// One event, and in how many milliseconds the client is to come back when the stream has ended.
pub(super) fn told(name: &str, said: &Value, retry: u32) -> Bytes {
    format!("retry: {retry}\nevent: {name}\ndata: {said}\n\n").into()
}

fn ask(session: &SessionContext) -> Asked {
    let session = session.clone();
    Box::pin(async move { state_now(&session).await })
}
