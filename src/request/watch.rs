//! Watches for the end of sessions: one task polls the store for all of them.

use std::{mem, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::{
    clock::timestamp::Timestamp,
    error::Causes,
    request::{
        shared::Backend,
        watched::{EndReason, Watches},
    },
    session::token::SessionId,
    telemetry::{event::Event, events::EventStream},
};

/// Number of sessions per poll of the store.
const BATCH: usize = 128;
/// Longest time from one poll of all to the next after events were missed.
const MISSED: Duration = Duration::from_secs(1);
/// A watch on one session, until dropped.
pub(crate) struct Watch {
    backend: Arc<Backend>,
    id: SessionId,
    told: watch::Receiver<Option<EndReason>>,
}

impl Backend {
    /// Watches the session under `id`, with the expiry `ends` as far as is known.
    pub(crate) fn watch(
        self: &Arc<Self>,
        id: SessionId,
        user: Option<&str>,
        ends: Timestamp,
    ) -> Watch {
        let told = self.watches.enter(id, user, ends);
        Watch { backend: Arc::clone(self), id, told }
    }

    /// Ensures that a task polls for watched sessions, on the runtime of the caller.
    fn poll_watches(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !mem::replace(&mut self.watches.lock().polled, true) {
            let turn = PollTurn { backend: Arc::clone(self), over: false };
            let events = self.events.listen();
            drop(runtime.spawn(async move { turn.poll(events).await }));
        }
    }
}

impl Watch {
    /// Returns the reason once the session has ended.
    ///
    /// Cancellation safety: a dropped wait loses nothing.
    pub(crate) async fn ended(&self) -> EndReason {
        let mut told = self.told.clone();
        let watches = &self.backend.watches;
        loop {
            if let Some(reason) = *told.borrow_and_update() {
                return reason;
            }
            self.backend.poll_watches();
            // The polling task may have ended with its runtime: another caller takes over.
            let patience = self.backend.rules.watch_interval.saturating_mul(2);
            tokio::select! {
                biased;
                () = watches.shutdown.cancelled() => return EndReason::Shutdown,
                _ = told.changed() => {}
                () = tokio::time::sleep(patience) => {}
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.backend.watches.leave(self.id);
    }
}

/// The polling task. Its turn ends with it, however it ends.
struct PollTurn {
    backend: Arc<Backend>,
    /// No session is watched any more; the next watch starts another task.
    over: bool,
}

impl Drop for PollTurn {
    fn drop(&mut self) {
        if !self.over {
            self.backend.watches.lock().polled = false;
        }
    }
}

impl PollTurn {
    async fn poll(mut self, mut events: EventStream) {
        let backend = Arc::clone(&self.backend);
        let (watches, interval) = (&backend.watches, backend.rules.watch_interval);
        // What ended between the load and the first wait was reported to no listener.
        self.ask(&watches.ids()).await;
        let mut last = Instant::now();
        let mut next = last + interval;
        loop {
            let hinted = tokio::select! {
                biased;
                () = watches.shutdown.cancelled() => return,
                () = watches.idle.notified() => Some(Vec::new()),
                () = tokio::time::sleep_until(next) => None,
                () = watches.hint.notified() => Some(watches.take_hinted()),
                event = events.next() => match event {
                    // Any session may have ended; a flood of events must not become one of polls.
                    Some(Event::Missed { .. }) => {
                        next = next.min(last + interval.min(MISSED));
                        Some(Vec::new())
                    }
                    Some(event) => Some(ended_by(&event, watches)),
                    None => return,
                },
            };
            self.over = watches.is_over();
            if self.over {
                return;
            }
            if let Some(hinted) = hinted {
                self.ask(&hinted).await;
            } else {
                self.ask(&watches.ids()).await;
                last = Instant::now();
                next = last + interval;
            }
        }
    }

    async fn ask(&self, ids: &[SessionId]) {
        for batch in ids.chunks(BATCH) {
            let backend = &self.backend;
            let load = backend.store.load_many(batch);
            let loaded = backend.within(backend.rules.budget, load).await;
            let now = backend.clock.now();
            match loaded {
                Ok(loaded) => {
                    for (id, loaded) in batch.iter().zip(&loaded) {
                        backend.watches.take(id, loaded, now);
                    }
                }
                Err(error) => {
                    tracing::debug!(error = %Causes(&error), "watched sessions not polled");
                    let loaded = Err(error);
                    batch.iter().for_each(|id| backend.watches.take(id, &loaded, now));
                }
            }
        }
    }
}

/// The watched sessions that an event may have ended.
fn ended_by(event: &Event, watches: &Watches) -> Vec<SessionId> {
    match event {
        Event::Destroyed { id, .. }
        | Event::Revoked { id, .. }
        | Event::Expired { id, .. }
        | Event::EndedDuringRequest { id, .. }
        | Event::Renewed { old: id, .. } => {
            Some(*id).filter(|id| watches.is_watched(id)).into_iter().collect()
        }
        Event::RevokedAll { user, .. } => watches.of_user(user),
        _ => Vec::new(),
    }
}
