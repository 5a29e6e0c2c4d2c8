//! The stream that tells other tabs: asks the store now and then, and says what is new.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep},
};

use super::answers::state_now;
use crate::{
    context::SessionContext,
    error::{Error, ErrorKind},
};

type Asked = Pin<Box<dyn Future<Output = Result<Value, Error>> + Send>>;

/// One client's stream.
pub(super) struct Events {
    session: SessionContext,
    interval: Duration,
    ends: Instant,
    now: Turn,
    last: Option<Value>,
    _place: OwnedSemaphorePermit,
}

enum Turn {
    Asking(Asked),
    Waiting(Pin<Box<Sleep>>),
    Over,
}

impl Events {
    pub(super) fn new(
        session: SessionContext,
        interval: Duration,
        life: Duration,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let now = Turn::Asking(ask(&session));
        let ends = Instant::now() + life;
        Self { session, interval, ends, now, last: None, _place: place }
    }

    /// The next event, or a sign of life; none when the client has to come back.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &mut self.now {
                Turn::Over => return Poll::Ready(None),
                Turn::Waiting(sleep) => {
                    ready!(sleep.as_mut().poll(context));
                    self.now = match Instant::now() < self.ends {
                        true => Turn::Asking(ask(&self.session)),
                        false => Turn::Over,
                    };
                }
                Turn::Asking(asked) => {
                    let answer = ready!(asked.as_mut().poll(context));
                    return Poll::Ready(Some(self.tell(answer)));
                }
            }
        }
    }

    fn tell(&mut self, answer: Result<Value, Error>) -> Bytes {
        self.now = Turn::Over;
        let (name, said) = match answer {
            Ok(state) => {
                self.now = Turn::Waiting(Box::pin(tokio::time::sleep(self.interval)));
                if self.last.as_ref() == Some(&state) {
                    return Bytes::from_static(b":\n\n");
                }
                self.last = Some(state.clone());
                ("state", state)
            }
            // Nothing more comes under this id; whether there is another one the client will see.
            Err(error) => match error.kind() {
                ErrorKind::Absent => ("ended", json!({ "reason": "absent" })),
                ErrorKind::Expired => ("ended", json!({ "reason": "expired" })),
                _ => ("unavailable", json!({})),
            },
        };
        format!("retry: 2000\nevent: {name}\ndata: {said}\n\n").into()
    }
}

fn ask(session: &SessionContext) -> Asked {
    let session = session.clone();
    Box::pin(async move { state_now(&session).await })
}
