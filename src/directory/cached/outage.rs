//! When to leave a Redis alone that does not answer: pure, over a given now.

use std::time::Duration;

use crate::clock::moment::Moment;

/// Failures in a row after which it is left alone.
const PATIENCE: u32 = 3;
/// How long it is left alone between two who try.
const PAUSE: Duration = Duration::from_secs(1);

/// How Redis does, as its users see it.
#[derive(Debug, Default)]
pub(super) struct Outage {
    failures: u32,
    /// When the next may try, if it is left alone.
    next_try: Option<Moment>,
}

impl Outage {
    /// Whether a caller should ask: each one, and of those who come while Redis is left alone, one
    /// a pause.
    pub(super) fn may_ask(&mut self, now: Moment) -> bool {
        match self.next_try {
            None => true,
            Some(next) if next <= now => {
                self.next_try = Some(after(now));
                true
            }
            Some(_) => false,
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.next_try.is_some()
    }

    /// There was no answer; whether Redis is left alone from now on.
    pub(super) fn fail(&mut self, now: Moment) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < PATIENCE {
            return false;
        }
        self.next_try.replace(after(now)).is_none()
    }

    /// There was an answer; whether Redis had been left alone.
    pub(super) fn succeed(&mut self) -> bool {
        self.failures = 0;
        self.next_try.take().is_some()
    }
}

fn after(now: Moment) -> Moment {
    let pause = u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX);
    Moment::from_millis(now.as_millis().saturating_add(pause))
}

#[cfg(test)]
mod tests {
    use crate::directory::cached::outage::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn after_a_few_failures_in_a_row_one_a_pause_tries() {
        let mut outage = Outage::default();
        assert!(!outage.fail(at(1)) && !outage.fail(at(2)));
        assert!(!outage.succeed(), "was never left alone");
        assert!(!outage.fail(at(3)) && !outage.fail(at(4)) && outage.may_ask(at(4)));
        assert!(outage.fail(at(5)), "the third in a row");
        assert!(!outage.may_ask(at(5)) && !outage.may_ask(at(1_004)));
        assert!(outage.may_ask(at(1_005)), "one tries");
        assert!(!outage.may_ask(at(1_006)), "and nobody beside it");
        assert!(!outage.fail(at(1_100)), "was left alone before");
        assert!(!outage.may_ask(at(2_099)) && outage.may_ask(at(2_100)));
        assert!(outage.succeed());
        assert!(outage.may_ask(at(2_101)) && outage.may_ask(at(2_101)));
    }
}
