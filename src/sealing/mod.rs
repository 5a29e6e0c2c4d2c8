//! Encryption of data at rest.
//!
//! | file | holds |
//! |---|---|
//! | `key_ring` | the keys, and their rotation |
//! | `records` | records that only the client's token opens |

#[cfg(feature = "encryption")]
pub(crate) mod key_ring;
#[cfg(feature = "encryption")]
pub(crate) mod records;
