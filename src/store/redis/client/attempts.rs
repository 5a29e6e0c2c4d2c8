//! Outcomes of attempts to connect, for waiting callers and for health.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::{
    error::{Causes, Error},
    sync::circuit_breaker::{CircuitBreaker, Policy, Retry},
};

/// Number of attempts, number of failed ones, and the cause of the last failure.
#[derive(Debug, Default)]
pub(in crate::store::redis) struct Attempts(watch::Sender<Ended>);

#[derive(Clone, Debug)]
pub(in crate::store::redis) struct Ended {
    pub(in crate::store::redis) failures: u64,
    pub(in crate::store::redis) last_cause: Option<Error>,
    breaker: CircuitBreaker<Instant>,
}

/// A failed readiness probe stops requests, which alone can find out that the server has recovered.
const POLICY: Policy = Policy { threshold: 1, retry: Retry::After(Duration::from_secs(5)) };

impl Attempts {
    /// The state from now on.
    pub(in crate::store::redis) fn watch(&self) -> watch::Receiver<Ended> {
        self.0.subscribe()
    }

    /// Attempts in progress are obsolete: waiting callers have to start another one.
    pub(in crate::store::redis) fn ended(&self) {
        self.0.send_modify(|_| {});
    }

    pub(in crate::store::redis) fn failed(&self, cause: Error) {
        self.0.send_modify(|ended| {
            ended.failures += 1;
            let _ = ended.breaker.fail(Instant::now());
            ended.last_cause = Some(cause);
        });
    }

    /// An attempt of a check failed: for health, and no reason for a waiting caller to give up.
    pub(in crate::store::redis) fn failed_aside(&self, cause: Error) {
        let _ = self.0.send_if_modified(|ended| {
            let _ = ended.breaker.fail(Instant::now());
            ended.last_cause = Some(cause);
            false
        });
    }

    /// The last failure, if it is still recent enough to count.
    pub(in crate::store::redis) fn last(&self, now: Instant) -> (bool, Option<String>) {
        let ended = self.0.borrow();
        (
            !ended.breaker.allows(now),
            ended.last_cause.as_ref().map(|cause| Causes(cause).to_string()),
        )
    }
}

impl Default for Ended {
    fn default() -> Self {
        Self { failures: 0, last_cause: None, breaker: CircuitBreaker::new(POLICY) }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::attempts::*;

    #[test]
    fn a_failure_is_held_against_a_server_for_a_while_only() {
        let attempts = Attempts::default();
        let now = Instant::now();
        assert_eq!(attempts.last(now), (false, None));
        attempts.failed(Error::unavailable("refused"));
        let cause = Some("the session store is unavailable: refused".to_owned());
        assert_eq!(attempts.last(now), (true, cause.clone()));
        assert_eq!(
            attempts.last(now + Duration::from_secs(10)),
            (false, cause),
            "somebody has to try"
        );
    }

    #[test]
    fn the_failure_of_a_check_wakes_no_waiting_caller() {
        let attempts = Attempts::default();
        let mut waiting = attempts.watch();
        let seen = waiting.borrow_and_update().failures;
        attempts.failed_aside(Error::unavailable("refused"));
        assert!(!waiting.has_changed().unwrap());
        assert_eq!(waiting.borrow().failures, seen);
        assert!(attempts.last(Instant::now()).0, "health knows");
    }
}
