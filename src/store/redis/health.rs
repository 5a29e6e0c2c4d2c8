//! Whether a connection is still of use, as far as its users have noticed.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How long a connection may be silent before one that nobody waits for any longer is given up.
const SILENCE: Duration = Duration::from_millis(100);

/// Shared by all clones of a connection.
#[derive(Debug)]
pub(super) struct Health {
    broken: AtomicBool,
    opened: Instant,
    /// Milliseconds after `opened` at which the oldest command was sent that had no answer since;
    /// 0 for none.
    waiting_since: AtomicU64,
}

impl Health {
    pub(super) fn set_broken(&self) {
        self.broken.store(true, Ordering::Release);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// A command is about to be sent.
    pub(super) fn wait(&self) -> Waiting<'_> {
        if self.waiting_since.load(Ordering::Relaxed) == 0 {
            self.waiting_since.store(self.now(), Ordering::Relaxed);
        }
        Waiting { health: self, answered: false }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// Nobody waits any longer. The library notices its own time-out only if somebody does, so
    /// where the caller's is shorter a silent connection would be used for ever.
    fn give_up_if_silent(&self) {
        let since = self.waiting_since.load(Ordering::Relaxed);
        let silent = Duration::from_millis(self.now().saturating_sub(since));
        if since != 0 && silent >= SILENCE {
            self.set_broken();
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        let broken = AtomicBool::new(false);
        Self { broken, opened: Instant::now(), waiting_since: AtomicU64::new(0) }
    }
}

/// A command whose answer is waited for.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    health: &'a Health,
    answered: bool,
}

impl Waiting<'_> {
    pub(super) fn answered(mut self) {
        self.answered = true;
        self.health.waiting_since.store(0, Ordering::Relaxed);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.health.give_up_if_silent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent_for(millis: u64) -> Health {
        let opened = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let waiting_since = AtomicU64::new(10_000 - millis);
        Health { broken: AtomicBool::new(false), opened, waiting_since }
    }

    #[test]
    fn a_silent_connection_is_given_up_by_whoever_stops_waiting_for_it() {
        for (name, millis, broken) in [("just sent", 5, false), ("silent", 150, true)] {
            let health = silent_for(millis);
            drop(health.wait());
            assert_eq!(health.is_broken(), broken, "{name}");
        }
    }

    #[test]
    fn an_answer_ends_the_silence() {
        let health = silent_for(500);
        health.wait().answered();
        drop(health.wait());
        assert!(!health.is_broken());
    }
}
