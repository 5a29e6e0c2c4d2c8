//! Background task: health probes and journal polling.
//!
//! Specified in `docs/protocol.md`, section 3.10.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::task::AbortHandle;

use crate::{
    clock::{compared::Whose, moment::Moment},
    error::Error,
    store::{
        database::Polled,
        durable::{authority::Reason, engine::Engine, journal, trust::Learned},
        redis::client::greet::Greeter as _,
    },
    telemetry::health::Serving,
};

/// Keeps one task running for a store, and ends it with the store.
#[derive(Default)]
pub(super) struct Keeper(Mutex<Option<AbortHandle>>);

impl Keeper {
    /// Starts the task, unless it runs. Without a runtime there is none, and Redis is not trusted.
    pub(super) fn keep(&self, engine: &Arc<Engine>) {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        *task = Some(runtime.spawn(run(Arc::downgrade(engine))).abort_handle());
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(task) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

async fn run(engine: Weak<Engine>) {
    loop {
        let Some(engine) = engine.upgrade() else { return };
        engine.round().await;
        let interval = engine.parameters.poll_interval;
        // One round at a time, with a pause, for any number of notifications.
        tokio::time::sleep(interval / 10).await;
        let pause = tokio::time::sleep(interval - interval / 10);
        tokio::select! {
            () = pause => {}
            // Only makes the next round earlier.
            () = engine.database().news() => {}
            () = engine.authority.awaited.notified() => {}
        }
    }
}

impl Engine {
    /// One round: poll, then replay journal rows of other instances.
    pub(super) async fn round(&self) {
        let start = self.now();
        // Rows that are pushed and not yet cleared must not use up the limit.
        let limit = self.parameters.journal_limit;
        let most = limit.saturating_add(self.database().clears_pending().len());
        let (polled, ()) = tokio::join!(self.poll(most), self.check_links(start));
        let Ok(polled) = polled else { return };
        self.pass("poll-answer").await;
        let unpushed = journal::unpushed(&polled.journal, &self.database().clears_pending());
        let is_whole = polled.journal.len() <= most;
        let overflows = !is_whole || unpushed.len() > limit;
        let learned = {
            let unpushed = is_whole.then_some(unpushed);
            let now = self.now();
            self.authority.trust().learn(&polled.epoch, unpushed, start, now)
        };
        let bumped = match (learned, overflows) {
            (Learned::Restored, _) => self.authority.bump(Reason::Restored).await,
            (Learned::Fine, true) => {
                self.authority.bump(Reason::Overflow(polled.epoch.generation)).await
            }
            (Learned::Fine, false) => Ok(()),
        };
        if let Err(error) = bumped {
            tracing::debug!(%error, "copies in redis not invalidated yet");
        }
        self.sweep(&polled.journal).await;
    }

    pub(super) async fn poll(&self, most: usize) -> Result<Polled, Error> {
        let (limit, asked) = (self.parameters.poll_timeout, self.compared.uptime());
        let polled = self.database().poll(most);
        let polled = tokio::time::timeout(limit, polled).await;
        let polled = polled.unwrap_or_else(|_| Err(Error::unavailable("no reply in time")));
        if let Ok(Polled { now, .. }) = &polled
            && self.database().has_a_clock()
        {
            self.compared.note(Whose::Database, *now, asked);
        }
        let now = self.now();
        let transition = match &polled {
            Ok(_) => self.stores.database().succeed_probe(now),
            // A slow database still replies to requests.
            Err(error) => self.stores.database().fail(error.clone(), now),
        };
        self.stores.announce(Serving::Database, transition, polled.as_ref().err());
        polled
    }

    /// Checks the identity of the server behind every connection, and opens a connection if there
    /// is none, so that requests need not find out.
    async fn check_links(&self, start: Moment) {
        let checked = tokio::time::timeout(self.parameters.poll_timeout, self.check_each(start));
        let checked = checked.await.unwrap_or_else(|_| {
            for link in self.cache.links().iter().filter(|link| link.peer().checked_at() < start) {
                link.close();
            }
            Err(Error::unavailable("no reply from redis in time"))
        });
        let now = self.now();
        let transition = match &checked {
            Ok(()) => self.stores.redis().succeed_probe(now),
            Err(error) => self.stores.redis().fail_probe(error.clone(), now),
        };
        self.redis_turned(transition, checked.as_ref().err());
    }

    async fn check_each(&self, start: Moment) -> Result<(), Error> {
        let (links, strange): (Vec<_>, Vec<_>) = self
            .cache
            .links()
            .into_iter()
            .partition(|link| self.authority.vouches(link.peer().incarnation()));
        for link in strange {
            link.close();
        }
        let mut checks = tokio::task::JoinSet::new();
        for mut link in links {
            let _ = checks.spawn(async move { link.check(start).await });
        }
        let mut answered = false;
        while let Some(checked) = checks.join_next().await {
            match checked {
                Ok(Ok(())) => answered = true,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "redis connection closed: another server, or no reply")
                }
                Err(_) => {}
            }
        }
        let serves = self.stores.redis().is_closed();
        if answered && serves {
            return Ok(());
        }
        // Its identity was checked when it was opened, or just now.
        let mut link = self.cache.link().await?;
        // Probed as requests are sent, and with their timeout: a server that is loading, or has
        // lost its rights, still responds to `INFO`, and one too slow for requests would become
        // unavailable again at once.
        if serves { Ok(()) } else { self.within_redis(link.probe()).await }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keeper").finish_non_exhaustive()
    }
}
