//! The future of a store's methods.

use std::{future::Future, pin::Pin};

use crate::error::Error;

/// What a store's methods return: a boxed future, so that a layer can hold any store.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;
