//! Sessions with salvo: a counter, a sign-in by a form, a guarded page, an upload that is answered
//! while it goes on, and a sign-out. Tower's layers become hoops by `compat`.
//!
//! ```text
//! cargo run -p example-salvo         # then open http://127.0.0.1:3000
//! ```

mod session;
mod upload;

use std::error::Error as StdError;

use http_body_util::BodyExt as _;
use salvo::http::ReqBody;
use salvo::prelude::*;
use session::{Failed, session};
use tower::ServiceBuilder;
use tower_redis_session::{EnvConfig, Error, SessionContext, csrf, guard::RequireLayer};

async fn told(session: &SessionContext) -> Result<String, Error> {
    let visits = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
    let user = session.user_id().await?.unwrap_or("nobody".to_owned());
    let uploaded = session.get::<usize>("uploaded").await?.unwrap_or(0);
    let token = session.csrf_token().await?;
    Ok(format!(
        r#"<p>visit {visits} of {user}, {uploaded} bytes uploaded</p><form method="post">
        <input type="hidden" name="csrf_token" value="{token}"><input name="password">
        <button formaction="/login">Sign in</button><button formaction="/logout">Sign out</button>"#
    ))
}

#[handler]
async fn page(request: &mut Request) -> Result<Text<String>, Failed> {
    Ok(Text::Html(told(&session(request)?).await?))
}

#[handler]
async fn login(request: &mut Request) -> Result<Redirect, Failed> {
    // An application compares with the hash that it keeps for each of its users.
    if request.form::<String>("password").await.is_none_or(|password| password != "wonderland") {
        return Err(StatusCode::FORBIDDEN.into());
    }
    session(request)?.login("alice").await?;
    Ok(Redirect::other("/"))
}

#[handler]
async fn logout(request: &mut Request) -> Result<Redirect, Failed> {
    session(request)?.logout().await?;
    Ok(Redirect::other("/"))
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
        .push(Router::with_path("upload").post(upload::upload));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    Server::new(TcpListener::new(address).bind().await).serve(router).await;
    Ok(())
}
