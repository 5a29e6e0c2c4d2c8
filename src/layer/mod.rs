//! The Tower layer.
//!
//! | file | holds |
//! |---|---|
//! | `session_layer` | `RedisSessionLayer`: migration, check, events, shutdown |
//! | `admin` | its status and report; the sessions of a user, for an administrator |
//! | `builder` | its configuration, and `RedisSessionLayer::builder` |
//! | `service` | puts the handle into the request |
//! | `future` | commits before the head of the response leaves |
//! | `body` | commits what a streaming body changes |
//! | `savepoint` | `SavepointLayer`: attempts that leave nothing when they fail |
//! | `response` | `Set-Cookie`, `Vary`, `Cache-Control` and what is read in its place |
//! | `answer` | the response to a failed commit |
//! | `database_layer` | the deprecated `DatabaseSessionLayer` |

mod admin;
pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod builder;
#[cfg(feature = "_database")]
pub(crate) mod database_layer;
pub(crate) mod future;
pub(crate) mod response;
pub(crate) mod savepoint;
pub(crate) mod service;
mod session_layer;

pub use crate::layer::session_layer::RedisSessionLayer;
