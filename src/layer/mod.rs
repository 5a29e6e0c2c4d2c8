//! The middleware's parts: service, response future and body, [`SavepointLayer`] for retries, and
//! how a client's address is found.
//!
//! [`RedisSessionLayer`] and its builder are in the crate's root.
//!
//! ```
//! use tower_redis_session::{MemoryStore, RedisSessionLayer, layer::DeviceConfig};
//!
//! // Behind one proxy that appends to `X-Forwarded-For`.
//! let devices = DeviceConfig::new().trusted_proxies(["10.0.0.0/8"])?;
//! let sessions = RedisSessionLayer::builder(MemoryStore::new()).devices(devices).build()?;
//! # drop(sessions);
//! # Ok::<(), tower_redis_session::ConfigError>(())
//! ```

// | file | holds |
// |---|---|
// | `session_layer` | `RedisSessionLayer`: migration, check, events, shutdown |
// | `admin` | `SessionAdmin`: health, report and events; the sessions of any user |
// | `provider_logout` | `SessionAdmin::revoke_by_external_id` |
// | `builder` | its configuration, and `RedisSessionLayer::builder` |
// | `service` | puts the handle into the request |
// | `future` | commits before the head of the response leaves |
// | `body` | commits what a streaming body changes |
// | `savepoint` | `SavepointLayer`: discards the changes of failed attempts |
// | `response` | `Set-Cookie`, `Vary`, `Cache-Control` and its substitutes |
// | `kept_head` | the request's head, for the response to a failed commit |
// | `database_layer` | the deprecated `DatabaseSessionLayer` |

mod admin;
pub(crate) mod body;
pub(crate) mod builder;
#[cfg(feature = "_database")]
pub(crate) mod database_layer;
pub(crate) mod future;
mod kept_head;
mod provider_logout;
pub(crate) mod response;
pub(crate) mod savepoint;
pub(crate) mod service;
pub(crate) mod session_layer;

#[cfg(feature = "_database")]
#[allow(deprecated, reason = "deprecated for its users")]
pub use crate::layer::database_layer::DatabaseSessionLayer;
pub(crate) use crate::layer::session_layer::RedisSessionLayer;
pub use crate::{
    layer::{
        admin::SessionAdmin,
        body::SessionBody,
        future::ResponseFuture,
        savepoint::{SavepointFuture, SavepointLayer, SavepointService},
        service::RedisSessionService,
    },
    request::{
        client::{DeviceConfig, PeerAddress},
        success::Success,
    },
};
