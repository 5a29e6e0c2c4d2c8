//! Protection against forged requests: tokens that are bound to the session, and the layer that
//! asks for them.

mod body;
mod builder;
mod context;
mod error;
mod form;
mod future;
mod layer;
mod origin;
mod reading;
mod rules;
mod service;
mod token;

pub use body::CsrfBody;
pub use builder::CsrfBuilder;
pub use error::{CsrfError, CsrfFault};
pub use future::CsrfFuture;
pub use layer::CsrfLayer;
pub use service::CsrfService;
pub use token::CsrfToken;

#[cfg(any(test, fuzzing))]
pub(crate) use {
    form::field,
    token::{Claim, CsrfKey},
};
