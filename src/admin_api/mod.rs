//! Administration API: endpoints for the pages and scripts of administrators, as a service for any
//! router. Sessions of any user, the end of one or of all, the state of the stores.
//!
//! | request | response |
//! |---|---|
//! | `GET status` | 200: the [report](crate::telemetry::Report): health of the stores, event counts |
//! | `GET sessions?user=alice` | 200: `sessions`, a page of the user's live ones, and `next` |
//! | `DELETE sessions/{id}?user=alice`, `POST sessions/{id}/revoke?user=alice` | 200: `revoked` |
//! | `DELETE sessions?user=alice`, `POST sessions/revoke-all?user=alice` | 200: `revoked`, the number |
//!
//! A page has 100 sessions, or `limit=` 1 to 1,000; `next` is the value of `after=` for the page
//! that follows, or null. Each session has the fields of
//! [`SessionInfo`](crate::context::SessionInfo); `current` marks the one of the request itself. To
//! end all sessions also ends the user's sign-ins in progress, as
//! [`revoke_all`](crate::layer::SessionAdmin::revoke_all) does.
//!
//! `user` is percent-encoded, with `+` for a space; it occurs once and has 1 to 1,024 bytes.
//! Otherwise the response is 400 with `invalid_user`. A session that the user does not have is a
//! 404 with `no_such_session`. All responses but the guard's are JSON and must not be cached; times
//! are RFC 3339. A store outage is a 503 with `Retry-After`. Only the end of the path counts, so
//! the service can be nested anywhere below the session layer. `GET` is not activity: a page that
//! polls keeps no administrator signed in.
//!
//! The events and log lines of what it ends have the cause `administrator`, and as `actor` the
//! user who is signed in; during an [impersonation](crate::SessionContext::impersonate) the
//! impersonator.
//!
//! # Guard
//!
//! There is no service without a guard, and none for all users who are signed in: the condition has
//! to be [`Selective`](crate::guard::Selective), such as a role, a permission, or a function.
//!
//! ```
//! use http::{Request, StatusCode};
//! use tower::{Layer, ServiceExt};
//! use tower_redis_session::{
//!     MemoryStore, RedisSessionLayer, admin_api::AdminApi, guard::{DenyWith, RequireLayer},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
//! let guard = RequireLayer::role("admin", |user: String| async move {
//!     Ok((user == "root").then(|| "admin".to_owned()))
//! });
//! let api = AdminApi::new(sessions.admin(), guard.on_denied(DenyWith::json()));
//! let request = Request::get("/admin/sessions?user=alice").body(())?;
//! let response = sessions.layer(api).oneshot(request).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```
//!
//! ```compile_fail,E0277
//! # use tower_redis_session::{MemoryStore, RedisSessionLayer};
//! # use tower_redis_session::{admin_api::AdminApi, guard::RequireLayer};
//! # let sessions = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
//! AdminApi::new(sessions.admin(), RequireLayer::user()); // every user would be an administrator
//! ```
//!
//! # Cross-site request forgery
//!
//! Requests that change something need a user who is signed in, whatever the guard, a token of
//! [`csrf_token`](crate::SessionContext::csrf_token) in the header `x-csrf-token`, and must not
//! come from another site. A [`CsrfLayer`](crate::csrf::CsrfLayer) outside decides in place of
//! this, unless it exempts the request. Where the session's token comes in a header, no page can
//! forge a request, and none is needed.

// | file | holds |
// |---|---|
// | `service` | `AdminApi`: the guard, and the service behind it |
// | `route` | which request goes to which endpoint |
// | `endpoints` | the response to each |

mod endpoints;
mod route;
mod service;

pub use crate::admin_api::service::{AdminApi, AdminApiFuture};
