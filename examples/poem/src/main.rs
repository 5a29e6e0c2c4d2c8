//! Sessions with poem: a counter, a sign-in by a form, a guarded page, an upload that is answered
//! while it goes on, and a sign-out. Tower's layers stand between two adapters: `compat` of poem's,
//! and `inside` for the endpoints.
//!
//! ```text
//! cargo run -p example-poem          # then open http://127.0.0.1:3000
//! ```

use std::{convert::Infallible, error::Error as StdError, future::ready, io, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt as _, combinators::BoxBody};
use poem::endpoint::{TowerCompatExt as _, make_sync};
use poem::http::{Request, Response, StatusCode, uri::Scheme};
use poem::web::{Data, Form, Html, Redirect};
use poem::{Body, Endpoint, Route, get, handler, listener::TcpListener, post};
use tower::{Layer as _, Service, ServiceBuilder, service_fn};
use tower_redis_session::{EnvConfig, Error, SessionContext, csrf::CsrfLayer, guard::RequireLayer};

type Boxed = BoxBody<hyper::body::Bytes, io::Error>;

/// An endpoint as a service. Bodies go through piece by piece.
fn inside<B>(
    endpoint: impl Endpoint + 'static,
) -> impl Service<Request<B>, Response = Response<Boxed>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
where
    B: hyper::body::Body<Data = hyper::body::Bytes, Error: Into<Box<dyn StdError + Send + Sync>>>
        + Send
        + 'static,
{
    let endpoint = Arc::new(endpoint);
    service_fn(move |request: Request<B>| {
        let (endpoint, (parts, body)) = (Arc::clone(&endpoint), request.into_parts());
        let parts = (parts, Default::default(), Default::default(), Scheme::HTTP).into();
        let body = Body::from_bytes_stream(body.into_data_stream().map_err(io::Error::other));
        async move { Ok(endpoint.get_response(poem::Request::from_parts(parts, body)).await.into()) }
    })
}

/// An error becomes its response: 503 while the store is away.
fn failed(error: Error) -> poem::Error {
    let status = error.status();
    poem::Error::new(error, status)
}

#[handler]
async fn page(Data(session): Data<&SessionContext>) -> poem::Result<Html<String>> {
    let visits =
        session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await.map_err(failed)?;
    let user = session.user_id().await.map_err(failed)?.unwrap_or("nobody".to_owned());
    let uploaded = session.get::<usize>("uploaded").await.map_err(failed)?.unwrap_or(0);
    let token = session.csrf_token().await.map_err(failed)?;
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

#[handler]
async fn login(Data(session): Data<&SessionContext>, form: Form<SignIn>) -> poem::Result<Redirect> {
    // An application compares with the hash that it keeps for each of its users.
    if form.0.password != "wonderland" {
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

#[handler]
async fn upload(Data(session): Data<&SessionContext>, body: Body) -> Body {
    let session = session.clone();
    let totals = body.into_bytes_stream().scan(0, |total, chunk| {
        *total += chunk.as_ref().map_or(0, |chunk| chunk.len());
        ready(Some(chunk.map(|_| *total)))
    });
    Body::from_bytes_stream(totals.and_then(move |total| {
        let session = session.clone();
        async move {
            // Buffered, and stored before the last piece leaves.
            session.insert("uploaded", &total).await.map_err(io::Error::other)?;
            Ok(format!("{total} bytes\n"))
        }
    }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let account = RequireLayer::user().layer(inside(make_sync(|_| "your account\n")));
    let app = Route::new()
        .at("/", get(page))
        .at("/account", account.compat())
        .at("/login", post(login))
        .at("/logout", post(logout))
        .at("/upload", post(upload));
    let sessions = EnvConfig::from_env()?.layer()?;
    let app = ServiceBuilder::new().layer(sessions).layer(CsrfLayer::new()).service(inside(app));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    poem::Server::new(TcpListener::bind(address)).run(app.compat()).await?;
    Ok(())
}
