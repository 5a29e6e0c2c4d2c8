//! Responses that replace the handler's when the commit failed.

use std::sync::Arc;

use http::{HeaderMap, Response};
use http_body::Body;

use crate::{error::Error, layer::grpc::grpc_content_type};

/// Builds the response to a failed commit; see `RedisSessionLayer::on_error`.
///
/// `B` is the body of the handler's responses. A body of `None` is an empty one.
pub trait ErrorResponse<B: Body>: Clone {
    /// The response's body. It may differ from the handler's, but has the same data type, mostly
    /// `Bytes`.
    type Body: Body<Data = B::Data>;

    /// The response sent in place of the handler's, which had the headers `replaced`.
    fn answer(&self, error: &Error, replaced: &HeaderMap) -> Response<Option<Self::Body>>;
}

/// Responds with [`Error::status`], `Retry-After` and no body; in place of a gRPC response as
/// [`Error::grpc_response`] does.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainErrorResponse;

impl<B: Body> ErrorResponse<B> for PlainErrorResponse {
    type Body = B;

    fn answer(&self, error: &Error, replaced: &HeaderMap) -> Response<Option<B>> {
        let head = match grpc_content_type(replaced) {
            Some(content_type) => error.grpc_head(content_type),
            None => error.head(),
        };
        head.map(|()| None)
    }
}

/// Responds by a function of the caller.
pub struct ErrorResponseWith<F>(pub(crate) Arc<F>);

impl<F, B, D> ErrorResponse<B> for ErrorResponseWith<F>
where
    F: Fn(&Error) -> Response<D>,
    B: Body,
    D: Body<Data = B::Data>,
{
    type Body = D;

    fn answer(&self, error: &Error, _: &HeaderMap) -> Response<Option<D>> {
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
