//! Route guards: middleware that rejects requests whose session does not meet a condition.
//!
//! Apply a guard inside [`RedisSessionLayer`](crate::RedisSessionLayer); guards can be nested. It
//! checks its condition before the inner service is called, and responds in its place if the
//! condition is not met: browsers are redirected to the sign-in or platform page, other clients
//! receive JSON.
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//!
//! use http::{Request, Response, StatusCode, header::LOCATION};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_redis_session::{MemoryStore, RedisSessionLayer, guard::RequireLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let account = service_fn(async |_: Request<String>| {
//!     Ok::<_, Infallible>(Response::new("your account".to_owned()))
//! });
//! let service = ServiceBuilder::new()
//!     .layer(RedisSessionLayer::builder(MemoryStore::new()).build()?)
//!     .layer(RequireLayer::user())
//!     .layer(RequireLayer::fresh(Duration::from_secs(300)))
//!     .service(account);
//! let page = Request::get("/account?tab=keys").header("accept", "text/html");
//! let response = service.clone().oneshot(page.body(String::new())?).await?;
//! assert_eq!(response.status(), StatusCode::SEE_OTHER);
//! assert_eq!(response.headers()[LOCATION], "/login?next=%2Faccount%3Ftab%3Dkeys");
//! let call = Request::get("/account").header("accept", "application/json");
//! let response = service.oneshot(call.body(String::new())?).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```
//!
//! # Deployment caveat
//!
//! `next` is the [path and query of the original request](requested_place), also inside a router
//! that strips prefixes. A login page that redirects signed-in users must still ask for the
//! password when a guard requires a fresh sign-in; otherwise the browser is redirected in a loop.
//!
//! A guard checks once, when the request arrives. If the session ends later, the request runs to
//! its end, and its changes to the session are dropped. An unreachable store never redirects to the
//! login page: the response is 503, for browsers too.

// | file | holds |
// |---|---|
// | `layer` | `RequireLayer` |
// | `service` | the middleware |
// | `condition` | conditions: a session, a user, a platform, a role |
// | `permissions` | a user's permissions, looked up once per request |
// | `denied` | why a request is rejected |
// | `deny_with` | the response to it: JSON, a redirect, whichever the client takes |
// | `next` | where to go after a sign-in |
// | `extract` | extractors of axum |

mod condition;
mod denied;
mod deny_with;
#[cfg(feature = "axum")]
mod extract;
mod layer;
mod next;
mod permissions;
mod service;

pub use crate::context::place::requested_place;
pub use crate::guard::condition::{
    Condition, Fresh, Platform, Predicate, Role, Selective, Session, User,
};
pub use crate::guard::denied::{Denied, DeniedKind};
pub use crate::guard::deny_with::DenyWith;
pub(crate) use crate::guard::deny_with::told_as_json;
#[cfg(feature = "axum")]
pub use crate::guard::extract::{OnPlatform, Rejection, SignedIn};
pub use crate::guard::layer::RequireLayer;
pub use crate::guard::next::safe_next;
pub use crate::guard::permissions::{HasPermissions, Permissions};
pub use crate::guard::service::{RequireFuture, RequireService};
