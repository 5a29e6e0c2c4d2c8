//! Server-side HTTP sessions for any Tower service, kept in Redis, surviving Redis.
//!
//! [`RedisSessionLayer`] puts a [`SessionContext`] into the extensions of each request and stores
//! what the handler changed before the response leaves.
//!
//! ```
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_redis_session::{Error, MemoryStore, RedisSessionLayer, SessionContext};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
//! let service = layer.layer(service_fn(|request: Request<String>| async move {
//!     let session = request.extensions().get::<SessionContext>().unwrap();
//!     session.insert("theme", "dark").await?;
//!     Ok::<_, Error>(Response::new("saved".to_owned()))
//! }));
//! let response = service.oneshot(Request::new(String::new())).await?;
//! assert!(response.headers().contains_key("set-cookie"));
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | module | subject |
//! |---|---|
//! | [`csrf`] | protection against cross-site request forgery |
//! | [`guard`] | rejects requests without a session, a user, a role; axum extractors |
//! | [`session_api`] | the session's state as JSON and server-sent events, for pages and scripts |
//! | [`directory`] | the application's users, and a cache of them in Redis |
//! | [`telemetry`] | events, health, counters |
//! | `encryption` | records that only the client's token opens; key ring |
//! | [`context`] | what the handle's methods return |
//! | [`layer`] | the middleware's parts, savepoints, clients' addresses |
//! | [`store`], [`clock`] | for authors of stores and for tests |
//!
//! # Life of a request
//!
//! 1. The layer inserts the handle and calls the inner service at once. Nothing is parsed.
//! 2. The first method that needs the record finds the cookie, derives the public id from the
//!    secret in it, and loads: one round trip, at most once.
//! 3. Changes are buffered as data. When the handler is done they are applied to the record and
//!    saved if its version is still the one that was loaded. If it is not, they are applied to the
//!    fresh record, key by key; if the session has ended, they are dropped.
//! 4. The head leaves, with `Set-Cookie` only if something about the cookie changed, and
//!    `Vary: Cookie` if the session was looked at.
//! 5. What a streaming body changes is saved before its last frame. Then the handle is closed.
//!
//! [`update`](SessionContext::update), [`take_once`](SessionContext::take_once),
//! [`save`](SessionContext::save) and [`logout`](SessionContext::logout) act at once instead.
//!
//! # Which errors to expect
//!
//! [`ErrorKind`] tells an absent session from an expired one, an unreadable one and a store that
//! does not answer. A store that does not answer is never taken for "no session": methods fail with
//! `Unavailable`, the ready answer is 503 with `Retry-After`, and the cookie stays as it is. If a
//! commit fails the layer itself answers so, instead of the handler's response; see
//! [`RedisSessionLayer::on_error`].
//!
//! # After a logout
//!
//! The browser loses the cookie. It forgets pages, too, and what scripts stored, if the application
//! says so (W3C Clear Site Data):
//!
//! ```
//! # tower_redis_session::testing::handle(|session| async move {
//! # session.login("alice").await?;
//! session.logout().await?;
//! let response = http::Response::builder()
//!     .header("clear-site-data", r#""cache", "storage""#)
//!     .body("signed out");
//! # assert!(response.is_ok());
//! # Ok(())
//! # });
//! ```
//!
//! # Forged requests
//!
//! Browsers send cookies with whatever page makes them send a request.
//! [`CsrfLayer`](csrf::CsrfLayer), inside of this layer, lets only those pass that come from a page
//! of the session: by `Sec-Fetch-Site` or `Origin`, and by a token of
//! [`SessionContext::csrf_token`].
//!
//! # Stores
//!
//! - `DurableStore`: a database that keeps every session and Redis that makes reads fast. Redis may
//!   die in any way, and nobody is signed out. Its docs say what is impossible; the run-book in the
//!   repository what to do when something breaks.
//!
//!   ```no_run
//!   # #[cfg(all(feature = "redis", feature = "sqlite"))]
//!   # #[tokio::main(flavor = "current_thread")]
//!   # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!   # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig, RedisSessionLayer};
//!   let redis = RedisConfig::new("redis://127.0.0.1:6379");
//!   let store = DurableStore::builder(redis, DatabaseConfig::new("sqlite:sessions.db")).build()?;
//!   let sessions = RedisSessionLayer::builder(store).build()?;
//!   sessions.migrate().await?; // creates the tables; at every start
//!   # Ok(())
//!   # }
//!   # #[cfg(not(all(feature = "redis", feature = "sqlite")))]
//!   # fn main() {}
//!   ```
//! - [`RedisStore`]: Redis alone. Sessions live as long as Redis keeps them.
//! - `DatabaseStore`: a SQLite file or PostgreSQL alone.
//! - [`MemoryStore`]: for tests, with a [`ManualClock`](clock::ManualClock) so that they need
//!   neither servers nor sleeps.
//! - Your own: implement [`Store`](store::Store), whose contract the `testing` feature checks.
//!
//! [`SessionAdmin::health`](layer::SessionAdmin::health) tells how the store does,
//! [`report`](layer::SessionAdmin::report) this and how often what has happened, as JSON and as
//! metrics.
//!
//! # Users, platforms and settings
//!
//! Implement [`Directory`](directory::Directory) over whatever keeps your users, and a session can
//! tell [who its user is](SessionContext::user_info) and [which platform is
//! active](SessionContext::platform_info), [switch it](SessionContext::switch_platform), and [end
//! when its user is deactivated or deleted](SessionContext::validate_user). `CachedDirectory`
//! (feature `redis`) keeps the answers in Redis: one loader at a time, no old value after a change,
//! the source's own answer when Redis is away, and credentials only as ciphertext (feature
//! `encryption`).
//!
//! # Deployment caveats
//!
//! - `SameSite` is not protection against forged requests: check `Origin` or `Sec-Fetch-Site` on
//!   what changes state.
//! - Needs a tokio runtime with its timer; the layer's waits are bounded by it.
//! - What calls the inner service again, such as a retry layer, belongs outside of this layer, or
//!   has a [`SavepointLayer`](layer::SavepointLayer) inside of it: a failed attempt would leave its
//!   changes to the next.
//! - Put a time-out layer outside of this one: hyper drops a handler whose client is gone, and a
//!   handler that is dropped changes nothing.
//! - Call [`RedisSessionLayer::shutdown`] after the server has drained its connections.
//! - With Redis alone, a server that restarts from a snapshot, fails over to a replica that lags,
//!   or evicts keys can bring back a session that was logged out, or lose one. Run it with
//!   `maxmemory-policy noeviction`. The absolute timeout bounds the harm.
//! - A stream that changes a session for the first time cannot send a cookie any more: such a
//!   change is refused with `Closed`.
//!
//! # Cargo features
//!
//! | feature | adds |
//! |---|---|
//! | `redis` (default) | [`RedisStore`] and [`RedisConfig`] |
//! | `sqlite` | `DatabaseStore` on a SQLite file, and with `redis` `DurableStore` |
//! | `postgres` | the same on PostgreSQL |
//! | `tls` | `rediss://` addresses, TLS to PostgreSQL, by rustls and the system's certificates |
//! | `encryption` | records that only the client's token opens, `RedisSessionLayerBuilder::seal_records`; `KeyRing` |
//! | `axum` | [`SessionContext`] and `guard::SignedIn` as arguments of axum's handlers |
//! | `testing` | the conformance suite for authors of stores |
//!
//! # Coming from the session modules of the Python system
//!
//! | there | here |
//! |---|---|
//! | `get_current_session_context` | [`SessionContext::snapshot`] |
//! | `get_current_session_id` | [`SessionContext::id`] |
//! | `get_current_user_id` | [`SessionContext::user_id`] |
//! | `get_current_platform_id` | [`SessionContext::platform_id`] |
//! | `update_session_platform` | [`SessionContext::switch_platform`], [`SessionContext::set_platform`] |
//! | `clear_session_platform` | [`SessionContext::clear_platform`], [`SessionAdmin::clear_platform_of`](layer::SessionAdmin::clear_platform_of) |
//! | `create_user_session` | [`SessionContext::login`] |
//! | `destroy_current_session` | [`SessionContext::logout`], [`SessionContext::logout_everywhere`] |
//! | `validate_current_session` | [`SessionContext::validate`], [`SessionContext::validate_user`] |
//! | `update_session_activity` | [`SessionContext::touch`] |
//! | `get_current_user_info` | [`SessionContext::user_info`] |
//! | `get_current_platform_info`, `ensure_platform` | [`SessionContext::platform_info`] |
//! | `get_user_settings` | [`Directory::settings`](directory::Directory::settings) |
//! | `get_session_created_at` | [`SessionContext::created_at`] |
//! | `get_session_last_activity` | [`SessionContext::last_activity`] |
//! | `DatabaseSessionMiddleware` | `DatabaseSessionLayer`, or rather a `DurableStore` |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
pub mod context;
pub mod csrf;
pub mod directory;
#[cfg(feature = "encryption")]
pub mod encryption;
mod env;
mod error;
pub mod guard;
pub mod layer;
mod request;
mod session;
pub mod session_api;
pub mod store;
mod sync;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transport;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

pub use clock::timestamp::Timestamp;
pub use context::handle::SessionContext;
pub use env::EnvConfig;
pub use error::{ConfigError, Error, ErrorKind};
pub use layer::{builder::RedisSessionLayerBuilder, session_layer::RedisSessionLayer};
pub use session::{expiry::SessionExpiry, key::Key, token::SessionId};
#[cfg(feature = "_database")]
pub use store::database::{DatabaseConfig, DatabaseStore};
#[cfg(all(feature = "redis", feature = "_database"))]
pub use store::durable::{DurableStore, builder::DurableStoreBuilder};
pub use store::memory::MemoryStore;
#[cfg(feature = "redis")]
pub use store::redis::{RedisConfig, RedisStore};
pub use transport::{
    Transport,
    cookie::{CookieConfig, SameSite},
};

/// Places where this crate's own tests hold a store or move its clock.
#[cfg(feature = "_hooks")]
pub mod hooks {
    pub use crate::store::durable::hooks::Hooks;
}

/// The README's programs, run as tests.
#[cfg(all(doctest, feature = "axum", feature = "redis", feature = "_database"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The programs of the cook-book, run as tests.
#[cfg(all(doctest, feature = "axum", feature = "testing"))]
#[doc = include_str!("../docs/cook-book.md")]
struct CookBook;
