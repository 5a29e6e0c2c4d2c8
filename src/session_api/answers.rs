//! Responses of JSON endpoints: what was asked for, or the code of an error; no cache keeps them.

use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
};
use serde_json::{Value, json};

use crate::{
    context::SessionContext,
    error::Error,
    guard::{Denied, told_as_json},
};

pub(crate) fn ok<B: From<String>>(said: &Value) -> Response<B> {
    as_json(Response::new(said.to_string()))
}

pub(crate) fn told<B: From<String>>(status: StatusCode, code: &'static str) -> Response<B> {
    let mut response = ok(&json!({ "error": code }));
    *response.status_mut() = status;
    response
}

pub(crate) fn not_allowed<B: From<String>>(methods: &'static str) -> Response<B> {
    let mut response = told(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    let _ = response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

/// As a guard responds to this error.
pub(crate) fn refused<B: From<String>>(session: &SessionContext, error: Error) -> Response<B> {
    as_json(told_as_json(&Denied::from(error), Some(session)))
}

pub(crate) fn as_json<B: From<String>>(mut response: Response<String>) -> Response<B> {
    let headers = response.headers_mut();
    let _ = headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let _ = headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.map(B::from)
}
