//! Responses that replace the handler's when the commit failed.

use std::sync::Arc;

use http::Response;

use crate::error::Error;

/// Makes the answer to a failed commit; see `RedisSessionLayer::on_error`.
///
/// A body of `None` is an empty one.
pub trait ErrorResponse<B>: Clone {
    /// The response that goes out instead of the handler's.
    fn answer(&self, error: &Error) -> Response<Option<B>>;
}

/// Answers with [`Error::status`], `Retry-After` and no body.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainErrorResponse;

impl<B> ErrorResponse<B> for PlainErrorResponse {
    fn answer(&self, error: &Error) -> Response<Option<B>> {
        error.head().map(|()| None)
    }
}

/// Answers by a function of the caller's.
pub struct ErrorResponseWith<F>(pub(crate) Arc<F>);

impl<F, B> ErrorResponse<B> for ErrorResponseWith<F>
where
    F: Fn(&Error) -> Response<B>,
{
    fn answer(&self, error: &Error) -> Response<Option<B>> {
        (self.0)(error).map(Some)
    }
}

impl<F> Clone for ErrorResponseWith<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> std::fmt::Debug for ErrorResponseWith<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ErrorResponseWith(..)")
    }
}
