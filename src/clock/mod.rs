//! The wall clock of stores and layers: the system's, or one that a test moves by hand.
//!
//! ```
//! use std::time::Duration;
//! use tower_redis_session::{MemoryStore, RedisSessionLayer, clock::ManualClock};
//!
//! let clock = ManualClock::new();
//! let store = MemoryStore::with_clock(clock.clock());
//! let sessions = RedisSessionLayer::builder(store).build()?;
//! clock.advance(Duration::from_secs(3600)); // an hour later for every session
//! # drop(sessions);
//! # Ok::<(), tower_redis_session::ConfigError>(())
//! ```

// | file | holds |
// |---|---|
// | `wall_clock` | `Clock`: the system's time, or a `ManualClock`'s |
// | `timestamp` | milliseconds since 1970 |
// | `compared` | comparison of this process' clock with the stores' |
// | `uptime` | the boot-time clock, which advances while the machine sleeps |
// | `moment` | a point in time on it |

#[cfg(any(feature = "redis", feature = "_database"))]
pub(crate) mod compared;
#[cfg(any(feature = "redis", feature = "_database"))]
pub(crate) mod moment;
pub(crate) mod timestamp;
#[cfg(any(feature = "redis", feature = "_database"))]
pub(crate) mod uptime;
mod wall_clock;

pub use crate::clock::wall_clock::{Clock, ManualClock};
