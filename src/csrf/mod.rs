//! Protection against cross-site request forgery (CSRF): [`CsrfLayer`] rejects requests that
//! another site's page made in a visitor's name.
//!
//! Apply it inside of [`RedisSessionLayer`](crate::RedisSessionLayer); pages send the token of
//! [`SessionContext::csrf_token`](crate::SessionContext::csrf_token) in a form field or a header.
//!
//! ```
//! use tower::{ServiceBuilder, service_fn};
//! use tower_redis_session::{Error, MemoryStore, RedisSessionLayer, csrf::{CsrfBody, CsrfLayer}};
//!
//! let service = ServiceBuilder::new()
//!     .layer(RedisSessionLayer::builder(MemoryStore::new()).build()?)
//!     .layer(CsrfLayer::new())
//!     .service(service_fn(async |_: http::Request<CsrfBody<String>>| {
//!         Ok::<_, Error>(http::Response::new(String::new()))
//!     }));
//! # drop(service);
//! # Ok::<(), tower_redis_session::ConfigError>(())
//! ```

// | file | holds |
// |---|---|
// | `layer` | `CsrfLayer`, and what it requires of a request |
// | `builder` | its configuration, and `CsrfLayer::builder` |
// | `service`, `future`, `body` | the middleware |
// | `rules` | checks of a request's head: origin, token |
// | `by_head` | the same checks for the crate's own endpoints |
// | `reading`, `form` | the token's field in a form |
// | `token` | the token: issued and verified |
// | `context` | `SessionContext::csrf_token` and `verify_csrf` |
// | `error` | why a request is rejected |

mod body;
mod builder;
mod by_head;
mod context;
mod error;
mod form;
mod future;
mod layer;
mod reading;
mod rules;
mod service;
mod token;

pub use crate::csrf::body::CsrfBody;
pub use crate::csrf::builder::CsrfBuilder;
pub(crate) use crate::csrf::by_head::verify_head;
pub use crate::csrf::error::{CsrfError, CsrfErrorKind};
pub use crate::csrf::future::CsrfFuture;
pub use crate::csrf::layer::CsrfLayer;
pub use crate::csrf::service::CsrfService;
pub use crate::csrf::token::CsrfToken;

#[cfg(any(test, fuzzing))]
pub(crate) use crate::csrf::{
    form::field,
    token::{Claim, CsrfKey},
};
