//! Test client: sends requests to a service, keeps cookies.

#![allow(clippy::panic, reason = "a request that cannot be made has to fail the test")]

use std::{fmt, future::Future, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use crate::{
    Error, RedisSessionLayer, SessionContext,
    testing::{body::TestBody, browser::Browser},
};

/// Sends requests to a service without a server, and keeps cookies like a browser.
///
/// A browser at `https://example.org`: cookies follow `Path`, `Domain`, `Max-Age`, `Expires`,
/// `Secure` and the prefixes `__Host-` and `__Secure-`. Ages are measured by the clock of the
/// layer's store. Requests have `Sec-Fetch-Site: same-origin` unless the test sets this header or
/// `Origin`; with `cross-site` they get the cookies that `SameSite` allows for a link (`GET`) or a
/// form of another site. With a layer whose [`Transport`](crate::Transport) is a header it sends
/// the token there.
///
/// ```
/// use tower::{Layer, service_fn};
/// use tower_redis_session::{Error, SessionContext, testing::{TestBody, TestSessions}};
///
/// async fn greet(request: http::Request<TestBody>) -> Result<http::Response<String>, Error> {
///     let session = SessionContext::from_extensions(request.extensions())?;
///     let user = session.user_id().await?;
///     Ok(http::Response::new(format!("hello {}", user.unwrap_or_default())))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let sessions = TestSessions::new();
/// let client = sessions.client(sessions.layer().layer(service_fn(greet)));
/// let response = client.login("alice").await.get("/").await;
/// assert_eq!(response.text(), "hello alice");
/// # }
/// ```
pub struct TestClient<S, B = TestBody> {
    pub(super) app: S,
    pub(super) browser: Arc<Browser>,
    pub(super) body: fn(Bytes) -> B,
}

impl<S> TestClient<S, TestBody> {
    /// A browser without cookies for `app`, which contains `layer`. [`TestSessions::client`] does
    /// the same with its own layer.
    ///
    /// [`TestSessions::client`]: super::TestSessions::client
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer, testing::TestClient};
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let client = TestClient::new(&layer, ());
    /// # drop(client);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn new<A>(layer: &RedisSessionLayer<A>, app: S) -> Self {
        Self::with_body(layer, app, TestBody::from)
    }
}

impl<S, B> TestClient<S, B> {
    /// The same for a service with another request body, which `body` creates.
    ///
    /// ```
    /// # use tower::{Layer, service_fn};
    /// # use tower_redis_session::{Error, testing::{TestClient, TestSessions}};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let sessions = TestSessions::new();
    /// let echo = service_fn(async |request: http::Request<Vec<u8>>| {
    ///     Ok::<_, Error>(http::Response::new(String::from_utf8(request.into_body()).unwrap()))
    /// });
    /// let app = sessions.layer().layer(echo);
    /// let client = TestClient::with_body(&sessions.layer(), app, Vec::from);
    /// assert_eq!(client.post("/").body("hello").await.text(), "hello");
    /// # }
    /// ```
    pub fn with_body<A>(layer: &RedisSessionLayer<A>, app: S, body: fn(Bytes) -> B) -> Self {
        Self { app, browser: Arc::new(Browser::new(layer)), body }
    }

    /// The same browser at `http://example.org`: it neither stores nor sends `Secure` cookies.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = TestSessions::new().client(()).plain_http();
    /// client.login("alice").await;
    /// assert_eq!(client.cookie("__Host-session"), None);
    /// # }
    /// ```
    #[must_use]
    pub fn plain_http(self) -> Self {
        self.browser.use_plain_http();
        self
    }

    /// Signs `user_id` in, in this browser's session, as a handler does by
    /// [`SessionContext::login`].
    ///
    /// # Panics
    ///
    /// If the sign-in fails.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = TestSessions::new().client(());
    /// client.login("alice").await;
    /// assert!(client.cookie("__Host-session").is_some());
    /// # }
    /// ```
    pub async fn login(&self, user_id: &str) -> &Self {
        let work = |session: SessionContext| async move { session.login(user_id).await };
        match self.session(work).await {
            Ok(()) => self,
            Err(error) => panic!("cannot sign {user_id} in: {error:?}"),
        }
    }

    /// Runs `work` on this browser's session as a handler would, and stores its changes: to prepare
    /// a session, or to inspect it after a request.
    ///
    /// # Errors
    ///
    /// That of `work`, or of storing its changes.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_redis_session::Error> {
    /// let client = TestSessions::new().client(());
    /// client.session(|session| async move { session.insert("theme", "dark").await }).await?;
    /// let theme = client.session(|session| async move { session.get("theme").await }).await?;
    /// assert_eq!(theme, Some("dark".to_owned()));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn session<T, F, Fut>(&self, work: F) -> Result<T, Error>
    where
        F: FnOnce(SessionContext) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.browser.session(work).await
    }

    /// The token of this browser's session for [`CsrfLayer`](crate::csrf::CsrfLayer), for a form
    /// field or a header. [`TestRequest::csrf`](super::TestRequest::csrf) sends it automatically.
    ///
    /// # Panics
    ///
    /// If the session cannot be loaded.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = TestSessions::new().client(());
    /// assert!(!client.csrf_token().await.is_empty());
    /// # }
    /// ```
    pub async fn csrf_token(&self) -> String {
        self.browser.csrf_token().await
    }

    /// The value of a cookie of this browser.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// assert_eq!(TestSessions::new().client(()).cookie("__Host-session"), None);
    /// ```
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.browser.cookie(name)
    }

    /// Stores a cookie as if a response to `/` had set it; in the syntax of `Set-Cookie`.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// let client = TestSessions::new().client(());
    /// client.set_cookie("language=de; Path=/");
    /// assert_eq!(client.cookie("language").as_deref(), Some("de"));
    /// ```
    pub fn set_cookie(&self, set_cookie: &str) {
        self.browser.set_cookie(set_cookie);
    }

    /// Removes all cookies, and the token of a header transport.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = TestSessions::new().client(());
    /// client.login("alice").await.clear_cookies();
    /// assert_eq!(client.cookie("__Host-session"), None);
    /// # }
    /// ```
    pub fn clear_cookies(&self) {
        self.browser.clear();
    }

    /// Restarts the browser: cookies without `Max-Age` or `Expires` are removed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::{SessionExpiry, testing::TestSessions};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = TestSessions::new().client(());
    /// client.login("alice").await.restart();
    /// assert_eq!(client.cookie("__Host-session"), None);
    /// # }
    /// ```
    pub fn restart(&self) {
        self.browser.restart();
    }

    /// Sends `request` with this browser's cookies and returns the service's response with its body
    /// unread: for a stream, an upgrade, or a service that fails. For other requests use
    /// [`get`](Self::get), [`post`](Self::post) or [`request`](Self::request).
    ///
    /// # Errors
    ///
    /// That of the service.
    ///
    /// ```
    /// # use tower::service_fn;
    /// # use tower_redis_session::testing::{TestBody, TestSessions};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let broken = service_fn(async |_: http::Request<TestBody>| {
    ///     Err::<http::Response<String>, _>("broken")
    /// });
    /// let client = TestSessions::new().client(broken);
    /// assert_eq!(client.call(http::Request::default()).await.unwrap_err(), "broken");
    /// # }
    /// ```
    pub async fn call<R>(&self, request: Request<B>) -> Result<Response<R>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
    {
        let response = self.browser.send(self.app.clone(), request).await;
        self.browser.settle().await;
        response
    }
}

impl<S, B> fmt::Debug for TestClient<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient").finish_non_exhaustive()
    }
}
