//! Encryption of data at rest: session records that only the client's token opens, and keys for
//! cached credentials. Feature `encryption`.
//!
//! ```
//! use tower_redis_session::{MemoryStore, RedisSessionLayer, encryption::UnsealedRecords};
//!
//! let sessions = RedisSessionLayer::builder(MemoryStore::new())
//!     .seal_records(UnsealedRecords::Reject)
//!     .build()?;
//! # drop(sessions);
//! # Ok::<(), tower_redis_session::ConfigError>(())
//! ```

// | file | holds |
// |---|---|
// | `key_ring` | `KeyRing`: the keys, and their rotation |
// | `records` | records that only the client's token opens |

#[cfg(feature = "encryption")]
pub(crate) mod key_ring;
#[cfg(feature = "encryption")]
pub(crate) mod records;

pub use crate::encryption::{
    key_ring::{KeyRing, UnsealError},
    records::UnsealedRecords,
};
