//! The head of a request, for an error response after the handler has consumed the request.

use http::{HeaderMap, HeaderValue, Method, Request, header::CONTENT_TYPE, request::Parts};

use crate::{request::RequestSession, response::grpc::grpc_content_type};

/// A copy of a request's head, for error responses that read it.
pub(crate) fn copy<B>(request: &Request<B>) -> Box<Parts> {
    let mut head = empty();
    head.method = request.method().clone();
    head.uri = request.uri().clone();
    head.version = request.version();
    head.headers = request.headers().clone();
    head
}

/// What is known without a copy: the path, `HEAD`, and the content type of a gRPC call, which is
/// that of its response.
pub(crate) fn without_copy(
    session: &RequestSession,
    replaced: &HeaderMap<HeaderValue>,
) -> Box<Parts> {
    let mut head = empty();
    if session.is_head {
        head.method = Method::HEAD;
    }
    if let Some(asked) = &session.asked {
        head.uri = asked.clone().into();
    }
    if let Some(content_type) = grpc_content_type(replaced) {
        head.method = Method::POST;
        let _ = head.headers.insert(CONTENT_TYPE, content_type.clone());
    }
    head
}

fn empty() -> Box<Parts> {
    Box::new(Request::new(()).into_parts().0)
}
