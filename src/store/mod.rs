//! Storage of session records: the [`Store`] trait, for authors of stores.
//!
//! The stores themselves, `DurableStore`, [`RedisStore`](crate::RedisStore), `DatabaseStore` and
//! [`MemoryStore`](crate::MemoryStore), are in the crate's root. To write another, implement
//! [`Store`] and run `testing::conformance` (feature `testing`) against it.
//!
//! ```
//! use tower_redis_session::{MemoryStore, SessionId, store::Store};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_redis_session::Error> {
//! let store = MemoryStore::new();
//! assert!(store.load(&SessionId::from([7; 32])).await?.is_none());
//! # Ok(())
//! # }
//! ```

// | file | holds |
// |---|---|
// | `contract` | `Store`: the trait that every store implements |
// | `login` | `LoginWrite`: the parameters of a sign-in |
// | `outcome` | `Expected` and `SaveOutcome`: the condition of a write and its result |
// | `memory` | `MemoryStore`: the reference model, for tests |
// | `redis` | `RedisStore`, and the copies in front of a database |
// | `database` | `DatabaseStore` on SQLite or PostgreSQL |
// | `durable` | `DurableStore`: a database with Redis in front |

mod contract;
#[cfg(feature = "_database")]
#[cfg_attr(
    not(feature = "redis"),
    allow(dead_code, unused_imports, reason = "for the durable store")
)]
pub(crate) mod database;
#[cfg(all(feature = "redis", feature = "_database"))]
pub(crate) mod durable;
mod login;
pub(crate) mod memory;
mod outcome;
#[cfg(feature = "redis")]
pub(crate) mod redis;

pub use crate::store::contract::{Store, StoreFuture};
pub use crate::store::login::LoginWrite;
pub use crate::{
    session::record::{Record, Touch},
    store::outcome::{Expected, SaveOutcome},
};
