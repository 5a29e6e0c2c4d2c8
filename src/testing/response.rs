//! Response to a test client.

#![allow(clippy::panic, reason = "a request that cannot be made has to fail the test")]

use std::{fmt, future::poll_fn, pin::pin};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use serde::de::DeserializeOwned;

/// A response, read to its end.
///
/// ```
/// # use tower::service_fn;
/// # use tower_redis_session::testing::{TestBody, TestSessions};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let client = TestSessions::new().client(service_fn(async |_: http::Request<TestBody>| {
/// #     http::Response::builder().header("x-visits", "1").body("[1]".to_owned())
/// # }));
/// let response = client.get("/").await;
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.header("x-visits"), Some("1"));
/// assert_eq!(response.text(), "[1]");
/// assert_eq!(response.json::<Vec<u32>>(), [1]);
/// # }
/// ```
pub struct TestResponse {
    what: String,
    response: Response<Bytes>,
}

impl TestResponse {
    pub(super) async fn read<R>(what: String, response: Response<R>) -> Self
    where
        R: Body,
        R::Error: fmt::Debug,
    {
        let (head, body) = response.into_parts();
        let (mut body, mut bytes) = (pin!(body), Vec::new());
        while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(mut data)) => bytes.extend_from_slice(&data.copy_to_bytes(data.remaining())),
                Ok(Err(_trailers)) => {}
                Err(error) => panic!("{what}: the response's body failed: {error:?}"),
            }
        }
        Self { what, response: Response::from_parts(head, bytes.into()) }
    }

    /// The status; comparable with numbers.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// All headers, including `Set-Cookie`.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The first header of that name, if it exists and is ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        self.response.body()
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// If it is not UTF-8.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(self.bytes()) {
            Ok(text) => text,
            Err(error) => panic!("{}: no text: {error}", self.what),
        }
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If it is not the JSON of a `T`.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(self.bytes()) {
            Ok(value) => value,
            Err(error) => panic!("{}: {error}: {:?}", self.what, self.bytes()),
        }
    }
}

impl fmt::Debug for TestResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestResponse")
            .field("request", &self.what)
            .field("status", &self.status())
            .field("body", self.bytes())
            .finish_non_exhaustive()
    }
}
