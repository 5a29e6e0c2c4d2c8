//! Connection attempts: their number, and the pause after a failed one.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::store::database::postgres::failure::Failure;

/// An older attempt hangs in a runtime that is not driven.
const AGE_MAX: Duration = Duration::from_secs(15);
/// Pause of all callers after a failed attempt: the first value, growing up to the second.
const PAUSE: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(500)];

#[derive(Default)]
pub(super) struct Attempts {
    /// Attempts in progress, with their start.
    under_way: BTreeMap<u64, Instant>,
    next_ticket: u64,
    refused: Option<Refused>,
}

/// A failed attempt.
struct Refused {
    failure: Failure,
    at: Instant,
    until: Instant,
    pause: Duration,
}

impl Attempts {
    /// Starts an attempt, up to `wanted` in progress; after a failed one there is one for all.
    pub(super) fn begin(&mut self, wanted: usize, now: Instant) -> Option<u64> {
        let wanted = if self.refused.is_some() { wanted.min(1) } else { wanted };
        let counts = |since: &&Instant| now.saturating_duration_since(**since) < AGE_MAX;
        if self.under_way.values().filter(counts).count() >= wanted {
            return None;
        }
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        let _ = self.under_way.insert(ticket, now);
        Some(ticket)
    }

    pub(super) fn end(&mut self, ticket: u64) {
        let _ = self.under_way.remove(&ticket);
    }

    pub(super) fn succeed(&mut self) {
        self.refused = None;
    }

    pub(super) fn fail(&mut self, failure: Failure, now: Instant) {
        let [least, most] = PAUSE;
        // Concurrent attempts count once.
        if self.refused.as_ref().is_none_or(|last| last.until <= now) {
            let pause = self.refused.as_ref().map_or(least, |last| (last.pause * 2).min(most));
            self.refused = Some(Refused { failure, at: now, until: now + pause, pause });
        }
    }

    /// Rest of the pause after a failed attempt.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let until = self.refused.as_ref()?.until;
        (now < until).then(|| until - now)
    }

    /// Cause of the last failure, if it is later than that.
    pub(super) fn failed_since(&self, since: Instant) -> Option<&Failure> {
        self.refused.as_ref().filter(|refused| refused.at >= since).map(|refused| &refused.failure)
    }

    /// Cause of the last failure, if no attempt has succeeded since.
    pub(super) fn cause(&self) -> Option<&Failure> {
        self.refused.as_ref().map(|refused| &refused.failure)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Error, store::database::postgres::attempts::*};

    fn failure() -> Failure {
        Failure::refused(Error::unavailable("down"))
    }

    #[test]
    fn there_is_one_for_each_who_wants_a_connection_and_none_counts_for_ever() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        assert!(attempts.begin(0, now).is_none());
        let first = attempts.begin(1, now).unwrap();
        assert!(attempts.begin(1, now).is_none());
        assert!(attempts.begin(2, now).is_some());
        attempts.end(first);
        assert!(attempts.begin(1, now).is_none());
        assert!(attempts.begin(1, now + AGE_MAX).is_some(), "its runtime is driven by nobody");
    }

    #[test]
    fn the_pause_after_failures_grows_to_half_a_second_and_ends_with_a_success() {
        let (mut attempts, mut now) = (Attempts::default(), Instant::now());
        for millis in [20, 40, 80, 160, 320, 500, 500] {
            assert!(attempts.pause(now).is_none());
            attempts.fail(failure(), now);
            attempts.fail(failure(), now);
            assert_eq!(attempts.pause(now).unwrap(), Duration::from_millis(millis));
            now += Duration::from_millis(millis);
        }
        attempts.fail(failure(), now);
        assert!(attempts.begin(7, now).is_some() && attempts.begin(7, now).is_none());
        attempts.succeed();
        assert!(attempts.pause(now).is_none() && attempts.cause().is_none());
    }
}
