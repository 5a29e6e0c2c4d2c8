//! Route guards: middleware that rejects requests whose session does not meet a condition.
//!
//! A guard stands inside of [`RedisSessionLayer`](crate::RedisSessionLayer), and guards can stand
//! in each other. It asks before the request goes on, and answers in its place: browsers are sent
//! to where they can get what is missing, other clients are told in JSON.
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
//! `next` is the [place that was asked for](requested_place), also inside of a router that strips
//! the prefix of what it nests. A login page that sends on whoever is signed in has to ask all the
//! same where a guard wants a fresh sign-in, or the two send the browser to and fro.
//!
//! A guard asks when a request comes. One that is under way when the session ends goes on to its
//! end; what it does to the session is dropped. A store that does not answer is no reason to send
//! anybody to sign in: that is a 503, for browsers too.

// | file | holds |
// |---|---|
// | `layer` | `RequireLayer` |
// | `service` | the middleware |
// | `condition` | what a request may need: a session, a user, a platform, a role |
// | `permissions` | what a user may do, asked for once a request |
// | `denied` | why a request is rejected |
// | `answer` | the response to it: JSON, a redirect, whichever the client takes |
// | `body` | the response's body: the inner service's, or the denial's |
// | `next` | where to go after a sign-in |
// | `extract` | extractors of axum |

mod answer;
mod body;
mod condition;
mod denied;
#[cfg(feature = "axum")]
mod extract;
mod layer;
mod next;
mod permissions;
mod service;

pub use crate::context::place::requested_place;
pub(crate) use crate::guard::answer::told_as_json;
pub use crate::guard::answer::{Deny, DenyWith};
pub use crate::guard::body::RequireBody;
pub use crate::guard::condition::{Condition, Fresh, Platform, Predicate, Role, Session, User};
pub use crate::guard::denied::{Denied, DeniedKind};
#[cfg(feature = "axum")]
pub use crate::guard::extract::{OnPlatform, Rejection, SignedIn};
pub use crate::guard::layer::RequireLayer;
pub use crate::guard::next::safe_next;
pub use crate::guard::permissions::{HasPermissions, Permissions};
pub use crate::guard::service::{RequireFuture, RequireService};
