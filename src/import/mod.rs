//! Sessions of other libraries, read by their cookies and their stored bytes. Feature `import`.
//!
//! For a service that moves to this crate without signing its users out:
//! [`Importer::find`] verifies the old cookie and returns the key of the old session,
//! [`Importer::decode`] reads what is stored under it. Sessions of any other system come as
//! [JSON lines](decode_line).
//!
//! ```
//! use tower_redis_session::import::{Format, Importer};
//!
//! let importer = Importer::builder(Format::ActixSession)
//!     .private_cookie([7; 64]) // the key of the old service
//!     .user_at(["user_id"])
//!     .build()?;
//! let session = importer.decode("id", br#"{ "user_id": "42" }"#, None)?;
//! assert_eq!(session.user(), Some("42"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # At the first request
//!
//! [`TakeOver`] has the layer do the rest: the first request with an old cookie, and any that is
//! concurrent with it, is served with the old session under a new token, and the old cookie opens
//! nothing afterwards. `docs/import.md` specifies it.
//!
//! # In a handler
//!
//! Where the layer's way does not fit, a handler takes an old session over. `GETDEL` of Redis
//! returns the bytes to one of several concurrent requests only, so that there is one session:
//!
//! ```
//! use http::HeaderMap;
//! use tower_redis_session::{Error, SessionContext, import::Importer};
//! # struct OldRedis;
//! # impl OldRedis {
//! #     async fn getdel(&self, _: &str) -> Result<Option<Vec<u8>>, Error> { Ok(None) }
//! # }
//!
//! /// Returns whether the response is to remove the old cookie.
//! async fn take_over(
//!     session: &SessionContext,
//!     headers: &HeaderMap,
//!     importer: &Importer,
//!     redis: &OldRedis,
//! ) -> Result<bool, Error> {
//!     let [old] = &*importer.find(headers, None) else { return Ok(false) };
//!     if session.presented_id().is_some() {
//!         return Ok(false); // the new cookie counts
//!     }
//!     let Some(stored) = redis.getdel(old.key()).await? else { return Ok(false) };
//!     match importer.decode(old.id(), &stored, None) {
//!         Ok(imported) => imported.apply(session).await.map(|()| true),
//!         Err(error) => {
//!             eprintln!("old session rejected: {error}");
//!             Ok(true)
//!         }
//!     }
//! }
//! # let _ = take_over;
//! ```
//!
//! A concurrent second request finds nothing: it is served as a visitor's, and must not start a
//! session, whose cookie would replace that of the first response. If that response is lost, the
//! user signs in again.
//!
//! # Deployment caveats
//!
//! - In these libraries the id in the cookie is also the key in the store: a reader of the old
//!   store can sign in as any user until the old sessions are deleted.
//! - A plain cookie proves nothing but knowledge of the id.
//! - Pickle and PHP's `serialize` are rejected, never run.

// | file | holds |
// |---|---|
// | `importer` | `Importer`: from a request to the old key, from bytes to a session |
// | `builder` | its builder |
// | `settings` | what the old service was configured with |
// | `format` | the libraries, and their defaults |
// | `old_session` | id and key of an old session |
// | `old_sessions` | `OldSessions`: the old store, as the application gives access to it |
// | `redis` | `OldRedis`: the old store, if it is a Redis |
// | `take_over` | `TakeOver`: how a layer takes old sessions over at their first request |
// | `library` | importer and old store in one, as a layer sees them |
// | `cookie` | signatures and private cookies |
// | `stored` | decoders of the stored bytes |
// | `imported` | user, values and expiry in neutral form |
// | `apply` | storing them as the request's session |
// | `user` | the rule by which the application names the user |
// | `stamp` | the same for the user's stamp |
// | `line` | JSON lines |
// | `error` | `ImportError` |

mod apply;
mod builder;
mod cookie;
mod error;
mod format;
mod imported;
mod importer;
mod library;
mod line;
mod old_session;
mod old_sessions;
#[cfg(feature = "redis")]
mod redis;
mod settings;
mod stamp;
mod stored;
mod take_over;
mod user;

#[cfg(feature = "redis")]
pub use crate::import::redis::OldRedis;
pub use crate::import::{
    builder::ImporterBuilder,
    error::{ImportError, ImportErrorKind},
    format::{ClientPart, Format},
    imported::Imported,
    importer::Importer,
    line::{ImportedLine, decode_line},
    old_session::OldSession,
    old_sessions::{OldSessions, StoredSession},
    take_over::TakeOver,
};

#[cfg(any(test, fuzzing))]
pub(crate) use crate::import::stored::django::content as decode_django_data;

#[cfg(test)]
mod tests;
