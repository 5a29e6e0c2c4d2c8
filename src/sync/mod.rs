//! Coordination of the tasks of one process. Independent of sessions.
//!
//! | file | holds |
//! |---|---|
//! | `keyed_lock` | one writer per key at a time |
//! | `single_flight` | one load per key at a time, whose result is shared |
//! | `carried` | work that completes even if its caller is dropped |
//! | `one_at_a_time` | one task per key at a time; others skip it |
//! | `slot_map` | the map that these are built on: slots by key, removed with their last holder |
//! | `backoff` | pauses between attempts |
//! | `circuit_breaker` | stops calls after consecutive failures, and retries |

pub(crate) mod backoff;
pub(crate) mod carried;
#[cfg(any(feature = "redis", feature = "_database"))]
pub(crate) mod circuit_breaker;
pub(crate) mod keyed_lock;
pub(crate) mod one_at_a_time;
#[cfg(feature = "redis")]
pub(crate) mod single_flight;
mod slot_map;
