//! The session of a request, and the responses to what fails.

use salvo::http::header::HeaderMap;
use salvo::prelude::*;
use tower_redis_session::{Error, SessionContext};

/// Status and headers of a response without a body.
pub(crate) struct Failed(StatusCode, HeaderMap);

/// An error becomes its response: 503 with `Retry-After` while the store is unreachable.
impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let (head, ()) = error.response().into_parts();
        Self(head.status, head.headers)
    }
}

impl From<StatusCode> for Failed {
    fn from(status: StatusCode) -> Self {
        Self(status, HeaderMap::new())
    }
}

impl Scribe for Failed {
    fn render(self, response: &mut Response) {
        response.status_code(self.0);
        response.headers_mut().extend(self.1);
    }
}

pub(crate) fn session(request: &Request) -> Result<SessionContext, Failed> {
    let session = request.extensions().get::<SessionContext>().cloned();
    session.ok_or(StatusCode::INTERNAL_SERVER_ERROR.into())
}
