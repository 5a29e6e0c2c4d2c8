//! The smallest useful program with axum: counts the visits of each browser.
//!
//! ```text
//! cargo run --features axum --example axum
//! ```
//!
//! Run it, open <http://127.0.0.1:3001>, and reload. `SESSION_STORAGE=redis` keeps the count in a
//! Redis on this machine.

use axum::{Router, routing::get};
use tower_redis_session::{Config, Error, SessionContext};

/// An error becomes its answer: 503 with Retry-After while the store is away.
async fn visits(session: SessionContext) -> Result<String, Error> {
    let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
    Ok(format!("visit {visits}\n"))
}

async fn logout(session: SessionContext) -> Result<&'static str, Error> {
    session.logout().await?;
    Ok("good bye\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sessions = Config::from_env()?.layer()?.on_error(Error::response::<axum::body::Body>);
    let app = Router::new()
        .route("/", get(visits))
        .route("/logout", axum::routing::post(logout))
        .layer(sessions.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3001").await?;
    let stopped = async {
        // Without a signal handler the server just runs until it is killed.
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(stopped).await?;
    sessions.shutdown().await;
    Ok(())
}
