//! Sessions with warp: a counter, a sign-in by a form, a guarded page, an upload that is answered
//! while it goes on, and a sign-out. The filters become a Tower service, which hyper serves.
//!
//! ```text
//! cargo run -p example-warp          # then open http://127.0.0.1:3000
//! ```

mod upload;

use std::{collections::HashMap, error::Error as StdError};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::{server::conn::auto, service::TowerToHyperService};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_redis_session::{EnvConfig, Error, ErrorKind, SessionContext, csrf::CsrfLayer};
use warp::{Filter, Reply, http::StatusCode, http::Uri, redirect::see_other, reply::Response};

/// An error becomes its response: 401 without a user, 503 while the store is away.
fn respond(result: Result<impl Reply, Error>) -> Response {
    result.map_or_else(|error| error.response(), Reply::into_response)
}

async fn page(session: SessionContext) -> Result<impl Reply, Error> {
    let visits = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
    let user = session.user_id().await?.unwrap_or("nobody".to_owned());
    let uploaded = session.get::<usize>("uploaded").await?.unwrap_or(0);
    let token = session.csrf_token().await?;
    Ok(warp::reply::html(format!(
        r#"<p>visit {visits} of {user}, {uploaded} bytes uploaded</p><form method="post">
        <input type="hidden" name="csrf_token" value="{token}"><input name="password">
        <button formaction="/login">Sign in</button><button formaction="/logout">Sign out</button>"#
    )))
}

async fn account(session: SessionContext) -> Result<String, Error> {
    let user = session.user_id().await?;
    let _ = user.ok_or(Error::new(ErrorKind::Absent, "no user is signed in"))?;
    Ok("your account\n".to_owned())
}

async fn login(form: HashMap<String, String>, session: SessionContext) -> Result<Response, Error> {
    // An application compares with the hash that it keeps for each of its users.
    if form.get("password").is_none_or(|password| password != "wonderland") {
        return Ok(StatusCode::FORBIDDEN.into_response());
    }
    session.login("alice").await?;
    Ok(see_other(Uri::from_static("/")).into_response())
}

async fn logout(session: SessionContext) -> Result<impl Reply, Error> {
    session.logout().await?;
    Ok(see_other(Uri::from_static("/")))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let session = warp::ext::get::<SessionContext>();
    let (get, post) = (warp::get().and(session), warp::post().and(session));
    let form = warp::body::content_length_limit(1024).and(warp::body::form());
    let pages = (warp::path::end().and(get).then(page).map(respond))
        .or(warp::path!("account").and(get).then(account).map(respond))
        .or(warp::path!("login").and(form).and(post).then(login).map(respond))
        .or(warp::path!("logout").and(post).then(logout).map(respond))
        .or(warp::path!("upload").and(warp::body::stream()).and(post).map(upload::upload));
    let app = ServiceBuilder::new().layer(EnvConfig::from_env()?.layer()?).layer(CsrfLayer::new());
    let app = TowerToHyperService::new(app.service(warp::service(pages)));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    loop {
        let (io, app) = (TokioIo::new(listener.accept().await?.0), app.clone());
        let server = auto::Builder::new(TokioExecutor::new());
        drop(tokio::spawn(async move { server.serve_connection(io, app).await.map_err(drop) }));
    }
}
