//! Room.

pub(crate) mod keyed_lock;
#[cfg(feature = "redis")]
pub(crate) mod single_flight;
