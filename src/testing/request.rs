//! Requests of a test client.

#![allow(clippy::panic, reason = "a request that cannot be made has to fail the test")]

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header::CONTENT_TYPE};
use http_body::Body;
use serde::Serialize;
use tower_service::Service;

use crate::testing::{client::TestClient, response::TestResponse};

const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// A request of a [`TestClient`]; `.await` sends it and reads the whole response.
///
/// Errors fail the test: `.await` panics with method and path if the service or a body fails. For a
/// service whose future is not `Send` use [`TestClient::call`].
///
/// ```
/// # use {http::Request, tower::service_fn};
/// # use tower_redis_session::testing::{TestBody, TestSessions};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let client = TestSessions::new().client(service_fn(async |request: Request<TestBody>| {
/// #     let body = request.into_body().as_bytes().to_vec();
/// #     Ok::<_, std::io::Error>(http::Response::new(String::from_utf8(body).unwrap()))
/// # }));
/// let response = client.post("/basket").form(&[("item", "green tea")]).csrf().await;
/// assert_eq!(response.text(), "item=green+tea");
/// # }
/// ```
#[must_use = "a request is sent by `.await`"]
pub struct TestRequest<'a, S, B> {
    client: &'a TestClient<S, B>,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    csrf: bool,
}

impl<S, B> TestClient<S, B> {
    /// Starts a `GET` request for `path`, optionally with a query.
    ///
    /// ```
    /// # use {http::Request, tower::service_fn};
    /// # use tower_redis_session::testing::{TestBody, TestSessions};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let client = TestSessions::new().client(service_fn(async |request: Request<TestBody>| {
    /// #     Ok::<_, std::io::Error>(http::Response::new(request.uri().to_string()))
    /// # }));
    /// assert_eq!(client.get("/search?q=tea").await.text(), "/search?q=tea");
    /// # }
    /// ```
    pub fn get(&self, path: &str) -> TestRequest<'_, S, B> {
        self.request(Method::GET, path)
    }

    /// Starts a `POST` request.
    ///
    /// ```
    /// # use {http::Request, tower::service_fn};
    /// # use tower_redis_session::testing::{TestBody, TestSessions};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let client = TestSessions::new().client(service_fn(async |request: Request<TestBody>| {
    /// #     Ok::<_, std::io::Error>(http::Response::new(request.method().to_string()))
    /// # }));
    /// assert_eq!(client.post("/").await.text(), "POST");
    /// # }
    /// ```
    pub fn post(&self, path: &str) -> TestRequest<'_, S, B> {
        self.request(Method::POST, path)
    }

    /// Starts a request of any method.
    ///
    /// ```
    /// # use http::Method;
    /// # use {http::Request, tower::service_fn};
    /// # use tower_redis_session::testing::{TestBody, TestSessions};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let client = TestSessions::new().client(service_fn(async |request: Request<TestBody>| {
    /// #     Ok::<_, std::io::Error>(http::Response::new(request.method().to_string()))
    /// # }));
    /// assert_eq!(client.request(Method::DELETE, "/notes/1").await.text(), "DELETE");
    /// # }
    /// ```
    pub fn request(&self, method: Method, path: &str) -> TestRequest<'_, S, B> {
        TestRequest {
            client: self,
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            csrf: false,
        }
    }
}

impl<S, B> TestRequest<'_, S, B> {
    /// Sets a header, in place of the client's default.
    ///
    /// # Panics
    ///
    /// If it is not a valid header.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// # let client = TestSessions::new().client(());
    /// let request = client.post("/transfer").header("sec-fetch-site", "cross-site");
    /// # drop(request);
    /// ```
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => drop(self.headers.insert(name, value)),
            _ => panic!("{name:?}: {value:?} is no header"),
        }
        self
    }

    /// Sets the body.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// # let client = TestSessions::new().client(());
    /// let request = client.post("/pictures").header("content-type", "image/png").body("...");
    /// # drop(request);
    /// ```
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body as `application/x-www-form-urlencoded`.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// # let client = TestSessions::new().client(());
    /// let request = client.post("/login").form(&[("user", "alice"), ("password", "wonderland")]);
    /// # drop(request);
    /// ```
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let fields: Vec<_> = fields
            .iter()
            .map(|(k, v)| format!("{}={}", form_encoded(k), form_encoded(v)))
            .collect();
        self.header(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded")
            .body(fields.join("&"))
    }

    /// Sets the body as `application/json`.
    ///
    /// # Panics
    ///
    /// If `value` cannot be serialized to JSON.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// # let client = TestSessions::new().client(());
    /// let request = client.post("/notes").json(&["buy tea"]);
    /// # drop(request);
    /// ```
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => self.header(CONTENT_TYPE.as_str(), "application/json").body(json),
            Err(error) => panic!("no JSON: {error}"),
        }
    }

    /// Sends the session's CSRF token in `x-csrf-token`. For a
    /// [`CsrfLayer`](crate::csrf::CsrfLayer) with another header, or to test a form field, put
    /// [`TestClient::csrf_token`] there.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// # let client = TestSessions::new().client(());
    /// let request = client.post("/logout").csrf();
    /// # drop(request);
    /// ```
    pub fn csrf(mut self) -> Self {
        self.csrf = true;
        self
    }
}

impl<'a, S, B, R> IntoFuture for TestRequest<'a, S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'a,
    S::Future: Send,
    S::Error: fmt::Debug + Send,
    B: Send + 'a,
    R: Body + Send,
    R::Error: fmt::Debug,
{
    type Output = TestResponse;
    type IntoFuture = Pin<Box<dyn Future<Output = TestResponse> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { client, method, path, mut headers, body, csrf } = self;
        let (app, browser) = (client.app.clone(), client.browser.clone());
        let what = format!("{method} {path}");
        let request = Request::builder().method(method).uri(path).body((client.body)(body));
        Box::pin(async move {
            if csrf && let Ok(token) = HeaderValue::try_from(browser.csrf_token().await) {
                let _ = headers.insert(CSRF_HEADER, token);
            }
            let mut request = request.unwrap_or_else(|error| panic!("{what}: {error}"));
            *request.headers_mut() = headers;
            match browser.send(app, request).await {
                Ok(response) => {
                    let response = TestResponse::read(what, response).await;
                    browser.settle().await;
                    response
                }
                Err(error) => panic!("{what}: the service failed: {error:?}"),
            }
        })
    }
}

impl<S, B> fmt::Debug for TestRequest<'_, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Encodes a name or a value of a form, by the URL standard.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
