//! Builds a layer from its settings, or returns the first invalid one.

use std::{num::NonZeroU32, time::Duration};

use crate::{
    error::ConfigError,
    layer::{
        RedisSessionLayer,
        builder::{MINUTE, RedisSessionLayerBuilder},
    },
    request::{
        old_library::TakeOverRules,
        shared::{Backend, Rules},
        watched::INTERVALS,
    },
    session::{changes::plan::Policy, expiry::SessionExpiry, moved::MOVED_KEPT, token::TokenKind},
    transport::cookie::CookieConfig,
};

impl RedisSessionLayerBuilder {
    /// Builds the layer. Opens no connection.
    ///
    /// # Errors
    ///
    /// The first setting that is out of its range or contradicts another.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// let error = builder.budget(Duration::ZERO).build().unwrap_err();
    /// assert_eq!(error.setting(), "budget");
    /// ```
    pub fn build(mut self) -> Result<RedisSessionLayer, ConfigError> {
        self.transport.check()?;
        let mut expiry = SessionExpiry::new(self.idle);
        if let Some(absolute) = self.absolute {
            expiry = expiry.absolute(absolute);
        }
        expiry.check()?;
        if self.budget < Duration::from_millis(1) || self.budget > MINUTE {
            return Err(ConfigError::new("budget", "is not between 1 ms and 1 minute"));
        }
        self.check_bounds()?;
        let sessions_per_user = self.session_limit()?;
        check_csrf_lifetime(self.csrf_lifetime)?;
        let kind = self.session_kind.as_deref().unwrap_or_else(|| self.transport.name());
        let tokens = TokenKind::named(kind);
        let policy = Policy {
            expiry,
            touch_interval: self.touch_interval,
            max_record_size: self.max_record_size,
            max_values: self.max_values,
        };
        let take_over = self.take_over_rules()?;
        let rules = Rules {
            transport: self.transport,
            tokens,
            policy,
            budget: self.budget,
            success: self.success,
            sessions_per_user,
            devices: self.devices,
            csrf_lifetime: self.csrf_lifetime,
            renewal_grace: self.renewal_grace,
            watch_interval: self.watch_interval,
            take_over,
            #[cfg(feature = "encryption")]
            seal: self.seal,
        };
        Ok(RedisSessionLayer::new(Backend::new(self.store, rules)))
    }
}

impl RedisSessionLayerBuilder {
    fn session_limit(&self) -> Result<Option<NonZeroU32>, ConfigError> {
        let Some(limit) = self.sessions_per_user else { return Ok(None) };
        let fault = match NonZeroU32::new(limit) {
            Some(limit) if self.store.lists_sessions() => return Ok(Some(limit)),
            Some(_) => "is set, and the store keeps no index of users' sessions (`WithoutUsers`)",
            None => "is 0: no user could sign in",
        };
        Err(ConfigError::new("sessions per user", fault))
    }

    #[cfg(feature = "import")]
    fn take_over_rules(&mut self) -> Result<Option<TakeOverRules>, ConfigError> {
        let import = self.take_over.take();
        import.map(|import| import.rules(&self.transport)).transpose()
    }

    #[cfg(not(feature = "import"))]
    fn take_over_rules(&mut self) -> Result<Option<TakeOverRules>, ConfigError> {
        Ok(None)
    }

    fn check_bounds(&self) -> Result<(), ConfigError> {
        if !(256..=16 * 1024 * 1024).contains(&self.max_record_size) {
            return Err(ConfigError::new("max record size", "is not between 256 bytes and 16 MiB"));
        }
        if !(1..=1_000_000).contains(&self.max_values) {
            return Err(ConfigError::new("max values", "is not between 1 and 1,000,000"));
        }
        if self.renewal_grace > MOVED_KEPT {
            return Err(ConfigError::new("renewal grace", "is above 1 minute"));
        }
        if !INTERVALS.contains(&self.watch_interval) {
            return Err(ConfigError::new("watch interval", "is not between 10 ms and 1 hour"));
        }
        let renamed = self.transport.successor().is_some_and(CookieConfig::is_renamed);
        if renamed && self.session_kind.is_none() {
            let fault = "is missing: after a change of the cookie name set it to the former name";
            return Err(ConfigError::new("session kind", fault));
        }
        Ok(())
    }
}

fn check_csrf_lifetime(lifetime: Duration) -> Result<(), ConfigError> {
    if lifetime < Duration::from_millis(1) {
        return Err(ConfigError::new("csrf lifetime", "is below 1 ms: no token would be valid"));
    }
    Ok(())
}
