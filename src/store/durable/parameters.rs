//! Parameters of a durable store: defaults, bounds, and their consistency.

use std::time::Duration;

use crate::{error::ConfigError, store::database::DatabaseConfig};

/// P, Q, L, the life of a fill lease, D, J and S of `docs/protocol.md`, section 2.4.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters {
    pub(super) poll_interval: Duration,
    pub(super) poll_timeout: Duration,
    pub(super) lease: Duration,
    pub(super) fill_lease: Duration,
    pub(super) database_touch_interval: Duration,
    pub(super) journal_limit: usize,
    pub(super) stretch: Duration,
    pub(super) redis_timeout: Duration,
    pub(super) readers: usize,
    pub(super) strict: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(1),
            poll_timeout: Duration::from_millis(500),
            lease: Duration::from_secs(2),
            fill_lease: Duration::from_secs(5),
            database_touch_interval: Duration::from_secs(300),
            journal_limit: 1_000,
            stretch: Duration::from_secs(15 * 60),
            redis_timeout: Duration::from_millis(250),
            readers: 64,
            strict: false,
        }
    }
}

impl Parameters {
    /// Returns the first setting that is invalid or contradicts another.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let minute = Duration::from_secs(60);
        let between = |name, value, least: Duration, most: Duration, fault| {
            let fine = (least..=most).contains(&value);
            if fine { Ok(()) } else { Err(ConfigError::new(name, fault)) }
        };
        let (ms, ten) = (Duration::from_millis(1), Duration::from_millis(10));
        let short = "is not between 10 ms and 1 minute";
        between("poll interval", self.poll_interval, ten, minute, short)?;
        between("poll timeout", self.poll_timeout, ten, minute, short)?;
        between(
            "redis timeout",
            self.redis_timeout,
            ms,
            minute,
            "is not between 1 ms and 1 minute",
        )?;
        let least = self.poll_interval.saturating_add(self.poll_timeout);
        let fault =
            "is shorter than poll interval and poll timeout together, or longer than 1 minute";
        between("lease", self.lease, least, minute, fault)?;
        let (none, day) = (Duration::ZERO, Duration::from_secs(86_400));
        between("time without database", self.stretch, none, day, "is longer than 1 day")?;
        // A row is kept for a quarter of an hour after its end, and has to be touched before.
        let (most, fault) = (Duration::from_secs(600), "is longer than 10 minutes");
        between("database touch interval", self.database_touch_interval, none, most, fault)?;
        if !(1..=10_000).contains(&self.readers) {
            return Err(ConfigError::new("readers", "is not between 1 and 10,000"));
        }
        if !(1..=100_000).contains(&self.journal_limit) {
            return Err(ConfigError::new("journal limit", "is not between 1 and 100,000"));
        }
        Ok(())
    }

    /// A fill lease must not end before the statements that it covers.
    pub(super) fn check_beside(&self, database: &DatabaseConfig) -> Result<(), ConfigError> {
        let fits = database.limit() <= self.fill_lease;
        let fault = "is longer than the lease of a fill, 5 s";
        if fits { Ok(()) } else { Err(ConfigError::new("database timeout", fault)) }
    }
}
