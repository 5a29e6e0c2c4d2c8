//! Configuration of a layer, and its defaults.

use std::{fmt, time::Duration};

#[cfg(feature = "encryption")]
use crate::encryption::records::UnsealedRecords;
#[cfg(feature = "import")]
use crate::import::TakeOver;
use crate::{
    layer::RedisSessionLayer,
    request::{client::DeviceConfig, success::Success},
    store::UserStore,
    transport::{Transport, cookie::CookieConfig},
};

mod build;
#[cfg(feature = "import")]
mod import;
mod tokens;

const MINUTE: Duration = Duration::from_secs(60);

/// Configures a [`RedisSessionLayer`].
#[must_use]
pub struct RedisSessionLayerBuilder {
    store: Box<dyn UserStore>,
    transport: Transport,
    idle: Duration,
    absolute: Option<Duration>,
    touch_interval: Duration,
    budget: Duration,
    max_record_size: usize,
    success: Success,
    sessions_per_user: Option<u32>,
    max_values: usize,
    devices: Option<DeviceConfig>,
    csrf_lifetime: Duration,
    renewal_grace: Duration,
    watch_interval: Duration,
    session_kind: Option<String>,
    #[cfg(feature = "import")]
    take_over: Option<TakeOver>,
    #[cfg(feature = "encryption")]
    seal: Option<UnsealedRecords>,
}

impl RedisSessionLayer {
    /// Starts the configuration of a layer over `store`. To share one between layers, pass clones
    /// of an `Arc`; a store of records alone goes in
    /// [`WithoutUsers`](crate::store::WithoutUsers).
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// assert!(RedisSessionLayer::builder(MemoryStore::new()).build().is_ok());
    /// ```
    pub fn builder(store: impl UserStore) -> RedisSessionLayerBuilder {
        RedisSessionLayerBuilder::new(Box::new(store))
    }
}

impl RedisSessionLayerBuilder {
    fn new(store: Box<dyn UserStore>) -> Self {
        Self {
            store,
            transport: Transport::default(),
            idle: 60 * MINUTE,
            absolute: Some(24 * 60 * MINUTE),
            touch_interval: MINUTE,
            budget: Duration::from_secs(1),
            max_record_size: 64 * 1024,
            success: Success::http(),
            sessions_per_user: None,
            max_values: 1_024,
            devices: None,
            csrf_lifetime: 60 * MINUTE,
            renewal_grace: Duration::from_secs(10),
            watch_interval: Duration::from_secs(1),
            session_kind: None,
            #[cfg(feature = "import")]
            take_over: None,
            #[cfg(feature = "encryption")]
            seal: None,
        }
    }

    /// Name and attributes of the cookie. Defaults to [`CookieConfig::default`].
    ///
    /// ```
    /// # use tower_redis_session::{CookieConfig, MemoryStore, RedisSessionLayer};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.cookie(CookieConfig::new("__Host-shop")).build().is_ok());
    /// ```
    pub fn cookie(mut self, cookie: CookieConfig) -> Self {
        self.transport = Transport::cookie(cookie);
        self
    }

    /// Idle timeout: how long a session lives without activity; reading and writing it are
    /// activity. Defaults to 1 hour, the maximum of NIST SP 800-63B-4 at its second level.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.idle_timeout(Duration::ZERO).build().is_err());
    /// ```
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Absolute timeout: how long a session lives from its creation or its last login. Defaults to
    /// 24 hours (NIST SP 800-63B-4, second level).
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.absolute_timeout(Duration::from_secs(7 * 86_400)).build().is_ok());
    /// ```
    pub fn absolute_timeout(mut self, absolute: Duration) -> Self {
        self.absolute = Some(absolute);
        self
    }

    /// Removes the absolute timeout: active sessions never expire. Neither does a stolen cookie in
    /// use.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.insecure_no_absolute_timeout().build().is_ok());
    /// ```
    pub fn insecure_no_absolute_timeout(mut self) -> Self {
        self.absolute = None;
        self
    }

    /// Minimum interval between writes of the activity of a session that is only read. Longer saves
    /// writes; a session ends up to that much after its idle timeout, and never before. At most a
    /// twentieth of the idle timeout counts. Defaults to 1 minute.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.touch_interval(Duration::from_secs(10)).build().is_ok());
    /// ```
    pub fn touch_interval(mut self, interval: Duration) -> Self {
        self.touch_interval = interval;
        self
    }

    /// Maximum total time that loading, committing and failed store calls add to one request, waits
    /// for a connection included; beyond it the response is 503. Successful calls that act at once
    /// (`update`, `take_once`, `save`, `logout`) are not added, but each has the same limit. From 1
    /// ms to 1 minute. Defaults to 1 second.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.budget(Duration::from_millis(300)).build().is_ok());
    /// ```
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Maximum size of a record in the store, in bytes; a larger change is rejected and the old
    /// record stays. From 256 bytes to 16 MiB. Defaults to 64 KiB.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.max_record_size(4096).build().is_ok());
    /// ```
    pub fn max_record_size(mut self, bytes: usize) -> Self {
        self.max_record_size = bytes;
        self
    }

    /// Which responses are a success and so store the handler's changes. Any other response stores
    /// nothing, except what was destroyed or saved explicitly. Defaults to
    /// [`Success::http`]: no status from 500 on. gRPC services take [`Success::grpc`].
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer, layer::Success};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.success(Success::grpc()).build().is_ok());
    /// ```
    pub fn success(mut self, success: Success) -> Self {
        self.success = success;
        self
    }

    /// Maximum number of sessions of a user: a sign-in beyond it ends the oldest sign-ins in the
    /// same step. At least 1. Defaults to no limit. `build` fails with a store
    /// [`WithoutUsers`](crate::store::WithoutUsers).
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.sessions_per_user(5).build().is_ok());
    /// ```
    pub fn sessions_per_user(mut self, sessions: u32) -> Self {
        self.sessions_per_user = Some(sessions);
        self
    }

    /// Maximum number of values of a session. One more is rejected with `TooLarge`, before any I/O.
    /// Defaults to 1,024.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.max_values(0).build().is_err());
    /// ```
    pub fn max_values(mut self, values: usize) -> Self {
        self.max_values = values;
        self
    }

    /// Records the device of each session, for the list that its user sees. Defaults to none: an
    /// address is personal data.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer, layer::DeviceConfig};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.devices(DeviceConfig::new()).build().is_ok());
    /// ```
    pub fn devices(mut self, devices: DeviceConfig) -> Self {
        self.devices = Some(devices);
        self
    }

    /// Lifetime of a CSRF token, unless its session ends or gets a new id before. Longer where
    /// users fill in forms for hours. Defaults to 1 hour.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # use std::time::Duration;
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.csrf_lifetime(Duration::ZERO).build().is_err());
    /// ```
    pub fn csrf_lifetime(mut self, lifetime: Duration) -> Self {
        self.csrf_lifetime = lifetime;
        self
    }

    /// How clients send their token. Defaults to a cookie.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer, Transport};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.transport(Transport::bearer()).build().is_ok());
    /// ```
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Stores values and platform encrypted under a key derived from the client's token; user,
    /// times and device stay readable, since lists and revocations need them. Someone with access
    /// to the store can neither read values nor change them undetected. Costs 40 bytes a record.
    /// `plain` decides about earlier, unsealed records. Turning it off again is safe: sealed
    /// records are still read.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer, encryption::UnsealedRecords};
    /// let builder = RedisSessionLayer::builder(MemoryStore::new());
    /// assert!(builder.seal_records(UnsealedRecords::Accept).build().is_ok());
    /// ```
    #[cfg(feature = "encryption")]
    pub fn seal_records(mut self, plain: UnsealedRecords) -> Self {
        self.seal = Some(plain);
        self
    }
}

impl fmt::Debug for RedisSessionLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessionLayerBuilder")
            .field("transport", &self.transport)
            .field("idle_timeout", &self.idle)
            .field("absolute_timeout", &self.absolute)
            .field("touch_interval", &self.touch_interval)
            .field("budget", &self.budget)
            .field("max_record_size", &self.max_record_size)
            .finish_non_exhaustive()
    }
}
