//! Sessions with tonic: a counter, a sign-in, a guarded service, an upload that is answered while
//! it goes on, a call that fails and stores nothing, and a sign-out.
//!
//! ```text
//! cargo run -p example-tonic          # serves gRPC at 127.0.0.1:3000
//! ```
//!
//! The token of a session comes as `session-token` in the metadata of a response, and goes as
//! `authorization: Bearer` in that of a call.

mod service;

use std::error::Error as StdError;

use example_tonic::{account_server::AccountServer, sessions_server::SessionsServer};
use service::Example;
use tonic::{service::Routes, transport::Server};
use tower::Layer as _;
use tower_redis_session::{EnvConfig, Transport, guard::RequireLayer, layer::Success};

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let sessions = EnvConfig::from_env()?.builder()?;
    let sessions = sessions.transport(Transport::bearer()).success(Success::grpc()).build()?;
    let account = RequireLayer::user().layer(AccountServer::new(Example));
    let guarded = axum::Router::new().route_service("/example.Account/{*method}", account);
    let routes = Routes::from(guarded).add_service(SessionsServer::new(Example));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    Server::builder().layer(sessions).add_routes(routes).serve(address.parse()?).await?;
    Ok(())
}
