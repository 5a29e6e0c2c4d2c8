//! Back-off: pauses between attempts, each twice as long as the one before, up to a maximum.

use std::time::Duration;

use tokio::time::sleep;

/// The pauses between repeated attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    next: Duration,
    #[cfg(feature = "redis")]
    first: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            next: first,
            #[cfg(feature = "redis")]
            first,
            longest,
        }
    }

    /// Waits; longer the next time.
    ///
    /// Cancellation safety: a pause counts even if it is dropped.
    pub(crate) async fn pause(&mut self) {
        sleep(self.take()).await;
    }

    /// Resets the pause after a success.
    #[cfg(feature = "redis")]
    pub(crate) const fn reset(&mut self) {
        self.next = self.first;
    }

    /// At most `most` attempts, with these pauses between them.
    pub(crate) const fn attempts(self, most: u32) -> Attempts {
        Attempts { made: 0, most, backoff: self }
    }

    /// The pause now; the next one is longer.
    pub(crate) fn take(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.longest);
        pause
    }
}

/// A bounded number of attempts.
#[derive(Debug)]
pub(crate) struct Attempts {
    made: u32,
    most: u32,
    backoff: Backoff,
}

impl Attempts {
    /// Whether there is another one. The first is at once, each further one after its pause.
    pub(crate) async fn again(&mut self) -> bool {
        if self.made == self.most {
            return false;
        }
        if self.made > 0 {
            self.backoff.pause().await;
        }
        self.made += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use crate::sync::backoff::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn each_pause_is_twice_the_one_before_up_to_the_longest() {
        for (name, first, longest, pauses) in [
            ("doubles", 10, 40, [10, 20, 40, 40]),
            ("the longest is no multiple of the first", 30, 100, [30, 60, 100, 100]),
            ("always the same", 1_000, 1_000, [1_000; 4]),
        ] {
            let mut backoff = Backoff::new(millis(first), millis(longest));
            assert_eq!([(); 4].map(|()| backoff.take()), pauses.map(millis), "{name}");
        }
        let mut endless = Backoff::new(Duration::MAX, Duration::MAX);
        assert_eq!([(); 2].map(|()| endless.take()), [Duration::MAX; 2]);
    }

    #[cfg(feature = "redis")]
    #[test]
    fn after_a_success_it_begins_with_the_first_pause() {
        let mut backoff = Backoff::new(millis(50), millis(1_000));
        let _ = [(); 9].map(|()| backoff.take());
        backoff.reset();
        assert_eq!([(); 2].map(|()| backoff.take()), [50, 100].map(millis));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_attempt_is_at_once_and_the_last_without_a_pause_behind_it() {
        let (start, mut made) = (Instant::now(), Vec::new());
        let mut attempts = Backoff::new(millis(10), millis(40)).attempts(4);
        while attempts.again().await {
            made.push(start.elapsed());
        }
        assert_eq!(made, [0, 10, 30, 70].map(millis));
        assert!(!attempts.again().await);
        assert_eq!(start.elapsed(), millis(70));
    }
}
