//! Boot-time clock: monotonic, and advancing while the machine is suspended.
//!
//! Specified in `docs/protocol.md`, section 2.3.

#![cfg_attr(not(feature = "_database"), allow(dead_code, reason = "for the durable store"))]

use crate::clock::moment::Moment;

/// The boot-time clock. A clock that stops during suspension would let a process trust afterwards
/// what was true before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uptime {
    #[cfg(feature = "_hooks")]
    ahead: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Uptime {
    pub(crate) fn now(&self) -> Moment {
        Moment::from_millis(since_boot().saturating_add(self.ahead()))
    }

    #[cfg(feature = "_hooks")]
    fn ahead(&self) -> u64 {
        self.ahead.load(std::sync::atomic::Ordering::SeqCst)
    }

    #[cfg(not(feature = "_hooks"))]
    #[allow(clippy::unused_self, reason = "the same shape with and without hooks")]
    fn ahead(&self) -> u64 {
        0
    }

    /// Simulates a suspension of that length.
    #[cfg(feature = "_hooks")]
    pub(crate) fn jump(&self, duration: std::time::Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let _ = self.ahead.fetch_add(millis, std::sync::atomic::Ordering::SeqCst);
    }
}

/// Milliseconds since boot, suspension included. `Instant` leaves it out on Linux.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(millis)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn since_boot() -> u64 {
    use std::{sync::LazyLock, time::Instant};
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use crate::clock::uptime::*;

    #[test]
    fn time_goes_on() {
        let uptime = Uptime::default();
        assert!(uptime.now() <= uptime.now());
    }
}
