//! Monotonic point in time, for ages: pure.

#![cfg_attr(
    not(all(feature = "redis", feature = "_database")),
    allow(dead_code, reason = "for stores with a clock")
)]

use std::time::Duration;

/// Milliseconds since some start that is the same for the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub(crate) const fn as_millis(self) -> u64 {
        self.0
    }

    /// This moment plus `time`.
    pub(crate) fn after(self, time: Duration) -> Self {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// Time since this moment; zero if it is in the future.
    pub(crate) const fn age(self, now: Self) -> Duration {
        Duration::from_millis(now.0.saturating_sub(self.0))
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::moment::*;

    #[test]
    fn ages_count_from_the_past_and_never_below_zero() {
        let (early, late) = (Moment::from_millis(1_000), Moment::from_millis(3_000));
        assert_eq!(early.age(late), Duration::from_secs(2));
        assert_eq!(late.age(early), Duration::ZERO);
    }
}
