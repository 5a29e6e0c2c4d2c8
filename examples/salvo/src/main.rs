//! Sessions with salvo: a counter, a sign-in by a form, a guarded page, an upload that is answered
//! while it goes on, and a sign-out. Tower's layers become hoops by `compat`.
//!
//! ```text
//! cargo run -p example-salvo         # then open http://127.0.0.1:3000
//! ```

use std::{error::Error as StdError, future::ready, io};

use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use salvo::http::ReqBody;
use salvo::prelude::*;
use tower::ServiceBuilder;
use tower_redis_session::{EnvConfig, Error, SessionContext, csrf, guard::RequireLayer};

/// An error becomes its response: 503 while the store is away.
fn failed(error: Error) -> StatusError {
    StatusError::from_code(error.status()).unwrap_or(StatusError::internal_server_error())
}

fn session(request: &Request) -> Result<SessionContext, StatusError> {
    let session = request.extensions().get::<SessionContext>().cloned();
    session.ok_or(StatusError::internal_server_error())
}

#[handler]
async fn page(request: &mut Request) -> Result<Text<String>, StatusError> {
    let session = session(request)?;
    let visits =
        session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await.map_err(failed)?;
    let user = session.user_id().await.map_err(failed)?.unwrap_or("nobody".to_owned());
    let uploaded = session.get::<usize>("uploaded").await.map_err(failed)?.unwrap_or(0);
    let token = session.csrf_token().await.map_err(failed)?;
    Ok(Text::Html(format!(
        r#"<p>visit {visits} of {user}, {uploaded} bytes uploaded</p><form method="post">
        <input type="hidden" name="csrf_token" value="{token}"><input name="password">
        <button formaction="/login">Sign in</button><button formaction="/logout">Sign out</button>"#
    )))
}

#[handler]
async fn login(request: &mut Request) -> Result<Redirect, StatusError> {
    // An application compares with the hash that it keeps for each of its users.
    if request.form::<String>("password").await.is_none_or(|password| password != "wonderland") {
        return Err(StatusError::forbidden());
    }
    session(request)?.login("alice").await.map_err(failed)?;
    Ok(Redirect::other("/"))
}

#[handler]
async fn logout(request: &mut Request) -> Result<Redirect, StatusError> {
    session(request)?.logout().await.map_err(failed)?;
    Ok(Redirect::other("/"))
}

#[handler]
async fn upload(request: &mut Request, response: &mut Response) -> Result<(), StatusError> {
    let session = session(request)?;
    let totals = request.take_body().into_data_stream().scan(0, |total, chunk| {
        *total += chunk.as_ref().map_or(0, |chunk| chunk.len());
        ready(Some(chunk.map(|_| *total).map_err(io::Error::other)))
    });
    response.stream(totals.and_then(move |total| {
        let session = session.clone();
        async move {
            // Buffered, and stored before the last piece leaves.
            session.insert("uploaded", &total).await.map_err(io::Error::other)?;
            Ok(format!("{total} bytes\n"))
        }
    }));
    Ok(())
}

#[handler]
async fn account() -> &'static str {
    "your account\n"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let layers = ServiceBuilder::new()
        .layer(EnvConfig::from_env()?.layer()?)
        .layer(csrf::CsrfLayer::new())
        // Handlers of salvo's take its own body.
        .map_request(|request: salvo::hyper::Request<csrf::CsrfBody<ReqBody>>| {
            request.map(|body| ReqBody::Boxed {
                inner: Box::pin(body.map_err(Into::into)),
                fuse_config: None,
            })
        });
    let router = Router::new()
        .hoop(layers.compat())
        .get(page)
        .push(Router::with_path("account").hoop(RequireLayer::user().compat()).get(account))
        .push(Router::with_path("login").post(login))
        .push(Router::with_path("logout").post(logout))
        .push(Router::with_path("upload").post(upload));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let acceptor = TcpListener::new(address).bind().await;
    Server::new(acceptor).serve(router).await;
    Ok(())
}
