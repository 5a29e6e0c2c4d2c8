//! Event stream for other tabs: polls the store and sends changes.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    context::SessionContext,
    error::{Error, ErrorKind},
    session_api::{places::HeldPlace, snapshot_json::state_now},
};

/// Reason of the end of a stream over its client's limit.
pub(super) const TOO_MANY: &str = "too_many_streams";
/// Reconnection delay in milliseconds, for a session that may exist.
pub(super) const RETRY_MILLIS: u32 = 5_000;
/// The same for one that has ended, so that an abandoned page costs little.
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
    place: HeldPlace,
}

enum Phase {
    /// In a mutex that is never locked, so that the body is `Sync`.
    Asking(Mutex<Asked>),
    Waiting(Pin<Box<Sleep>>),
    Over,
}

impl Events {
    pub(super) fn new(
        session: SessionContext,
        (interval, ends): (Duration, Instant),
        place: HeldPlace,
        over: CancellationToken,
    ) -> Self {
        let over = Box::pin(over.cancelled_owned());
        let phase = Phase::Asking(Mutex::new(ask(&session)));
        Self { session, interval, ends, phase, over, last: None, place }
    }

    /// The next event or keep-alive; none when the client has to reconnect.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !matches!(self.phase, Phase::Over) && self.over.as_mut().poll(context).is_ready() {
            self.phase = Phase::Over;
            self.place.free();
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

    /// The user is not known before the first reply.
    fn is_within_share(&self, state: &Value) -> bool {
        let user = state.get("user_id").and_then(Value::as_str);
        user.is_none_or(|user| self.place.is_within_share_of(user))
    }

    fn tell(&mut self, answer: Result<Value, Error>) -> Bytes {
        self.phase = Phase::Over;
        let (name, said, retry) = match answer {
            Ok(state) if !self.is_within_share(&state) => {
                ("unavailable", json!({ "reason": TOO_MANY }), RETRY_MILLIS_ENDED)
            }
            Ok(state) => {
                self.phase = Phase::Waiting(Box::pin(tokio::time::sleep(self.interval)));
                if self.last.as_ref() == Some(&state) {
                    return Bytes::from_static(b":\n\n");
                }
                self.last = Some(state.clone());
                ("state", state, RETRY_MILLIS)
            }
            // Nothing more comes under this id; if there is a new one, the client learns it when it
            // reconnects.
            Err(error) => match error.kind() {
                ErrorKind::Moved => ("ended", json!({ "reason": "moved" }), RETRY_MILLIS),
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
            self.place.free();
        }
        told(name, &said, retry)
    }
}

/// One event, and the client's reconnection delay in milliseconds after the stream ends.
pub(super) fn told(name: &str, said: &Value, retry: u32) -> Bytes {
    format!("retry: {retry}\nevent: {name}\ndata: {said}\n\n").into()
}

fn ask(session: &SessionContext) -> Asked {
    let session = session.clone();
    Box::pin(async move { state_now(&session).await })
}
