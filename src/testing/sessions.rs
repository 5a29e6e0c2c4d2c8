//! Sessions for a test: a memory store, a manual clock, a layer.

#![allow(clippy::panic, reason = "a request that cannot be made has to fail the test")]

use crate::{
    ConfigError, MemoryStore, RedisSessionLayer, RedisSessionLayerBuilder,
    clock::ManualClock,
    testing::{body::TestBody, client::TestClient},
};

/// A session layer on a memory store, with a clock that the test advances.
///
/// ```
/// use std::time::Duration;
/// use tower_redis_session::testing::TestSessions;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_redis_session::Error> {
/// let sessions = TestSessions::new();
/// let client = sessions.client(()); // the application, if there is one to call
/// client.login("alice").await;
/// sessions.clock().advance(Duration::from_secs(86_400 * 365));
/// let user = client.session(|session| async move { session.user_id().await }).await?;
/// assert_eq!(user, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TestSessions {
    clock: ManualClock,
    store: MemoryStore,
    layer: RedisSessionLayer,
}

impl TestSessions {
    /// A layer with the defaults of [`RedisSessionLayer::builder`].
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// assert!(TestSessions::new().store().is_empty());
    /// ```
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each one has a store and a clock of its own")]
    pub fn new() -> Self {
        match Self::with(|builder| builder) {
            Ok(sessions) => sessions,
            Err(error) => panic!("the defaults build: {error}"),
        }
    }

    /// A layer with the application's own settings.
    ///
    /// # Errors
    ///
    /// Those of [`RedisSessionLayerBuilder::build`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::testing::TestSessions;
    /// let hour = Duration::from_secs(3_600);
    /// let sessions = TestSessions::with(|builder| builder.idle_timeout(hour))?;
    /// # drop(sessions);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn with(
        settings: impl FnOnce(RedisSessionLayerBuilder) -> RedisSessionLayerBuilder,
    ) -> Result<Self, ConfigError> {
        let clock = ManualClock::new();
        let store = MemoryStore::with_clock(clock.clock());
        let layer = settings(RedisSessionLayer::builder(store.clone())).build()?;
        Ok(Self { clock, store, layer })
    }

    /// The layer, for the application under test.
    ///
    /// ```
    /// # use tower::{ServiceBuilder, service_fn};
    /// # use tower_redis_session::{Error, testing::{TestBody, TestSessions}};
    /// let sessions = TestSessions::new();
    /// let app = ServiceBuilder::new().layer(sessions.layer()).service(service_fn(
    ///     async |_: http::Request<TestBody>| Ok::<_, Error>(http::Response::new(String::new())),
    /// ));
    /// # drop(app);
    /// ```
    #[must_use]
    pub fn layer(&self) -> RedisSessionLayer {
        self.layer.clone()
    }

    /// The clock of the layer, of the store and of the clients' cookies. It does not move until it
    /// is [advanced](ManualClock::advance).
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// TestSessions::new().clock().advance(std::time::Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The store, to count sessions or to build a second layer on it.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let sessions = TestSessions::new();
    /// sessions.client(()).login("alice").await;
    /// assert_eq!(sessions.store().len(), 1);
    /// # }
    /// ```
    #[must_use]
    pub fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// A new browser, without cookies, that calls `app`. Each call returns another browser.
    ///
    /// `app` has to accept requests with a [`TestBody`]: an `axum::Router`, or a service that is
    /// generic over the body. For other services use [`TestClient::with_body`].
    ///
    /// ```
    /// # use tower_redis_session::testing::TestSessions;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let sessions = TestSessions::new();
    /// let (alice, bob) = (sessions.client(()), sessions.client(()));
    /// alice.login("alice").await;
    /// bob.login("bob").await;
    /// # }
    /// ```
    pub fn client<S>(&self, app: S) -> TestClient<S, TestBody> {
        TestClient::new(&self.layer, app)
    }
}
