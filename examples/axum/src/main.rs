//! Sessions with axum: a counter, a sign-in by a form, a guarded page, an upload that is answered
//! while it goes on, and a sign-out.
//!
//! ```text
//! cargo run -p example-axum          # then open http://127.0.0.1:3000
//! ```

use std::{collections::HashMap, error::Error as StdError};

use axum::{
    Form, Router,
    body::Body,
    http::StatusCode,
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use futures_util::{TryStreamExt as _, stream};
use tokio::net::TcpListener;
use tower_redis_session::{EnvConfig, Error, SessionContext, csrf::CsrfLayer, guard::RequireLayer};

async fn page(session: SessionContext) -> Result<Html<String>, Error> {
    let visits = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
    let user = session.user_id().await?.unwrap_or("nobody".to_owned());
    let uploaded = session.get::<usize>("uploaded").await?.unwrap_or(0);
    let token = session.csrf_token().await?;
    Ok(Html(format!(
        r#"<p>visit {visits} of {user}, {uploaded} bytes uploaded</p><form method="post">
        <input type="hidden" name="csrf_token" value="{token}"><input name="password">
        <button formaction="/login">Sign in</button><button formaction="/logout">Sign out</button>"#
    )))
}

type Fields = Form<HashMap<String, String>>;

async fn login(session: SessionContext, Form(fields): Fields) -> Result<Response, Error> {
    // An application compares with the hash that it keeps for each of its users.
    if fields.get("password").is_none_or(|password| password != "wonderland") {
        return Ok(StatusCode::FORBIDDEN.into_response());
    }
    session.login("alice").await?;
    Ok(Redirect::to("/").into_response())
}

async fn logout(session: SessionContext) -> Result<Redirect, Error> {
    session.logout().await?;
    Ok(Redirect::to("/"))
}

async fn upload(session: SessionContext, body: Body) -> Body {
    let parts = (session, body.into_data_stream(), 0);
    Body::from_stream(stream::try_unfold(parts, async |(session, mut pieces, total)| {
        let Some(piece) = pieces.try_next().await? else { return Ok::<_, axum::Error>(None) };
        let total = total + piece.len();
        // Buffered, and stored before the last piece leaves.
        session.insert("uploaded", &total).await.map_err(axum::Error::new)?;
        Ok(Some((format!("{total} bytes\n"), (session, pieces, total))))
    }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    // In memory; with `SESSION_STORAGE=redis` in the Redis on this machine.
    let sessions = EnvConfig::from_env()?.layer()?;
    let account = Router::new().route("/account", get(|| async { "your account\n" }));
    let app = Router::new()
        .route("/", get(page))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/upload", post(upload))
        .merge(account.route_layer(RequireLayer::user()))
        .layer(CsrfLayer::new())
        .layer(sessions);
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    axum::serve(TcpListener::bind(address).await?, app).await?;
    Ok(())
}
