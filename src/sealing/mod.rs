//! Room.

#[cfg(feature = "sealed")]
pub(crate) mod key_ring;
#[cfg(feature = "sealed")]
pub(crate) mod records;
