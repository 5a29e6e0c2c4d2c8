//! Configuration of a limiter.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    error::ConfigError,
    layer::RedisSessionLayer,
    limiter::{
        counting::{Limits, Source},
        limit::AttemptLimit,
        names::Names,
        sign_in_limiter::SignInLimiter,
    },
    request::client::DeviceConfig,
    store::Store,
};

const DAY: Duration = Duration::from_secs(86_400);
const QUARTER: Duration = Duration::from_secs(15 * 60);
/// Counters in one bucket.
const WAYS: u32 = 64;
const BUCKETS_MAX: u32 = 1 << 20;

/// Configures a [`SignInLimiter`].
#[must_use]
pub struct SignInLimiterBuilder {
    source: Source,
    devices: DeviceConfig,
    pair: AttemptLimit,
    account: AttemptLimit,
    network: AttemptLimit,
    site: AttemptLimit,
    known_for: Duration,
    max_entries: u32,
    key: Option<[u8; 32]>,
    scope: String,
    timeout: Duration,
}

impl SignInLimiter {
    /// Starts the configuration of a limiter that counts in `store`.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// assert!(SignInLimiter::builder(MemoryStore::new()).build().is_ok());
    /// ```
    pub fn builder(store: impl Store) -> SignInLimiterBuilder {
        SignInLimiterBuilder::new(Source::Store(Arc::new(store)), DeviceConfig::new())
    }
}

impl<A> RedisSessionLayer<A> {
    /// Starts the configuration of a limiter that counts in this layer's store, and finds clients'
    /// addresses as [`devices`](crate::RedisSessionLayerBuilder::devices) says.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// assert!(sessions.sign_in_limiter().build().is_ok());
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn sign_in_limiter(&self) -> SignInLimiterBuilder {
        let devices = self.backend.rules.devices.clone().unwrap_or_default();
        SignInLimiterBuilder::new(Source::Layer(Arc::clone(&self.backend)), devices)
    }
}

impl SignInLimiterBuilder {
    fn new(source: Source, devices: DeviceConfig) -> Self {
        let doubling = |free, first: u64, longest| {
            AttemptLimit::new(free).first_wait(Duration::from_secs(first)).longest_wait(longest)
        };
        Self {
            source,
            devices,
            pair: doubling(5, 1, DAY).max(20).recovery(DAY),
            account: doubling(50, 30, Duration::from_secs(3_600)).max(100).recovery(DAY),
            network: doubling(100, 1, QUARTER).max(1_000).recovery(Duration::from_secs(36)),
            site: doubling(1_000, 1, QUARTER).max(10_000).recovery(Duration::from_millis(3_600)),
            known_for: DAY * 90,
            max_entries: 262_144,
            key: None,
            scope: "sign-in".to_owned(),
            timeout: Duration::from_secs(1),
        }
    }

    /// Limit of an account from one network, for a user who mistypes. Defaults to 5 failures
    /// without a wait, then 1 s doubling to 1 day, at most 20; one recovers in a day.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, limiter::{AttemptLimit, SignInLimiter}};
    /// let builder = SignInLimiter::builder(MemoryStore::new()).pair(AttemptLimit::new(0));
    /// assert_eq!(builder.build().unwrap_err().setting(), "pair");
    /// ```
    pub fn pair(mut self, limit: AttemptLimit) -> Self {
        self.pair = limit;
        self
    }

    /// Limit of an account from all networks together; the last tenth of its maximum is reserved
    /// for known networks. Keep its failures without a wait above the maximum of
    /// [`pair`](Self::pair), so that one network cannot make users on others wait. Defaults to 50
    /// without a wait, then 30 s doubling to 1 hour, at most 100; one recovers in a day.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, limiter::{AttemptLimit, SignInLimiter}};
    /// let account = AttemptLimit::new(30).max(100);
    /// assert!(SignInLimiter::builder(MemoryStore::new()).account(account).build().is_ok());
    /// ```
    pub fn account(mut self, limit: AttemptLimit) -> Self {
        self.account = limit;
        self
    }

    /// Limit of a network, an IPv4 address or an IPv6 /64, for all accounts together. Raise it
    /// where many users share an address. Defaults to 100 failures without a wait, then 1 s
    /// doubling to 15 minutes, at most 1,000, one recovers in 36 s.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, limiter::{AttemptLimit, SignInLimiter}};
    /// let office = AttemptLimit::new(500);
    /// assert!(SignInLimiter::builder(MemoryStore::new()).network(office).build().is_ok());
    /// ```
    pub fn network(mut self, limit: AttemptLimit) -> Self {
        self.network = limit;
        self
    }

    /// Limit of an IPv4 /24 or an IPv6 /48, since an attacker may have a whole one. Defaults to
    /// 1,000 failures without a wait, then 1 s doubling to 15 minutes, at most 10,000, one recovers
    /// in 3.6 s.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, limiter::{AttemptLimit, SignInLimiter}};
    /// let site = AttemptLimit::new(5_000);
    /// assert!(SignInLimiter::builder(MemoryStore::new()).site(site).build().is_ok());
    /// ```
    pub fn site(mut self, limit: AttemptLimit) -> Self {
        self.site = limit;
        self
    }

    /// How long a network stays known for an account after a sign-in from it. From 1 ms to 366
    /// days. Defaults to 90 days.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// let builder = SignInLimiter::builder(MemoryStore::new());
    /// assert!(builder.known_for(Duration::from_secs(30 * 86_400)).build().is_ok());
    /// ```
    pub fn known_for(mut self, time: Duration) -> Self {
        self.known_for = time;
        self
    }

    /// Maximum number of counters, and of known networks, in the store; rounded up to 64 times a
    /// power of two. Well above the number of accounts and networks that fail in a day. From 64 to
    /// 67,108,864. Defaults to 262,144: about 16 MB of Redis.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// let builder = SignInLimiter::builder(MemoryStore::new());
    /// assert!(builder.max_entries(1 << 20).build().is_ok());
    /// ```
    pub fn max_entries(mut self, entries: u32) -> Self {
        self.max_entries = entries;
        self
    }

    /// Secret key of the hashes of accounts and addresses in the store; the same in every instance.
    /// Without it a reader of the store can test which names have failed. Defaults to a key that is
    /// public.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// let key = [7; 32]; // from a secret store
    /// assert!(SignInLimiter::builder(MemoryStore::new()).key(key).build().is_ok());
    /// ```
    pub fn key(mut self, key: [u8; 32]) -> Self {
        self.key = Some(key);
        self
    }

    /// Name of what is limited. Limiters with different scopes count apart, in one store. Defaults
    /// to `sign-in`.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// let resets = SignInLimiter::builder(MemoryStore::new()).scope("password reset").build();
    /// assert!(resets.is_ok());
    /// ```
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Maximum time of one call to the store; beyond it the attempt fails with a 503. From 1 ms to
    /// 1 minute. Defaults to 1 second.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// let builder = SignInLimiter::builder(MemoryStore::new()).timeout(Duration::ZERO);
    /// assert_eq!(builder.build().unwrap_err().setting(), "timeout");
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How [`address`](SignInLimiter::address) and
    /// [`NetworkLimitLayer`](crate::limiter::NetworkLimitLayer) find a client's address. Defaults
    /// to that of the layer, else to the connection's.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, layer::DeviceConfig, limiter::SignInLimiter};
    /// let devices = DeviceConfig::new().trusted_proxies(["10.0.0.0/8"])?;
    /// assert!(SignInLimiter::builder(MemoryStore::new()).devices(devices).build().is_ok());
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn devices(mut self, devices: DeviceConfig) -> Self {
        self.devices = devices;
        self
    }

    /// The limiter. Opens no connection.
    ///
    /// # Errors
    ///
    /// The first setting that is out of its range; `store` for one that does not count attempts.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// assert!(SignInLimiter::builder(MemoryStore::new()).max_entries(1).build().is_err());
    /// ```
    pub fn build(self) -> Result<SignInLimiter, ConfigError> {
        if self.source.store().attempts().is_none() {
            return Err(ConfigError::new("store", "does not count attempts"));
        }
        let in_range = |time: Duration, most| time >= Duration::from_millis(1) && time <= most;
        if !in_range(self.known_for, DAY * 366) {
            return Err(ConfigError::new("known for", "is not from 1 ms to 366 days"));
        }
        if !in_range(self.timeout, Duration::from_secs(60)) {
            return Err(ConfigError::new("timeout", "is not from 1 ms to 1 minute"));
        }
        let buckets = self.max_entries.div_ceil(WAYS).next_power_of_two();
        if self.max_entries < WAYS || buckets > BUCKETS_MAX {
            return Err(ConfigError::new("max entries", "is not from 64 to 67,108,864"));
        }
        let limits = Limits {
            site: self.site.rule("site", false)?,
            network: self.network.rule("network", false)?,
            pair: self.pair.rule("pair", false)?,
            account: self.account.rule("account", true)?,
            known_for: self.known_for,
            ways: WAYS,
            timeout: self.timeout,
        };
        let names = Names::new(self.key, &self.scope, buckets);
        Ok(SignInLimiter::new(self.source, names, limits, self.devices))
    }
}

impl fmt::Debug for SignInLimiterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SignInLimiterBuilder");
        debug.field("pair", &self.pair).field("account", &self.account);
        debug.field("network", &self.network).field("site", &self.site).finish_non_exhaustive()
    }
}
