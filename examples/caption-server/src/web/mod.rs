//! HTTP, and nothing of what the application is for.
//!
//! - [`server`]: connections, accepted within bounds and drained at the end
//! - [`headers`], [`log`]: middleware for every response
//! - [`form`], [`upload`]: request bodies, read within bounds
//! - [`reply`]: small responses

pub(crate) mod form;
pub(crate) mod headers;
pub(crate) mod log;
pub(crate) mod reply;
pub(crate) mod server;
pub(crate) mod upload;

use std::io;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// A body, wherever it comes from or goes to: a connection, or a test.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
