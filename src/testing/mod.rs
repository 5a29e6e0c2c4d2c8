//! For tests: a client that calls handlers without a server, and a conformance suite for stores.
//!
//! Feature `testing`, in `[dev-dependencies]`. [`TestSessions`] is a layer on a memory store with a
//! manual clock; [`TestClient`] is a browser with cookies for any Tower service. Tests need no
//! Redis, no socket and no sleep.
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # mod example {
//! use axum::{Router, routing::{get, post}};
//! use std::time::Duration;
//! use tower_redis_session::{
//!     Error, RedisSessionLayer, SessionContext, csrf::CsrfLayer, guard::SignedIn,
//!     testing::TestSessions,
//! };
//!
//! async fn basket(user: SignedIn) -> Result<String, Error> {
//!     let items: Vec<String> = user.session.get_or_default("basket").await?;
//!     Ok(format!("{}: {}", user.user, items.join(", ")))
//! }
//!
//! async fn add(user: SignedIn, item: String) -> Result<(), Error> {
//!     let add = |items: Option<Vec<_>>| [items.unwrap_or_default(), vec![item.clone()]].concat();
//!     user.session.update("basket", add).await.map(drop)
//! }
//!
//! fn app(sessions: RedisSessionLayer) -> Router {
//!     Router::new()
//!         .route("/basket", get(basket).post(add))
//!         .layer(CsrfLayer::new())
//!         .layer(sessions)
//! }
//!
//! # pub(crate) async fn run() {
//! let sessions = TestSessions::new();
//! let client = sessions.client(app(sessions.layer()));
//!
//! assert_eq!(client.get("/basket").await.status(), 401);
//! client.login("alice").await; // a session of hers, without the application's own form
//! assert_eq!(client.post("/basket").body("tea").await.status(), 403); // no CSRF token
//! assert_eq!(client.post("/basket").body("tea").csrf().await.status(), 200);
//! assert_eq!(client.get("/basket").await.text(), "alice: tea");
//!
//! sessions.clock().advance(Duration::from_secs(365 * 86_400));
//! assert_eq!(client.get("/basket").await.status(), 401);
//! # }
//! # }
//! # #[cfg(feature = "axum")]
//! # tokio::runtime::Runtime::new().unwrap().block_on(example::run());
//! ```
//!
//! Authors of stores call [`conformance()`].

// | file | holds |
// |---|---|
// | `sessions` | a layer on a memory store, and its clock |
// | `client` | a browser that calls a service |
// | `browser` | its cookies and headers |
// | `request`, `body` | the requests that it sends |
// | `response` | the response, read to its end |
// | `cookie_jar` | which cookies a browser keeps and sends |
// | `probe` | a closure as the handler behind the layer |
// | `conformance` | the contract of a store, checked sentence by sentence |
// | `handler` | runs the examples of this documentation |
// | `accounts` | a directory of three users |
// | `sample_record` | a record to store |

mod accounts;
mod body;
mod browser;
mod client;
mod conformance;
mod cookie_jar;
mod handler;
mod probe;
mod request;
mod response;
mod sample_record;
mod sessions;

pub use accounts::Accounts;
pub use body::TestBody;
pub use client::TestClient;
pub use conformance::conformance;
#[doc(hidden)]
pub use handler::{handle, run};
pub use request::TestRequest;
pub use response::TestResponse;
pub use sessions::TestSessions;
