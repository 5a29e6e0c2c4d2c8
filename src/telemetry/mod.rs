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
// | `cause` | why a session ended, and who ended it |
// | `events` | the stream of events, and the log |
// | `log` | the log line of an event |
// | `counters` | counts of events |
// | `health` | `Health`: the health of the stores |
// | `in_span` | a future in a span |
// | `instruments` | what is recorded as metrics; nothing without the feature |
// | `facade` | the series of the `metrics` facade |
// | `report` | status and counters as JSON and as metrics |
// | `exposition` | the text format of Prometheus |

pub(crate) mod cause;
pub(crate) mod counters;
pub(crate) mod event;
pub(crate) mod events;
mod exposition;
#[cfg(feature = "metrics")]
mod facade;
pub(crate) mod health;
pub(crate) mod in_span;
pub(crate) mod instruments;
mod log;
pub(crate) mod report;

#[cfg(feature = "metrics")]
pub use crate::telemetry::facade::describe_metrics;
pub use crate::telemetry::{
    cause::Cause,
    event::{Event, EventDevice, ThrottledBy},
    events::{EventStream, Events},
    health::{BackendHealth, CacheHealth, Health, Serving},
    report::Report,
};
