//! The smallest useful program with axum: counts the visits of each browser.
//!
//! ```text
//! cargo run --features axum --example axum
//! ```
//!
//! Run it, open <http://127.0.0.1:3001>, and reload. `SESSION_STORAGE=redis` keeps the count in a
//! Redis on this machine; with `--features axum,sqlite`, `SESSION_STORAGE=durable` and
//! `SESSION_DATABASE_URL=sqlite:sessions.db` keep it in a database behind that Redis. Clients that
//! are no browser need `SESSION_INSECURE_HTTP=true`, since this is plain HTTP.

use std::{error::Error as StdError, future::Future};

use axum::{
    Router,
    routing::{get, post},
};
use tokio::net::TcpListener;
use tower_redis_session::{EnvConfig, Error, SessionContext};

/// An error becomes its answer: 503 with Retry-After while the store is away.
async fn visits(session: SessionContext) -> Result<String, Error> {
    let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
    Ok(format!("visit {visits}\n"))
}

async fn logout(session: SessionContext) -> Result<&'static str, Error> {
    session.logout().await?;
    Ok("good bye\n")
}

/// Serves until `stopped` completes, then answers the requests in work.
pub async fn serve(
    config: &EnvConfig,
    listener: TcpListener,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn StdError + Send + Sync>> {
    let sessions = config.layer()?;
    // Creates the tables if sessions are kept in a database; every instance may, at every start.
    sessions.migrate().await?;
    let app = Router::new()
        .route("/", get(visits))
        .route("/logout", post(logout))
        .layer(sessions.clone());
    axum::serve(listener, app).with_graceful_shutdown(stopped).await?;
    sessions.shutdown().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError + Send + Sync>> {
    let config = EnvConfig::from_env()?;
    let listener = TcpListener::bind("127.0.0.1:3001").await?;
    serve(&config, listener, async {
        // Without a signal handler the server just runs until it is killed.
        let _ = tokio::signal::ctrl_c().await;
    })
    .await
}
