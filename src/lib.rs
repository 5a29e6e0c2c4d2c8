//! Server-side HTTP sessions for any Tower service, kept in Redis, with a database behind it: when
//! Redis fails, users stay signed in.
//!
//! [`RedisSessionLayer`] puts a [`SessionContext`] into the extensions of each request and stores
//! the handler's changes before the response is sent. Recipes are in the [cook-book].
//!
//! [cook-book]: https://docs.rs/crate/tower-redis-session/latest/source/docs/cook-book.md
//!
//! ```
//! use http::{Request, Response};
//! use tower::{BoxError, Layer, ServiceExt, service_fn};
//! use tower_redis_session::{Error, MemoryStore, RedisSessionLayer, SessionContext};
//!
//! async fn choose(request: Request<String>) -> Result<Response<String>, Error> {
//!     let session = SessionContext::from_extensions(request.extensions())?;
//!     session.insert("theme", "dark").await?;
//!     Ok(Response::new("saved".to_owned()))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
//! let service = layer.layer(service_fn(|request| async move {
//!     // The response to an error: 503 while the store is unavailable.
//!     let response = choose(request).await.unwrap_or_else(|error| error.response());
//!     Ok::<_, std::convert::Infallible>(response)
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
//! | [`limiter`] | limits guessing: failed sign-ins by account and by network |
//! | [`session_api`] | the session's state as JSON and server-sent events, for pages and scripts |
//! | [`admin_api`] | sessions of any user and the state of the stores, for administrators |
//! | [`directory`] | the application's users, and a cache of them in Redis |
//! | [`telemetry`] | events, health, counters |
//! | [`encryption`] | records that only the client's token opens; key ring |
//! | [`import`] | sessions of other libraries, read by their cookies and bytes, and taken over |
//! | [`context`] | what the handle's methods return |
//! | [`layer`] | the middleware's parts, savepoints, clients' addresses |
//! | [`response`] | error responses: one function for layer, guards and CSRF |
//! | [`store`], [`clock`] | for authors of stores and for tests |
//! | `testing` | a client for tests of handlers; the conformance suite for stores |
//!
//! # Life of a request
//!
//! 1. The layer inserts the handle and calls the inner service at once. Nothing is parsed.
//! 2. The first method that needs the record finds the cookie, derives the public id from the
//!    secret in it, and loads the record: one round trip, at most once.
//! 3. Changes are buffered as data. When the handler returns they are applied to the record, which
//!    is saved if its version is still the one that was loaded. If it is not, they are applied to
//!    the current record, key by key; if the session has ended, they are dropped.
//! 4. The head is sent, with `Set-Cookie` only if the cookie changed, and `Vary: Cookie` if the
//!    session was read.
//! 5. Changes by a streaming body are saved before its last frame. Then the handle is closed.
//!
//! [`update`](SessionContext::update), [`take_once`](SessionContext::take_once),
//! [`save`](SessionContext::save) and [`logout`](SessionContext::logout) write at once instead.
//!
//! # Errors
//!
//! [`ErrorKind`] distinguishes an absent session, an expired one, an unreadable one and an
//! unreachable store. An unreachable store is never treated as "no session": methods fail with
//! `Unavailable`, whose response is 503 with `Retry-After`, and the cookie is not changed. If a
//! commit fails, the layer sends this response instead of the handler's. One function shapes this
//! response and those of guards and of CSRF protection: see [`response`].
//!
//! # After a logout
//!
//! The browser deletes the cookie. With `Clear-Site-Data` (W3C) it also deletes cached pages and
//! what scripts stored:
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
//! # Cross-site request forgery
//!
//! Browsers send cookies also with requests that another site's page makes.
//! [`CsrfLayer`](csrf::CsrfLayer), inside this layer, rejects them: by `Sec-Fetch-Site` or
//! `Origin`, and by a token of [`SessionContext::csrf_token`].
//!
//! # Stores
//!
//! - [`DurableStore`]: a database that keeps every session, and Redis for fast reads. Redis may
//!   fail in any way, and users stay signed in. Its docs say what is impossible; the run-book says
//!   what to do when something breaks.
//!
//!   ```no_run
//!   # #[cfg(all(feature = "redis", feature = "sqlite"))]
//!   # #[tokio::main(flavor = "current_thread")]
//!   # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!   # use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig, RedisSessionLayer};
//!   let redis = RedisConfig::new("redis://127.0.0.1:6379");
//!   let store = DurableStore::builder(redis, DatabaseConfig::new("sqlite:sessions.db")).build()?;
//!   let sessions = RedisSessionLayer::builder(store).build()?;
//!   sessions.migrate().await?; // creates the tables; call it at every start
//!   # Ok(())
//!   # }
//!   # #[cfg(not(all(feature = "redis", feature = "sqlite")))]
//!   # fn main() {}
//!   ```
//! - [`RedisStore`]: Redis alone. Sessions live as long as Redis keeps them.
//! - [`DatabaseStore`]: a SQLite file or PostgreSQL alone.
//! - [`MemoryStore`]: for tests, with a [`ManualClock`](clock::ManualClock) so that they need
//!   neither servers nor sleeps.
//! - Your own: implement [`UserStore`](store::UserStore), or [`Store`](store::Store) alone if it
//!   keeps no index of users' sessions. [`store`] has an example, and the `testing` feature checks
//!   the contract.
//!
//! [`SessionAdmin::health`](layer::SessionAdmin::health) returns the health of the store,
//! [`report`](layer::SessionAdmin::report) adds counters of events, as JSON and as metrics.
//!
//! # Users, platforms and settings
//!
//! Implement [`Directory`](directory::Directory) for the application's users. A session then
//! returns [its user](SessionContext::user_info) and [the active
//! platform](SessionContext::platform_info), [switches it](SessionContext::switch_platform), and
//! [ends when its user is deactivated or deleted](SessionContext::validate_user).
//! [`CachedDirectory`](directory::CachedDirectory) (feature `redis`) caches the entries in Redis:
//! one loader at a time, no stale value after a change, a fallback to the source when Redis is
//! unavailable, and credentials only as ciphertext (feature `encryption`).
//!
//! # Deployment caveats
//!
//! - `SameSite` is not sufficient protection against cross-site requests: use `CsrfLayer`.
//! - A tokio runtime with its timer is required; it bounds the layer's waits.
//! - A retry layer, or another one that calls the inner service again, belongs outside this layer,
//!   or needs a [`SavepointLayer`](layer::SavepointLayer) inside it: otherwise the changes of a
//!   failed attempt are applied by the next one.
//! - Put timeout layers outside this one, so that a handler that times out is dropped and its
//!   buffered changes are discarded, as those of a client that disconnected.
//! - Call [`RedisSessionLayer::shutdown`] after the server has drained its connections.
//! - With Redis alone, a server that restarts from a snapshot, fails over to a lagging replica, or
//!   evicts keys can restore a session that was logged out, or lose one. Run it with
//!   `maxmemory-policy noeviction`. The absolute timeout limits the damage.
//! - A streaming body cannot send a cookie: a change that would create a session fails with
//!   `Closed`.
//!
//! # Cargo features
//!
//! | feature | adds |
//! |---|---|
//! | `redis` (default) | [`RedisStore`] and [`RedisConfig`] |
//! | `sqlite` | [`DatabaseStore`] on a SQLite file, and with `redis` [`DurableStore`] |
//! | `postgres` | the same on PostgreSQL |
//! | `tls` | `rediss://` addresses, TLS to PostgreSQL, by rustls and the system's certificates |
//! | `sqlx-pool` | a database store on an existing pool of `sqlx`, whose version is then public |
//! | `encryption` | records that only the client's token opens, [`seal_records`](RedisSessionLayerBuilder::seal_records); [`KeyRing`](encryption::KeyRing) |
//! | `import` | the sessions of other libraries, taken over at their first request: [`import`] |
//! | `axum` | [`SessionContext`] and `guard::SignedIn` as arguments of axum's handlers |
//! | `metrics` | histograms and counters through the `metrics` facade, [listed here](telemetry::describe_metrics) |
//! | `cli` | the command `tower-redis-session`: `cargo install tower-redis-session --features cli` |
//! | `testing` | a client for tests of handlers; the conformance suite for authors of stores |
//!
//! # Names of the Python modules that this crate replaces
//!
//! For the application whose session modules in Python were the model of this crate.
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
//! | `DatabaseSessionMiddleware` | `DatabaseSessionLayer`, or rather a [`DurableStore`] |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The documentation links what these features add.
#![cfg_attr(
    not(all(
        feature = "redis",
        feature = "_database",
        feature = "encryption",
        feature = "import"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

pub mod admin_api;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod clock;
pub mod context;
pub mod csrf;
pub mod directory;
#[cfg(feature = "encryption")]
pub mod encryption;
mod env;
mod error;
pub mod guard;
#[cfg(feature = "import")]
pub mod import;
pub mod layer;
pub mod limiter;
mod request;
pub mod response;
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
#[cfg(all(feature = "sqlx-pool", feature = "_database"))]
pub use store::database::sqlx;
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
