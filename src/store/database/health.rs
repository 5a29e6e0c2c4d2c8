//! Health of the database, as last seen by requests.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    error::{Causes, Error, ErrorKind},
    sync::circuit_breaker::{CircuitBreaker, Policy, Retry},
};

/// There are no probes, and a failed readiness check would stop requests, which alone can find out
/// that the database has recovered.
const POLICY: Policy = Policy { threshold: 3, retry: Retry::After(Duration::from_secs(5)) };

#[derive(Debug, Default)]
pub(super) struct RequestOutcomes(Mutex<State>);

#[derive(Debug)]
struct State {
    breaker: CircuitBreaker<Instant>,
    last_cause: Option<Error>,
}

impl RequestOutcomes {
    /// A request succeeded or failed.
    pub(super) fn said(&self, error: Option<&Error>, now: Instant) {
        let away = |error: &&Error| {
            matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Misconfigured)
        };
        let mut state = self.state();
        match error.filter(away) {
            None => {
                let _ = state.breaker.succeed();
            }
            Some(error) => {
                let _ = state.breaker.fail(now);
                state.last_cause = Some(error.clone());
            }
        }
    }

    /// A start-up check passed, or failed: one failure is enough.
    pub(super) fn checked(&self, error: Option<&Error>, now: Instant) {
        let mut state = self.state();
        match error {
            None => {
                let _ = state.breaker.succeed();
            }
            Some(error) => {
                let _ = state.breaker.trip(now);
                state.last_cause = Some(error.clone());
            }
        }
    }

    pub(super) fn answers(&self, now: Instant) -> bool {
        self.state().breaker.allows(now)
    }

    pub(super) fn last_cause(&self) -> Option<String> {
        self.state().last_cause.as_ref().map(|cause| Causes(cause).to_string())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for State {
    fn default() -> Self {
        Self { breaker: CircuitBreaker::new(POLICY), last_cause: None }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::database::health::*;

    #[test]
    fn a_few_failures_in_a_row_and_no_bad_record_mean_that_it_does_not_answer() {
        let (health, now) = (RequestOutcomes::default(), Instant::now());
        let (down, corrupt) =
            (Error::unavailable("down"), Error::new(ErrorKind::Corrupt, "not a record"));
        for error in [&down, &down, &corrupt, &down, &down] {
            health.said(Some(error), now);
            assert!(health.answers(now));
        }
        health.said(Some(&down), now);
        assert!(!health.answers(now) && health.last_cause().is_some());
        health.said(None, now);
        assert!(health.answers(now));
    }

    #[test]
    fn where_nobody_asks_it_is_not_held_against_it_for_ever() {
        let (health, now) = (RequestOutcomes::default(), Instant::now());
        for _ in 0..3 {
            health.said(Some(&Error::unavailable("down")), now);
        }
        assert!(!health.answers(now + Duration::from_secs(4)));
        let later = now + Duration::from_secs(5);
        assert!(health.answers(later));
        health.said(Some(&Error::unavailable("down")), later);
        assert!(!health.answers(later), "one more failure is enough then");
    }
}
