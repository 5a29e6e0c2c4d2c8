//! The limit of one counter.

use std::time::Duration;

use crate::{
    error::ConfigError,
    store::attempts::{Rule, millis},
};

/// Longest duration in a limit.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// How many failures a counter admits, and how long it makes the next attempt wait.
///
/// ```
/// use std::time::Duration;
/// use tower_redis_session::{MemoryStore, limiter::{AttemptLimit, SignInLimiter}};
///
/// // Three attempts, then waits of 10 s, 20 s, 40 s and so on up to an hour; at most ten a day.
/// let strict = AttemptLimit::new(3)
///     .max(10)
///     .first_wait(Duration::from_secs(10))
///     .longest_wait(Duration::from_secs(3_600))
///     .recovery(Duration::from_secs(86_400));
/// let limiter = SignInLimiter::builder(MemoryStore::new()).pair(strict).build()?;
/// # drop(limiter);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct AttemptLimit {
    free: u32,
    max: u32,
    first_wait: Duration,
    longest_wait: Duration,
    recovery: Duration,
}

impl AttemptLimit {
    /// A limit with this number of failures before the first wait. From 1 to 1,000,000.
    ///
    /// ```
    /// # use tower_redis_session::limiter::AttemptLimit;
    /// let limit = AttemptLimit::new(5);
    /// ```
    pub const fn new(free: u32) -> Self {
        Self {
            free,
            max: free.saturating_mul(4),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(3_600),
            recovery: Duration::from_secs(3_600),
        }
    }

    /// Failures on record beyond which every attempt waits until one has recovered. At least the
    /// failures without a wait. Defaults to four times as many.
    ///
    /// ```
    /// # use tower_redis_session::limiter::AttemptLimit;
    /// let limit = AttemptLimit::new(5).max(20);
    /// assert_eq!(limit, AttemptLimit::new(5));
    /// ```
    pub const fn max(mut self, max: u32) -> Self {
        self.max = max;
        self
    }

    /// The wait after the last failure without one; each further failure doubles it. From 1 ms to
    /// 366 days. Defaults to 1 s.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::limiter::AttemptLimit;
    /// let limit = AttemptLimit::new(5).first_wait(Duration::from_secs(30));
    /// ```
    pub const fn first_wait(mut self, wait: Duration) -> Self {
        self.first_wait = wait;
        self
    }

    /// The longest wait between two attempts below [`max`](Self::max). At least the first one, at
    /// most 366 days. Defaults to 1 hour.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::limiter::AttemptLimit;
    /// let limit = AttemptLimit::new(5).longest_wait(Duration::from_secs(900));
    /// ```
    pub const fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// The time in which one failure recovers: the rate of guesses that remains in the long run.
    /// From 1 ms to 366 days. Defaults to 1 hour.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::limiter::AttemptLimit;
    /// let limit = AttemptLimit::new(50).recovery(Duration::from_secs(86_400));
    /// ```
    pub const fn recovery(mut self, recovery: Duration) -> Self {
        self.recovery = recovery;
        self
    }

    /// The rule for a store. With `reserve` a tenth of the maximum is for known networks.
    pub(super) fn rule(&self, name: &'static str, reserve: bool) -> Result<Rule, ConfigError> {
        let fault = |fault| Err(ConfigError::new(name, fault));
        let in_range = |wait: Duration| wait >= Duration::from_millis(1) && wait <= LONGEST;
        if self.free == 0 || self.free > 1_000_000 {
            return fault("the failures without a wait are not from 1 to 1,000,000");
        }
        if self.max < self.free {
            return fault("the maximum is below the failures without a wait");
        }
        if ![self.first_wait, self.longest_wait, self.recovery].into_iter().all(in_range) {
            return fault("a duration is not from 1 ms to 366 days");
        }
        if self.longest_wait < self.first_wait {
            return fault("the longest wait is below the first one");
        }
        let (max, max_known) = if reserve {
            ((self.max - self.max / 10).max(self.free), self.max)
        } else {
            (self.max, 0)
        };
        Ok(Rule {
            free: self.free,
            max,
            max_known,
            first_wait: millis(self.first_wait),
            longest_wait: millis(self.longest_wait),
            recovery: millis(self.recovery),
        })
    }
}
