//! Protection against cross-site request forgery.
//!
//! | file | holds |
//! |---|---|
//! | `layer` | `CsrfLayer`, and what it asks of a request |
//! | `builder` | its configuration, and `CsrfLayer::builder` |
//! | `service`, `future`, `body` | the middleware |
//! | `rules` | what the head of a request has to bring: origin, token |
//! | `reading`, `form` | the token's field in a form |
//! | `token` | the token: issued and verified |
//! | `context` | `SessionContext::csrf_token` and `verify_csrf` |
//! | `error` | why a request is rejected |

mod body;
mod builder;
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
