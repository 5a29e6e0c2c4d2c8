//! Time: the wall clock that records live by, and the boot-time clock that leases are measured by.
//!
//! | file | holds |
//! |---|---|
//! | `wall_clock` | `Clock`: the system's time, or a `ManualClock`'s |
//! | `timestamp` | milliseconds since 1970 |
//! | `compared` | this process' clock beside those of the stores |
//! | `uptime` | the boot-time clock, which goes on while the machine sleeps |
//! | `moment` | a point in time on it |

#[cfg(any(feature = "redis", feature = "_database"))]
pub(crate) mod compared;
#[cfg(any(feature = "redis", feature = "_database"))]
pub(crate) mod moment;
pub(crate) mod timestamp;
#[cfg(any(feature = "redis", feature = "_database"))]
pub(crate) mod uptime;
mod wall_clock;

pub use crate::clock::wall_clock::{Clock, ManualClock};
