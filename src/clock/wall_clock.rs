//! Wall clock: the system's, or a manual one for tests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

#[cfg(any(feature = "redis", feature = "_database"))]
use crate::clock::compared::Compared;
use crate::clock::timestamp::Timestamp;

/// The clock of a store and of the layer above it.
///
/// ```
/// use tower_redis_session::clock::Clock;
///
/// assert!(Clock::system().now().as_millis() > 1_700_000_000_000);
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    /// The system's, or the stores' if it differs from them.
    #[cfg(any(feature = "redis", feature = "_database"))]
    Compared(Compared),
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The system's wall clock.
    ///
    /// ```
    /// # use tower_redis_session::clock::Clock;
    /// let clock = Clock::system();
    /// assert!(clock.now() <= clock.now());
    /// ```
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// The same, corrected by the stores' clocks. A manual clock stays as it is.
    #[cfg(any(feature = "redis", feature = "_database"))]
    pub(crate) fn beside(self, compared: &Compared) -> Self {
        match self.0 {
            Source::System => Self(Source::Compared(compared.clone())),
            source => Self(source),
        }
    }

    /// Whether it is this process' own, and not a manual one.
    #[cfg(feature = "_database")]
    pub(crate) const fn is_real(&self) -> bool {
        !matches!(self.0, Source::Manual(_))
    }

    /// The time now.
    ///
    /// ```
    /// # use tower_redis_session::clock::ManualClock;
    /// let manual = ManualClock::new();
    /// assert_eq!(manual.clock().now(), manual.clock().now());
    /// ```
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => SystemTime::now().into(),
            #[cfg(any(feature = "redis", feature = "_database"))]
            Source::Compared(compared) => compared.now(),
            Source::Manual(millis) => Timestamp::from_millis(millis.load(Ordering::SeqCst)),
        }
    }
}

/// A clock that only [`advance`](Self::advance) moves: expiry tests without sleeps.
///
/// Starts at 2024-01-01T00:00:00Z.
///
/// ```
/// use std::time::Duration;
/// use tower_redis_session::{MemoryStore, clock::ManualClock};
///
/// let clock = ManualClock::new();
/// let store = MemoryStore::with_clock(clock.clock());
/// clock.advance(Duration::from_secs(3600));
/// # drop(store);
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock at 2024-01-01T00:00:00Z.
    ///
    /// ```
    /// # use tower_redis_session::clock::ManualClock;
    /// assert_eq!(ManualClock::new().clock().now().to_string(), "2024-01-01T00:00:00Z");
    /// ```
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_704_067_200_000)))
    }

    /// Advances the time of every [`Clock`] made from this one, by whole milliseconds.
    ///
    /// ```
    /// # use tower_redis_session::clock::ManualClock;
    /// # use std::time::Duration;
    /// let manual = ManualClock::new();
    /// let before = manual.clock().now();
    /// manual.advance(Duration::from_secs(1));
    /// assert_eq!(manual.clock().now().saturating_since(before), Duration::from_secs(1));
    /// ```
    pub fn advance(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let later = |now: u64| Some(now.saturating_add(millis));
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
    }

    /// The clock to hand to a store.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, clock::ManualClock};
    /// let store = MemoryStore::with_clock(ManualClock::new().clock());
    /// # drop(store);
    /// ```
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(Arc::clone(&self.0)))
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}
