//! What the tasks of one process share: locks and answers by key, pauses between attempts, circuit
//! breakers. Nothing here knows of sessions.

pub(crate) mod backoff;
#[cfg(any(feature = "redis", feature = "_database"))]
pub(crate) mod circuit_breaker;
pub(crate) mod keyed_lock;
#[cfg(feature = "redis")]
pub(crate) mod single_flight;
mod slot_map;
