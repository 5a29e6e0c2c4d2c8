//! Telemetry for operators: events, the health of the stores, counters as JSON and as metrics.
//!
//! ```
//! use tower_redis_session::{MemoryStore, RedisSessionLayer, telemetry::Serving};
//!
//! let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
//! assert_eq!(sessions.admin().health().serving, Serving::Memory);
//! println!("{}", sessions.admin().report().to_metrics());
//! # Ok::<(), tower_redis_session::ConfigError>(())
//! ```

// | file | holds |
// |---|---|
// | `event` | `Event`: what happens to sessions and stores |
// | `events` | the stream of events, and the log |
// | `counters` | counts of events |
// | `health` | `Health`: the health of the stores |
// | `report` | status and counters as JSON and as metrics |

pub(crate) mod counters;
pub(crate) mod event;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod report;

pub use crate::telemetry::{
    event::{Event, ThrottledBy},
    events::{EventStream, Events},
    health::{BackendHealth, CacheHealth, Health, Serving},
    report::Report,
};
