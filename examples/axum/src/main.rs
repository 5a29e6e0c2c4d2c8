//! Sessions with axum: a counter, a sign-in by a form, a guarded page, an upload that is answered
//! while it goes on, and a sign-out.
//!
//! ```text
//! cargo run -p example-axum          # then open http://127.0.0.1:3000
//! ```
//!
//! `SESSION_STORAGE=redis` keeps sessions in the Redis on this machine; see `EnvConfig`.

use std::{error::Error as StdError, future::ready};

use axum::{
    Form, Router,
    body::{Body, Bytes},
    http::StatusCode,
    response::{Html, Redirect},
    routing::{get, post},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
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

#[derive(serde::Deserialize)]
struct SignIn {
    password: String,
}

async fn login(session: SessionContext, form: Form<SignIn>) -> Result<Redirect, StatusCode> {
    // An application compares with the hash that it keeps for each of its users.
    if form.password != "wonderland" {
        return Err(StatusCode::FORBIDDEN);
    }
    session.login("alice").await.map_err(|error| error.status())?;
    Ok(Redirect::to("/"))
}

async fn logout(session: SessionContext) -> Result<Redirect, Error> {
    session.logout().await?;
    Ok(Redirect::to("/"))
}

async fn upload(session: SessionContext, body: Body) -> Body {
    let totals = body.into_data_stream().scan(0, |total, chunk| {
        *total += chunk.as_ref().map_or(0, Bytes::len);
        ready(Some(chunk.map(|_| *total)))
    });
    Body::from_stream(totals.and_then(move |total| {
        let session = session.clone();
        async move {
            // Buffered, and stored before the last piece leaves.
            session.insert("uploaded", &total).await.map_err(axum::Error::new)?;
            Ok(format!("{total} bytes\n"))
        }
    }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let sessions = EnvConfig::from_env()?.layer()?;
    let guarded = Router::new().route("/account", get(|| async { "your account\n" }));
    let app = Router::new()
        .merge(guarded.route_layer(RequireLayer::user()))
        .route("/", get(page))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/upload", post(upload))
        .layer(CsrfLayer::new())
        .layer(sessions);
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    axum::serve(TcpListener::bind(address).await?, app).await?;
    Ok(())
}
