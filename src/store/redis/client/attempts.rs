//! Outcomes of attempts to connect, for waiting callers, and the last cause for health.

use tokio::sync::watch;

use crate::error::{Causes, Error};

/// Number of failed attempts, and the cause of the last failure.
#[derive(Debug, Default)]
pub(in crate::store::redis) struct Attempts(watch::Sender<Ended>);

#[derive(Clone, Debug, Default)]
pub(in crate::store::redis) struct Ended {
    pub(in crate::store::redis) failures: u64,
    pub(in crate::store::redis) last_cause: Option<Error>,
}

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
            ended.last_cause = Some(cause);
        });
    }

    /// An attempt of a check failed: for health, and no reason for a waiting caller to give up.
    pub(in crate::store::redis) fn failed_aside(&self, cause: Error) {
        let _ = self.0.send_if_modified(|ended| {
            ended.last_cause = Some(cause);
            false
        });
    }

    /// The cause of the last failure.
    pub(in crate::store::redis) fn last_cause(&self) -> Option<String> {
        self.0.borrow().last_cause.as_ref().map(|cause| Causes(cause).to_string())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::attempts::*;

    #[test]
    fn the_failure_of_a_check_wakes_no_waiting_caller() {
        let attempts = Attempts::default();
        let mut waiting = attempts.watch();
        let seen = waiting.borrow_and_update().failures;
        attempts.failed_aside(Error::unavailable("refused"));
        assert!(!waiting.has_changed().unwrap());
        assert_eq!(waiting.borrow().failures, seen);
        let cause = attempts.last_cause().expect("health has it");
        assert_eq!(cause, "the session store is unavailable: refused");
    }
}
