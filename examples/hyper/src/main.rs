//! Sessions with plain hyper: a counter, a sign-in by a form, a guarded page, an upload that is
//! answered while it goes on, and a sign-out.
//!
//! ```text
//! cargo run -p example-hyper         # then open http://127.0.0.1:3000
//! ```

mod serve;

use futures_util::{TryStreamExt as _, stream};
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Limited, StreamBody};
use hyper::body::Incoming;
use serve::{Body, failed, respond, serve};
use tower::{BoxError, Layer as _, ServiceBuilder, ServiceExt as _, service_fn};
use tower_redis_session::csrf::{CsrfBody, CsrfLayer};
use tower_redis_session::{EnvConfig, SessionContext, guard::RequireLayer};

async fn page(session: &SessionContext) -> Result<Response<Body>, BoxError> {
    let visits = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
    let user = session.user_id().await?.unwrap_or("nobody".to_owned());
    let uploaded = session.get::<usize>("uploaded").await?.unwrap_or(0);
    let token = session.csrf_token().await?;
    Ok(respond(
        StatusCode::OK,
        format!(
            r#"<p>visit {visits} of {user}, {uploaded} bytes uploaded</p><form method="post">
        <input type="hidden" name="csrf_token" value="{token}"><input name="password">
        <button formaction="/login">Sign in</button><button formaction="/logout">Sign out</button>"#
        ),
    ))
}

fn upload(session: SessionContext, body: CsrfBody<Incoming>) -> Response<Body> {
    let parts = (session, Box::pin(body.into_data_stream()), 0);
    let totals = stream::try_unfold(parts, async |(session, mut pieces, total)| {
        let Some(piece) = pieces.try_next().await? else { return Ok::<_, BoxError>(None) };
        let total = total + piece.len();
        // Buffered, and stored before the last piece leaves.
        session.insert("uploaded", &total).await?;
        let told = Frame::data(format!("{total} bytes\n").into());
        Ok(Some((told, (session, pieces, total))))
    });
    Response::new(StreamBody::new(totals).boxed_unsync())
}

async fn account(_: Request<CsrfBody<Incoming>>) -> Result<Response<Body>, BoxError> {
    Ok(respond(StatusCode::OK, "your account\n"))
}

async fn answer(request: Request<CsrfBody<Incoming>>) -> Result<Response<Body>, BoxError> {
    let session = request.extensions().get::<SessionContext>().cloned().ok_or("no layer")?;
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => return page(&session).await,
        (&Method::GET, "/account") => {
            let response = RequireLayer::user().layer(service_fn(account)).oneshot(request).await?;
            return Ok(response.map(|body| body.map_err(BoxError::from).boxed_unsync()));
        }
        (&Method::POST, "/login") => {
            let form = Limited::new(request.into_body(), 1024).collect().await?.to_bytes();
            // An application compares with the hash that it keeps for each of its users.
            if !form.split(|byte| *byte == b'&').any(|field| field == b"password=wonderland") {
                return Ok(respond(StatusCode::FORBIDDEN, ""));
            }
            session.login("alice").await?;
        }
        (&Method::POST, "/logout") => session.logout().await?,
        (&Method::POST, "/upload") => return Ok(upload(session, request.into_body())),
        _ => return Ok(respond(StatusCode::NOT_FOUND, "")),
    }
    Ok(respond(StatusCode::SEE_OTHER, ""))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let app = service_fn(async |request| Ok(answer(request).await.unwrap_or_else(failed)));
    let layers = ServiceBuilder::new().layer(EnvConfig::from_env()?.layer()?);
    serve(layers.layer(CsrfLayer::new()).service(app)).await
}
