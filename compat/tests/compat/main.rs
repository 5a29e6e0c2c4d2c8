//! tower-sessions and axum-login on the layer. Needs redis-server.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

/// `AuthSession`, `login_required!`, `permission_required!`, and the flows of their examples.
mod axum_login;
/// What a `Session` has from the layer, and what it does not.
mod promises;
/// The cases of tower-sessions' own tests, on both of its versions.
mod routes;
/// A shop on axum-login: users, a backend, pages.
mod shop;

use axum::{Router, body::Body};
use tower_redis_session::{RedisSessionLayer, testing::TestClient};

/// A browser for `app`, around which `sessions` is.
pub fn browser(sessions: &RedisSessionLayer, app: Router) -> TestClient<Router, Body> {
    TestClient::with_body(sessions, app, Body::from)
}
