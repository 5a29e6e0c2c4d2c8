//! Circuit breaker: stops calls to a failing service, and decides when to retry. Pure, over a given
//! now.
//!
//! Closed, every caller passes. A number of consecutive failures opens it; its [`Policy`] decides
//! which callers pass then, and what closes it again:
//!
//! | service, user | failures in a row | retried | closed by |
//! |---|---|---|---|
//! | both stores, `store/durable` | 3, or 1 probe of Redis | by a probe a poll | the probe |
//! | a store alone, `store/availability` | 3, or 1 check | by all callers, 5 s after the last | any reply |
//! | Redis, `directory/cached` | 3 | by one caller a second | any reply |
//!
//! Each number is a constant where it is used. The second only reports: whether requests arrive is
//! up to the load balancer.

#![cfg_attr(
    not(all(feature = "redis", feature = "_database")),
    allow(dead_code, reason = "no one store uses all of it")
)]

use std::time::{Duration, Instant};

#[cfg(feature = "redis")]
use crate::clock::moment::Moment;

/// When a breaker opens, and who may call while it is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Consecutive failures that open it.
    pub(crate) threshold: u32,
    pub(crate) retry: Retry,
}

/// Who calls an unavailable service, to find out that it has recovered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Retry {
    /// No caller: only a probe, with [`CircuitBreaker::close`]. Late replies to callers do not
    /// close it.
    Probe,
    /// Every caller, that long after the last failure.
    After(Duration),
    /// One caller in that time.
    OneEvery(Duration),
}

/// Availability of a service, as its callers have noticed.
#[derive(Clone, Debug)]
pub(crate) struct CircuitBreaker<T> {
    policy: Policy,
    failures: u32,
    open: Option<Open<T>>,
}

#[derive(Clone, Debug)]
struct Open<T> {
    since: T,
    /// Time of the last failure, or of the last retry if later.
    last: T,
}

impl<T: Monotonic> CircuitBreaker<T> {
    pub(crate) const fn new(policy: Policy) -> Self {
        Self { policy, failures: 0, open: None }
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.open.is_none()
    }

    /// How long it has been open at `now`.
    pub(crate) fn open_for(&self, now: T) -> Option<Duration> {
        self.open.as_ref().map(|open| now.since(open.since))
    }

    /// Whether a caller may call at `now`.
    pub(crate) fn allows(&self, now: T) -> bool {
        match (&self.open, self.policy.retry) {
            (None, _) => true,
            (Some(_), Retry::Probe) => false,
            (Some(open), Retry::After(pause) | Retry::OneEvery(pause)) => {
                now.since(open.last) >= pause
            }
        }
    }

    /// The same for a caller that then calls: with [`Retry::OneEvery`] the next one has to wait.
    pub(crate) fn admit(&mut self, now: T) -> bool {
        let allowed = self.allows(now);
        if let (true, Retry::OneEvery(_), Some(open)) = (allowed, self.policy.retry, &mut self.open)
        {
            open.last = now;
        }
        allowed
    }

    /// A call failed; returns whether that opened it.
    pub(crate) fn fail(&mut self, now: T) -> bool {
        self.failures = self.failures.saturating_add(1);
        match &mut self.open {
            Some(open) => {
                open.last = now;
                false
            }
            None if self.failures < self.policy.threshold => false,
            None => {
                self.open = Some(Open { since: now, last: now });
                true
            }
        }
    }

    /// The same, where one failure is enough.
    pub(crate) fn trip(&mut self, now: T) -> bool {
        self.failures = self.policy.threshold;
        self.fail(now)
    }

    /// A call succeeded; returns whether that closed it.
    pub(crate) fn succeed(&mut self) -> bool {
        self.failures = 0;
        match self.policy.retry {
            Retry::Probe => false,
            Retry::After(_) | Retry::OneEvery(_) => self.open.take().is_some(),
        }
    }

    /// A probe succeeded: closes it whatever the policy; returns how long it was open.
    pub(crate) fn close(&mut self, now: T) -> Option<Duration> {
        self.failures = 0;
        self.open.take().map(|open| now.since(open.since))
    }
}

/// A point in time of a clock that never goes back.
pub(crate) trait Monotonic: Copy {
    /// How long after `earlier` this is; zero if it is not after it.
    fn since(self, earlier: Self) -> Duration;
}

impl Monotonic for Instant {
    fn since(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

#[cfg(feature = "redis")]
impl Monotonic for Moment {
    fn since(self, earlier: Self) -> Duration {
        earlier.age(self)
    }
}

#[cfg(test)]
mod tests {
    use crate::sync::circuit_breaker::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Milliseconds since some start.
    impl Monotonic for u64 {
        fn since(self, earlier: Self) -> Duration {
            Duration::from_millis(self.saturating_sub(earlier))
        }
    }

    fn breaker(threshold: u32, retry: Retry) -> CircuitBreaker<u64> {
        CircuitBreaker::new(Policy { threshold, retry })
    }

    #[test]
    fn only_failures_in_a_row_open_it_and_one_of_them_says_so() {
        for (threshold, retry) in
            [(1, Retry::After(SECOND)), (3, Retry::Probe), (3, Retry::OneEvery(SECOND))]
        {
            let mut breaker = breaker(threshold, retry);
            for now in 1..u64::from(threshold) {
                assert!(!breaker.fail(now), "{retry:?}");
            }
            assert!(!breaker.succeed(), "{retry:?}: was never open");
            for now in 1..u64::from(threshold) {
                assert!(!breaker.fail(now) && breaker.is_closed(), "{retry:?}");
                assert!(breaker.allows(now) && breaker.admit(now), "{retry:?}");
            }
            assert!(breaker.fail(20) && !breaker.is_closed(), "{retry:?}");
            assert!(!breaker.allows(20) && !breaker.admit(20), "{retry:?}");
            assert!(!breaker.fail(21) && !breaker.trip(22), "{retry:?}: open already");
            assert_eq!(breaker.close(120), Some(Duration::from_millis(100)), "{retry:?}");
            assert!(breaker.is_closed() && breaker.allows(120), "{retry:?}");
            assert_eq!(breaker.close(121), None, "{retry:?}");
            for now in 1..u64::from(threshold) {
                assert!(!breaker.fail(now), "{retry:?}: counts from the start again");
            }
        }
    }

    #[test]
    fn where_a_probe_closes_it_callers_neither_ask_nor_close_it() {
        let mut breaker = breaker(3, Retry::Probe);
        assert!(breaker.trip(0), "one probe is enough");
        assert!(!breaker.allows(u64::MAX) && !breaker.admit(u64::MAX));
        assert!(!breaker.succeed() && !breaker.is_closed());
        assert_eq!(breaker.close(5), Some(Duration::from_millis(5)));
    }

    #[test]
    fn everybody_tries_again_after_a_while_and_one_more_failure_is_enough_then() {
        let mut breaker = breaker(2, Retry::After(SECOND));
        assert!(!breaker.fail(0) && breaker.fail(100));
        assert!(!breaker.admit(1_099));
        assert!(breaker.admit(1_100) && breaker.admit(1_100), "each of them");
        assert!(!breaker.fail(1_100) && !breaker.allows(2_099) && breaker.allows(2_100));
        assert!(breaker.succeed() && breaker.allows(2_100));
    }

    #[test]
    fn one_a_pause_tries_again() {
        let mut breaker = breaker(3, Retry::OneEvery(SECOND));
        assert!(!breaker.fail(3) && !breaker.fail(4) && breaker.fail(5));
        assert!(!breaker.admit(5) && !breaker.admit(1_004));
        assert!(breaker.allows(1_005) && breaker.admit(1_005), "one tries");
        assert!(!breaker.allows(1_006) && !breaker.admit(1_006), "and nobody beside it");
        assert!(!breaker.fail(1_100), "was open before");
        assert!(!breaker.admit(2_099) && breaker.admit(2_100));
        assert!(breaker.succeed());
        assert!(breaker.admit(2_101) && breaker.admit(2_101));
    }
}
