//! How Redis goes away, and how it comes back.

use super::proxy::{FaultProxy, Mode};
use super::redis_server::RedisServer;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outage {
    Killed,
    Hung,
    Proxy(Mode),
}

impl Outage {
    pub const EVERY_WAY: [Self; 6] = [
        Self::Killed,
        Self::Hung,
        Self::Proxy(Mode::Refuse),
        Self::Proxy(Mode::BlackHole),
        Self::Proxy(Mode::Reset),
        Self::Proxy(Mode::CutReplies),
    ];

    /// `proxy` stands in front of `redis`.
    pub fn begins(self, redis: &RedisServer, proxy: &FaultProxy) {
        match self {
            Self::Killed => redis.kill(),
            Self::Hung => redis.hang(),
            Self::Proxy(mode) => proxy.set(mode),
        }
    }

    pub async fn ends(self, redis: &RedisServer, proxy: &FaultProxy) {
        match self {
            Self::Killed => redis.restart().await,
            Self::Hung => redis.resume(),
            Self::Proxy(_) => proxy.set(Mode::Pass),
        }
    }
}
