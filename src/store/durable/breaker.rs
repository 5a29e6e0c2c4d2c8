//! Circuit breaker of one of the two stores: pure, over a given now.
//!
//! Closed, requests use the store. After a few consecutive failures it opens, and requests use the
//! other store at once. Only a probe closes it again; no request waits for one.

use std::time::Duration;

use crate::{
    clock::moment::Moment,
    error::Error,
    sync::circuit_breaker::{CircuitBreaker, Policy, Retry},
};

const POLICY: Policy = Policy { threshold: 3, retry: Retry::Probe };

/// State of one store, as its callers see it.
#[derive(Debug)]
pub(super) struct Breaker {
    answers: CircuitBreaker<Moment>,
    /// Reachable, but rejects writes.
    refuses: bool,
    last_cause: Option<Error>,
    /// Time of the last successful request.
    answered: Option<Moment>,
}

/// A change of state for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    Opened,
    /// After that time.
    Closed(Duration),
    /// Reachable, but rejects writes.
    Refuses,
    Obeys,
}

impl Breaker {
    /// Whether requests use the store.
    pub(super) fn is_closed(&self) -> bool {
        self.answers.is_closed()
    }

    /// How long it has been open.
    pub(super) fn open_for(&self, now: Moment) -> Option<Duration> {
        self.answers.open_for(now)
    }

    /// Whether it rejects writes.
    pub(super) fn refuses(&self) -> bool {
        self.refuses
    }

    /// Cause of the last failure.
    pub(super) fn last_cause(&self) -> Option<&Error> {
        self.last_cause.as_ref()
    }

    /// The cause, if it is open.
    pub(super) fn cause_if_open(&self) -> Option<Error> {
        if self.is_closed() { None } else { self.last_cause.clone() }
    }

    /// A request succeeded.
    pub(super) fn succeed(&mut self) {
        let _ = self.answers.succeed();
    }

    /// The store accepted a change.
    pub(super) fn obey(&mut self) -> Option<Transition> {
        self.succeed();
        std::mem::take(&mut self.refuses).then_some(Transition::Obeys)
    }

    /// The store rejected a change: reads continue.
    pub(super) fn refuse(&mut self, cause: Error) -> Option<Transition> {
        self.succeed();
        self.last_cause = Some(cause);
        (!std::mem::replace(&mut self.refuses, true)).then_some(Transition::Refuses)
    }

    /// A request failed.
    pub(super) fn fail(&mut self, cause: Error, now: Moment) -> Option<Transition> {
        self.last_cause = Some(cause);
        self.answers.fail(now).then_some(Transition::Opened)
    }

    /// A request succeeded; a store that was open is used again.
    pub(super) fn answer(&mut self, now: Moment) -> Option<Transition> {
        self.answered = Some(now);
        self.succeed_probe(now)
    }

    /// A request sent at that time failed. If a later one succeeded, this one waited in a queue:
    /// the store is overloaded, not unavailable.
    pub(super) fn fail_since(
        &mut self,
        asked: Moment,
        cause: Error,
        now: Moment,
    ) -> Option<Transition> {
        if self.answered > Some(asked) { None } else { self.fail(cause, now) }
    }

    /// A probe failed: requests need not find that out.
    pub(super) fn fail_probe(&mut self, cause: Error, now: Moment) -> Option<Transition> {
        self.last_cause = Some(cause);
        self.answers.trip(now).then_some(Transition::Opened)
    }

    /// A probe succeeded.
    pub(super) fn succeed_probe(&mut self, now: Moment) -> Option<Transition> {
        self.answers.close(now).map(Transition::Closed)
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            answers: CircuitBreaker::new(POLICY),
            refuses: false,
            last_cause: None,
            answered: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::durable::breaker::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn down() -> Error {
        Error::unavailable("down")
    }

    #[test]
    fn a_few_failures_in_a_row_open_it_and_only_a_probe_closes_it() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.fail(down(), at(1)), None);
        assert_eq!(breaker.fail(down(), at(2)), None);
        breaker.succeed();
        assert_eq!(breaker.fail(down(), at(3)), None);
        assert_eq!(breaker.fail(down(), at(4)), None);
        assert!(breaker.is_closed());
        assert_eq!(breaker.fail(down(), at(5)), Some(Transition::Opened));
        assert!(!breaker.is_closed() && breaker.cause_if_open().is_some());
        // Replies to calls under way change nothing.
        assert_eq!(breaker.fail(down(), at(6)), None);
        breaker.succeed();
        assert!(!breaker.is_closed());
        let after = Transition::Closed(Duration::from_millis(100));
        assert_eq!(breaker.succeed_probe(at(105)), Some(after));
        assert!(breaker.is_closed() && breaker.cause_if_open().is_none());
        assert_eq!(breaker.succeed_probe(at(106)), None);
        assert_eq!(breaker.last_cause().map(Error::kind), Some(crate::ErrorKind::Unavailable));
    }

    #[test]
    fn a_refusal_is_told_of_once_and_opens_nothing() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.obey(), None);
        assert_eq!(breaker.refuse(down()), Some(Transition::Refuses));
        for _ in 0..5 {
            assert_eq!(breaker.refuse(down()), None);
        }
        assert!(breaker.is_closed() && breaker.last_cause().is_some());
        assert_eq!(breaker.obey(), Some(Transition::Obeys));
        assert_eq!(breaker.obey(), None);
    }

    #[test]
    fn what_waited_in_vain_while_others_were_answered_opens_nothing() {
        let mut breaker = Breaker::default();
        for now in 1..10 {
            assert_eq!(breaker.answer(at(100 * now)), None);
            assert_eq!(breaker.fail_since(at(100 * now - 1), down(), at(100 * now + 50)), None);
        }
        assert!(breaker.is_closed());
        // Those who asked since the last answer.
        for (now, opened) in [(1, None), (2, None), (3, Some(Transition::Opened))] {
            assert_eq!(breaker.fail_since(at(900), down(), at(2_000 + now)), opened, "{now}");
        }
        // A probe is no request: its outcome says nothing about them.
        assert!(breaker.succeed_probe(at(3_000)).is_some());
        for (now, opened) in [(1, None), (2, None), (3, Some(Transition::Opened))] {
            assert_eq!(breaker.fail_since(at(2_500), down(), at(3_000 + now)), opened, "{now}");
        }
        assert!(breaker.answer(at(4_000)).is_some() && breaker.is_closed());
    }

    #[test]
    fn a_failed_probe_opens_it_at_once() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.fail_probe(down(), at(1)), Some(Transition::Opened));
        assert_eq!(breaker.fail_probe(down(), at(2)), None);
        assert!(!breaker.is_closed());
    }
}
