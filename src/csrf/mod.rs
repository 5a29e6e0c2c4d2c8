//! Protection against forged requests: tokens that are bound to the session, and the layer that
//! asks for them.

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
pub use crate::csrf::error::{CsrfError, CsrfFault};
pub use crate::csrf::future::CsrfFuture;
pub use crate::csrf::layer::CsrfLayer;
pub use crate::csrf::service::CsrfService;
pub use crate::csrf::token::CsrfToken;

#[cfg(any(test, fuzzing))]
pub(crate) use crate::csrf::{
    form::field,
    token::{Claim, CsrfKey},
};
