//! A WebSocket that counts messages in its session and closes when the session is over: logged out,
//! revoked from another device or instance, or expired.
//!
//! ```text
//! SESSION_INSECURE_HTTP=true cargo run -p websocket       # http://127.0.0.1:3004
//! curl -i -d user=alice http://127.0.0.1:3004/login       # and once more, as another device
//! websocat ws://127.0.0.1:3004/ws -H 'cookie: session=..'
//! curl -X POST -H 'cookie: session=..' http://127.0.0.1:3004/revoke-others
//! ```
//!
//! `SESSION_STORAGE=redis` keeps the sessions in Redis, for any number of instances.

use std::error::Error as StdError;

use axum::{
    Form, Router,
    extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::{any, post},
};
use tower_redis_session::{
    EnvConfig, Error, SessionContext, context::LiveSession, csrf::CsrfLayer, guard::SignedIn,
};

#[derive(serde::Deserialize)]
struct Login {
    user: String,
}

/// An application checks a password here.
async fn login(session: SessionContext, Form(login): Form<Login>) -> Result<String, Error> {
    session.login(&login.user).await?;
    Ok(format!("hello {}\n", login.user))
}

async fn revoke_others(session: SessionContext) -> Result<String, Error> {
    Ok(format!("{} revoked\n", session.revoke_others().await?))
}

/// 401 without a user; 101 and the session for as long as the socket is open.
async fn open(user: SignedIn, upgrade: WebSocketUpgrade) -> Result<Response, Error> {
    let session = user.session.live().await?;
    Ok(upgrade.on_upgrade(|socket| talk(socket, session)))
}

async fn talk(mut socket: WebSocket, session: LiveSession) {
    loop {
        let message = tokio::select! {
            end = session.ended() => {
                let reason = format!("{:?}: {}", end.reason, end.user_id.unwrap_or_default());
                let frame = CloseFrame { code: 4401, reason: reason.into() };
                // The client may be gone already.
                return drop(socket.send(Message::Close(Some(frame))).await);
            }
            message = socket.recv() => message,
        };
        let Some(Ok(Message::Text(text))) = message else { return };
        // A write counts as activity. It fails if the session is over, which is told above.
        let Ok(count) = session.update("messages", |n: Option<u32>| n.unwrap_or(0) + 1).await
        else {
            continue;
        };
        if socket.send(format!("{count}: {text}").into()).await.is_err() {
            return;
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError + Send + Sync>> {
    let sessions = EnvConfig::from_env()?.layer()?;
    sessions.migrate().await?;
    let app = Router::new()
        .route("/login", post(login))
        .route("/revoke-others", post(revoke_others))
        .route("/ws", any(open))
        // No other site's page opens a socket; forms would need the token of `csrf_token`.
        .layer(CsrfLayer::builder().exempt(|head| head.method == "POST").build()?)
        .layer(sessions.clone());
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3004".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
