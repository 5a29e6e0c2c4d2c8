//! How many replicas confirm the end of a session.

use std::time::Duration;

use crate::{
    error::ConfigError,
    store::redis::client::{config::RedisConfig, limits::Limits, replicas::Terms},
};

/// Replicas that confirm, unless configured.
const REPLICAS: u32 = 1;
const REPLICAS_MAX: u32 = 16;
/// How long they have, unless configured.
const WITHIN: Duration = Duration::from_millis(50);

impl RedisConfig {
    /// How many replicas confirm the end of a session, and within which time, before it is
    /// acknowledged: for a logout, a revocation, and a sign-in that ends other sessions. A failover
    /// to a replica that lags would undo it otherwise. Up to 16 replicas, 0 for none; 1 ms to half
    /// of the [command timeout](Self::command_timeout). Defaults to 1 replica and 50 ms.
    ///
    /// Used by a [`RedisStore`](crate::RedisStore) where a server has replicas that are online, and
    /// at most as many as there are. The request to the replicas is in the same write as the end.
    /// One that is not confirmed is repeated once; if that is not confirmed either, the request
    /// fails with `Unavailable`, although the session may have ended. If replicas are missing for
    /// 20 s, fewer are enough. The Redis user needs the rights `+info +wait`; without them, and on
    /// a server without replicas, ends are not confirmed. `check()` logs what is missing.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::new("redis://redis.example");
    /// let slow = config.clone().confirm(1, Duration::from_millis(200));
    /// assert!(RedisStore::new(slow).is_ok());
    /// assert!(RedisStore::new(config.confirm(1, Duration::from_secs(5))).is_err());
    /// ```
    pub fn confirm(mut self, replicas: u32, within: Duration) -> Self {
        self.confirm = Some(Terms::new(replicas, within));
        self
    }

    /// The same within the default time.
    pub(crate) fn confirm_by(self, replicas: u32) -> Self {
        self.confirm(replicas, WITHIN)
    }

    /// How ends of sessions are confirmed; `None` if they are not.
    ///
    /// # Errors
    ///
    /// A number or a time out of its range.
    pub(in crate::store::redis) fn confirmation(
        &self,
        limits: &Limits,
    ) -> Result<Option<Terms>, ConfigError> {
        let longest = limits.command_timeout / 2;
        let Some(terms) = self.confirm else {
            let least = Duration::from_millis(1);
            return Ok(Some(Terms::new(REPLICAS, WITHIN.min(longest).max(least))));
        };
        if terms.replicas == 0 {
            return Ok(None);
        }
        if terms.replicas > REPLICAS_MAX {
            return Err(ConfigError::new("redis confirm", "is by more than 16 replicas"));
        }
        if !(Duration::from_millis(1)..=longest).contains(&terms.within) {
            let fault = "is not within 1 ms to half of the command timeout";
            return Err(ConfigError::new("redis confirm", fault));
        }
        Ok(Some(terms))
    }
}

#[cfg(test)]
impl RedisConfig {
    /// With short times.
    pub(in crate::store::redis) fn confirm_on(self, terms: Terms) -> Self {
        Self { confirm: Some(terms), ..self }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::config::confirm::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn terms(config: &RedisConfig) -> Result<Option<Terms>, String> {
        let limits = config.limits().unwrap();
        config.confirmation(&limits).map_err(|error| error.to_string())
    }

    #[test]
    fn the_number_and_the_time_are_bounded_and_the_default_fits_every_command_timeout() {
        let config = RedisConfig::new("redis://a");
        let some = |replicas, within| Ok(Some(Terms::new(replicas, within)));
        assert_eq!(terms(&config), some(1, WITHIN));
        assert_eq!(terms(&config.clone().command_timeout(30 * MILLI)), some(1, 15 * MILLI));
        assert_eq!(terms(&config.clone().command_timeout(MILLI)), some(1, MILLI));
        assert_eq!(terms(&config.clone().confirm(16, 250 * MILLI)), some(16, 250 * MILLI));
        assert_eq!(terms(&config.clone().confirm(0, Duration::ZERO)), Ok(None));
        for (replicas, within) in [(17, MILLI), (1, Duration::ZERO), (1, 251 * MILLI)] {
            let refused = terms(&config.clone().confirm(replicas, within)).unwrap_err();
            assert!(refused.starts_with("redis confirm: is "), "{refused}");
        }
    }
}
