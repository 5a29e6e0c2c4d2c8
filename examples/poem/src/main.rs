//! Sessions with poem: a counter, a sign-in by a form, a guarded page, an upload that is answered
//! while it goes on, and a sign-out. Tower's layers stand between two adapters: `compat` of poem's,
//! and `inside` for the endpoints.
//!
//! ```text
//! cargo run -p example-poem          # then open http://127.0.0.1:3000
//! ```

mod inside;
mod upload;

use std::{collections::HashMap, error::Error as StdError};

use inside::inside;
use poem::endpoint::{TowerCompatExt as _, make_sync};
use poem::web::{Data, Form, Html, Redirect};
use poem::{Route, get, handler, http::StatusCode, listener::TcpListener, post};
use tower::{Layer as _, ServiceBuilder};
use tower_redis_session::{EnvConfig, Error, SessionContext, csrf::CsrfLayer, guard::RequireLayer};

type Fields = Form<HashMap<String, String>>;

/// An error becomes its response: 503 with `Retry-After` while the store is unreachable.
fn failed(error: Error) -> poem::Error {
    let (head, ()) = error.response().into_parts();
    let mut response = poem::Response::from(head.status);
    *response.headers_mut() = head.headers;
    poem::Error::from_response(response)
}

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
async fn page(Data(session): Data<&SessionContext>) -> poem::Result<Html<String>> {
    told(session).await.map(Html).map_err(failed)
}

#[handler]
async fn login(Data(session): Data<&SessionContext>, form: Fields) -> poem::Result<Redirect> {
    // An application compares with the hash that it keeps for each of its users.
    if form.0.get("password").is_none_or(|password| password != "wonderland") {
        return Err(StatusCode::FORBIDDEN.into());
    }
    session.login("alice").await.map_err(failed)?;
    Ok(Redirect::see_other("/"))
}

#[handler]
async fn logout(Data(session): Data<&SessionContext>) -> poem::Result<Redirect> {
    session.logout().await.map_err(failed)?;
    Ok(Redirect::see_other("/"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let account = RequireLayer::user().layer(inside(make_sync(|_| "your account\n")));
    let app = Route::new()
        .at("/", get(page))
        .at("/account", account.compat())
        .at("/login", post(login))
        .at("/logout", post(logout))
        .at("/upload", post(upload::upload));
    let sessions = EnvConfig::from_env()?.layer()?;
    let app = ServiceBuilder::new().layer(sessions).layer(CsrfLayer::new()).service(inside(app));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    poem::Server::new(TcpListener::bind(address)).run(app.compat()).await?;
    Ok(())
}
