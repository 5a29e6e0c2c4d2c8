//! The session of a request.

use salvo::prelude::*;
use tower_redis_session::{Error, SessionContext};

/// An error becomes its response: 503 while the store is away.
pub(crate) fn failed(error: Error) -> StatusError {
    StatusError::from_code(error.status()).unwrap_or(StatusError::internal_server_error())
}

pub(crate) fn session(request: &Request) -> Result<SessionContext, StatusError> {
    let session = request.extensions().get::<SessionContext>().cloned();
    session.ok_or(StatusError::internal_server_error())
}
