//! Health of a connection, as last seen by its users.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::store::redis::client::{
    queue::{End, Queue},
    replicas::Replicas,
};

/// Time without a reply after which a connection without waiting callers is closed, and after which
/// a command over it is doubted.
const SILENCE_MAX: Duration = Duration::from_millis(100);

/// Shared by all clones of a connection.
#[derive(Debug)]
pub(in crate::store::redis) struct ConnectionHealth {
    broken: AtomicBool,
    /// Incremented when a connection is lost: the cause has most likely broken the others too, and
    /// only use would find out. Shared by all connections of a store.
    generation: Arc<AtomicU64>,
    /// The generation in which this connection was opened.
    own: u64,
    opened: Instant,
    /// Milliseconds after `opened` at which a caller stopped waiting, if there was no reply since;
    /// 0 for none.
    abandoned: AtomicU64,
    /// Milliseconds after `opened` of the last reply.
    heard: AtomicU64,
    /// Commands that wait for a reply.
    in_flight: AtomicUsize,
    /// Of the server, if they confirm ends of sessions.
    replicas: OnceLock<Arc<Replicas>>,
    /// Ends that wait for those in flight to be confirmed.
    ends: Arc<Queue<End>>,
}

impl ConnectionHealth {
    pub(in crate::store::redis) fn set_broken(&self) {
        self.broken.store(true, Ordering::Release);
    }

    pub(in crate::store::redis) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire) || self.generation.load(Ordering::Acquire) != self.own
    }

    /// Takes all open connections out of use.
    pub(in crate::store::redis) fn set_all_broken(&self) {
        // Once per generation: connections opened since are not affected.
        let next = self.own.wrapping_add(1);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let _ = self.generation.compare_exchange(self.own, next, order.0, order.1);
    }

    /// Whether there was no reply for a while, so that the connection may be dead.
    pub(in crate::store::redis) fn is_silent(&self) -> bool {
        let silent =
            millis(self.opened.elapsed()).saturating_sub(self.heard.load(Ordering::Relaxed));
        u128::from(silent) >= SILENCE_MAX.as_millis()
    }

    /// Commands that wait for a reply.
    pub(in crate::store::redis) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The replicas of the server that confirm ends of sessions.
    pub(in crate::store::redis) fn replicas(&self) -> Option<&Arc<Replicas>> {
        self.replicas.get()
    }

    pub(in crate::store::redis) fn has_replicas(&self, replicas: Arc<Replicas>) {
        let _ = self.replicas.set(replicas);
    }

    pub(in crate::store::redis) fn ends(&self) -> &Arc<Queue<End>> {
        &self.ends
    }

    /// A command is about to be sent.
    pub(in crate::store::redis) fn wait(&self) -> Waiting<'_> {
        let _ = self.in_flight.fetch_add(1, Ordering::Relaxed);
        Waiting { health: self, answered: false }
    }

    /// A caller stopped waiting. The library notices its own timeout only while a caller waits, so
    /// with a shorter one of the caller a silent connection would be used without end.
    fn abandon(&self, now: Duration) {
        let now = millis(now).max(1);
        match self.abandoned.load(Ordering::Relaxed) {
            0 => self.abandoned.store(now, Ordering::Relaxed),
            since if u128::from(now.saturating_sub(since)) >= SILENCE_MAX.as_millis() => {
                self.set_broken();
            }
            _ => {}
        }
    }
}

impl ConnectionHealth {
    /// A connection of the generation that is current before it is opened.
    pub(in crate::store::redis) fn new(generation: &Arc<AtomicU64>) -> Self {
        Self {
            broken: AtomicBool::new(false),
            generation: Arc::clone(generation),
            own: generation.load(Ordering::Acquire),
            opened: Instant::now(),
            abandoned: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            replicas: OnceLock::new(),
            ends: Arc::default(),
        }
    }
}

/// A command that waits for a reply.
#[derive(Debug)]
pub(in crate::store::redis) struct Waiting<'a> {
    health: &'a ConnectionHealth,
    answered: bool,
}

impl Waiting<'_> {
    pub(in crate::store::redis) fn answered(mut self) {
        self.answered = true;
        self.health.heard.store(millis(self.health.opened.elapsed()), Ordering::Relaxed);
        if self.health.abandoned.load(Ordering::Relaxed) != 0 {
            self.health.abandoned.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let _ = self.health.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.answered {
            self.health.abandon(self.health.opened.elapsed());
        }
    }
}

/// Marks a connection as broken when its I/O task has ended: the server has closed it, or its
/// runtime has ended. No command has to find that out.
pub(super) struct Ended(pub(super) Arc<ConnectionHealth>);

impl Ended {
    pub(super) async fn after(self, driver: impl Future<Output = ()>) {
        driver.await;
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.set_broken();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::health::*;

    const SOON: Duration = Duration::from_millis(1_050);
    const LATE: Duration = Duration::from_millis(1_100);

    fn abandoned_at_one_second() -> ConnectionHealth {
        let health = ConnectionHealth::new(&Arc::default());
        health.abandon(Duration::from_secs(1));
        assert!(!health.is_broken(), "one who leaves proves nothing");
        health
    }

    #[test]
    fn a_silent_connection_is_given_up_by_the_next_who_stops_waiting() {
        for (name, when, broken) in [("at once", SOON, false), ("silent", LATE, true)] {
            let health = abandoned_at_one_second();
            health.abandon(when);
            assert_eq!(health.is_broken(), broken, "{name}");
        }
    }

    #[test]
    fn a_lost_connection_takes_the_others_of_its_generation_along_and_no_later_one() {
        let generation = Arc::default();
        let (one, two) = (ConnectionHealth::new(&generation), ConnectionHealth::new(&generation));
        one.set_all_broken();
        assert!(one.is_broken() && two.is_broken());
        let later = ConnectionHealth::new(&generation);
        two.set_all_broken();
        assert!(!later.is_broken());
    }

    #[test]
    fn an_answer_ends_the_silence() {
        let health = abandoned_at_one_second();
        health.wait().answered();
        health.abandon(LATE);
        assert!(!health.is_broken());
    }
}
