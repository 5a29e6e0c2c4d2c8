//! Coordination of the tasks of one process. Nothing here knows of sessions.
//!
//! | file | holds |
//! |---|---|
//! | `keyed_lock` | one writer a key at a time |
//! | `single_flight` | one load a key at a time, whose answer is shared |
//! | `carried` | work that runs to its end if its caller is dropped |
//! | `one_at_a_time` | one task a key at a time; the others do without |
//! | `slot_map` | what both are built on: slots by key, gone with their last holder |
//! | `backoff` | pauses between attempts |
//! | `circuit_breaker` | failures in a row, open, try again |

pub(crate) mod backoff;
pub(crate) mod carried;
#[cfg(any(feature = "redis", feature = "_database"))]
pub(crate) mod circuit_breaker;
pub(crate) mod keyed_lock;
pub(crate) mod one_at_a_time;
#[cfg(feature = "redis")]
pub(crate) mod single_flight;
mod slot_map;
