//! Sessions with plain hyper: a counter, a sign-in by a form, a guarded page, an upload that is
//! answered while it goes on, and a sign-out.
//!
//! ```text
//! cargo run -p example-hyper         # then open http://127.0.0.1:3000
//! ```

use std::future::ready;

use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{Method, Request, Response, StatusCode, header::LOCATION};
use http_body::Frame;
use http_body_util::{BodyExt as _, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::{server::conn::auto, service::TowerToHyperService};
use tokio::net::TcpListener;
use tower::{BoxError, Layer as _, ServiceBuilder, ServiceExt as _, service_fn};
use tower_redis_session::{
    EnvConfig, SessionContext, csrf::CsrfBody, csrf::CsrfLayer, guard::RequireLayer,
};

type Body = UnsyncBoxBody<Bytes, BoxError>;

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
    let totals = body.into_data_stream().scan(0, |total, chunk| {
        *total += chunk.as_ref().map_or(0, Bytes::len);
        ready(Some(chunk.map(|_| *total)))
    });
    Response::new(
        StreamBody::new(totals.err_into().and_then(move |total| {
            let session = session.clone();
            async move {
                // Buffered, and stored before the last piece leaves.
                session.insert("uploaded", &total).await?;
                Ok(Frame::data(format!("{total} bytes\n").into()))
            }
        }))
        .boxed_unsync(),
    )
}

fn respond(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let body = http_body_util::Full::new(text.into()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let _ = response.headers_mut().insert(LOCATION, http::HeaderValue::from_static("/"));
    response
}

async fn account(_: Request<CsrfBody<Incoming>>) -> Result<Response<Body>, BoxError> {
    Ok(respond(StatusCode::OK, "your account\n"))
}

async fn answer(request: Request<CsrfBody<Incoming>>) -> Result<Response<Body>, BoxError> {
    let session = request.extensions().get::<SessionContext>().cloned().ok_or("no layer")?;
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => return page(&session).await,
        (&Method::GET, "/account") => {
            let guarded = RequireLayer::user().layer(service_fn(account));
            let response = guarded.oneshot(request).await?;
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
    let sessions = EnvConfig::from_env()?.layer()?;
    let app = ServiceBuilder::new().layer(sessions).layer(CsrfLayer::new()).service_fn(answer);
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, service) = (listener.accept().await?.0, TowerToHyperService::new(app.clone()));
        let server = auto::Builder::new(TokioExecutor::new());
        drop(tokio::spawn(
            async move { server.serve_connection(TokioIo::new(stream), service).await },
        ));
    }
}
