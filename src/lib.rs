//! Server-side HTTP sessions for any Tower service, kept in Redis.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod body;
mod changes;
mod clock;
mod commit;
mod config;
mod context;
mod cookie;
mod error;
mod expiry;
mod future;
mod identity;
mod layer;
mod record;
mod request;
mod response;
mod running;
mod service;
mod store;
mod timestamp;
mod token;
mod update;
mod values;

#[doc(hidden)]
pub mod doc;

pub use body::{BodyError, SessionBody};
pub use clock::{Clock, ManualClock};
pub use config::Config;
pub use context::SessionContext;
pub use cookie::{CookieConfig, SameSite};
pub use error::{ConfigError, Error, ErrorKind};
pub use expiry::SessionExpiry;
pub use future::ResponseFuture;
pub use identity::Snapshot;
pub use layer::{Builder, RedisSessionLayer};
pub use record::{Activity, Record};
pub use response::{Answer, AnswerWith, PlainAnswer};
pub use service::RedisSessionService;
#[cfg(feature = "redis")]
pub use store::redis::{RedisConfig, RedisStore};
pub use store::{Expected, SaveOutcome, Store, StoreFuture, memory::MemoryStore};
pub use timestamp::Timestamp;
pub use token::SessionId;
