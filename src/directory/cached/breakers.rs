//! Circuit breakers, one for each server: a node of a cluster that is lost costs its own entries
//! alone. Pure, over a given now.

use std::{collections::HashMap, time::Duration};

use crate::{
    clock::moment::Moment,
    store::redis::entries::Server,
    sync::circuit_breaker::{CircuitBreaker, Policy, Retry},
};

/// When a circuit breaker opens, and who retries.
const POLICY: Policy = Policy { threshold: 3, retry: Retry::OneEvery(Duration::from_secs(1)) };

/// Those of servers of which the last call failed. All others are closed.
#[derive(Debug, Default)]
pub(super) struct Breakers(HashMap<Server, CircuitBreaker<Moment>>);

impl Breakers {
    /// Whether a caller may call the server, and then does.
    pub(super) fn admit(&mut self, server: &Server, now: Moment) -> bool {
        self.0.get_mut(server).is_none_or(|breaker| breaker.admit(now))
    }

    /// A call succeeded; returns whether that closed it.
    pub(super) fn succeed(&mut self, server: &Server) -> bool {
        self.0.remove(server).is_some_and(|mut breaker| breaker.succeed())
    }

    /// A call failed; returns whether that opened it. Those of other servers than `all` are
    /// forgotten.
    pub(super) fn fail(
        &mut self,
        server: &Server,
        all: impl FnOnce() -> Vec<Server>,
        now: Moment,
    ) -> bool {
        if !self.0.contains_key(server) {
            let all = all();
            self.0.retain(|other, _| all.contains(other));
        }
        let breaker = self.0.entry(server.clone());
        breaker.or_insert_with(|| CircuitBreaker::new(POLICY)).fail(now)
    }

    pub(super) fn is_closed(&self, server: &Server) -> bool {
        self.0.get(server).is_none_or(CircuitBreaker::is_closed)
    }

    /// Whether one of the servers is called; without any, all that are known.
    pub(super) fn let_one_pass(&self, servers: &[Server]) -> bool {
        match servers.is_empty() {
            true => self.0.values().all(CircuitBreaker::is_closed),
            false => servers.iter().any(|server| self.is_closed(server)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::directory::cached::breakers::*;

    #[test]
    fn each_server_has_its_own_and_a_server_that_is_gone_has_none() {
        let now = Moment::from_millis(1);
        let [lost, other, new] = ["lost", "other", "new"].map(Server::named);
        let both = || vec![lost.clone(), other.clone()];
        let mut breakers = Breakers::default();
        for opened in [false, false, true] {
            assert_eq!(breakers.fail(&lost, both, now), opened);
        }
        assert!(!breakers.admit(&lost, now) && breakers.admit(&other, now));
        assert!(breakers.let_one_pass(&both()) && !breakers.let_one_pass(&both()[..1]));
        assert!(!breakers.let_one_pass(&[]), "no node is known by now");
        // Another node has taken over, and fails once.
        assert!(!breakers.fail(&new, || vec![other.clone(), new.clone()], now));
        assert!(breakers.is_closed(&lost) && breakers.let_one_pass(&[]));
    }

    #[test]
    fn after_three_failures_in_a_row_one_a_second_tries() {
        let at = Moment::from_millis;
        let mut breaker = CircuitBreaker::new(POLICY);
        assert!(!breaker.fail(at(1)) && !breaker.fail(at(2)));
        assert!(!breaker.succeed(), "was never left alone");
        assert!(!breaker.fail(at(3)) && !breaker.fail(at(4)) && breaker.admit(at(4)));
        assert!(breaker.fail(at(5)), "the third in a row");
        assert!(!breaker.admit(at(5)) && !breaker.admit(at(1_004)));
        assert!(breaker.admit(at(1_005)), "one tries");
        assert!(!breaker.admit(at(1_006)), "and nobody beside it");
        assert!(!breaker.fail(at(1_100)), "was left alone before");
        assert!(!breaker.admit(at(2_099)) && breaker.admit(at(2_100)));
        assert!(breaker.succeed());
        assert!(breaker.admit(at(2_101)) && breaker.admit(at(2_101)));
    }
}
