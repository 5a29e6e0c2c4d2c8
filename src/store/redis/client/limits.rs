//! Limits: number of connections, and timeouts.

use std::time::Duration;

use crate::error::ConfigError;

#[derive(Clone, Copy, Debug)]
pub(in crate::store::redis) struct Limits {
    pub(in crate::store::redis) pool_size: u32,
    pub(in crate::store::redis) connect_timeout: Duration,
    pub(in crate::store::redis) command_timeout: Duration,
}

impl Limits {
    pub(in crate::store::redis) fn checked(self) -> Result<Self, ConfigError> {
        if !(1..=1024).contains(&self.pool_size) {
            return Err(ConfigError::new("redis pool size", "is not between 1 and 1,024"));
        }
        let bounds = Duration::from_millis(1)..=Duration::from_secs(60);
        for (name, limit) in [
            ("redis connect timeout", self.connect_timeout),
            ("redis command timeout", self.command_timeout),
        ] {
            if !bounds.contains(&limit) {
                return Err(ConfigError::new(name, "is not between 1 ms and 1 minute"));
            }
        }
        Ok(self)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pool_size: 4,
            connect_timeout: Duration::from_millis(500),
            command_timeout: Duration::from_millis(500),
        }
    }
}
