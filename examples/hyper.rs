//! The smallest useful server on plain hyper: signs people in, counts each browser's visits, and
//! finishes the requests in work when it is told to end.
//!
//! ```text
//! cargo run --example hyper
//! curl -i http://127.0.0.1:3002/                                                # visit 1
//! curl -i -H 'cookie: __Host-session=...' http://127.0.0.1:3002/                # visit 2
//! curl -i -H 'cookie: __Host-session=...' -d wonderland http://127.0.0.1:3002/login
//! ```
//!
//! Pages with forms need `CsrfLayer` too, which the caption server shows.

use std::{convert::Infallible, error::Error as StdError, future::Future, io, pin::pin};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{Layer as _, service_fn};
use tower_redis_session::{Error, ErrorKind, MemoryStore, RedisSessionLayer, SessionContext};

/// An application compares with the hash that it keeps for each of its users.
const PASSWORD: &str = "wonderland";

async fn handle(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    // An error becomes its answer: 503 with Retry-After while a store is away.
    Ok(answer(request).await.unwrap_or_else(|error| error.response()))
}

async fn answer(request: Request<Incoming>) -> Result<Response<String>, Error> {
    let (head, body) = request.into_parts();
    let session = head.extensions.get::<SessionContext>().cloned();
    let session = session.ok_or(Error::new(ErrorKind::Misconfigured, "there is no layer"))?;
    let mut response = Response::new(String::new());
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/") => {
            let visits = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).await?;
            let user = session.user_id().await?.unwrap_or("nobody".to_owned());
            *response.body_mut() = format!("visit {visits} of {user}\n");
        }
        (&Method::POST, "/login") => {
            let body = Limited::new(body, 1024).collect().await;
            if body.is_ok_and(|body| body.to_bytes() == PASSWORD) {
                // The session keeps its values and gets a new id.
                session.login("alice").await?;
            } else {
                *response.status_mut() = StatusCode::FORBIDDEN;
            }
        }
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(response)
}

/// Serves until `stopped` completes, then answers the requests in work.
pub(crate) async fn serve(
    listener: TcpListener,
    sessions: &RedisSessionLayer,
    stopped: impl Future<Output = ()>,
) -> io::Result<()> {
    let service = sessions.layer(service_fn(handle));
    let (graceful, mut stopped) = (GracefulShutdown::new(), pin!(stopped));
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            () = &mut stopped => break,
        };
        let http = auto::Builder::new(TokioExecutor::new());
        let service = TowerToHyperService::new(service.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
        drop(tokio::spawn(graceful.watch(connection)));
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    // In Redis: RedisStore::new(RedisConfig::new("redis://127.0.0.1:6379"))?
    let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    let listener = TcpListener::bind("127.0.0.1:3002").await?;
    println!("http://{}", listener.local_addr()?);
    serve(listener, &sessions, async { drop(tokio::signal::ctrl_c().await) }).await?;
    // Commits whose client left early are finished, and the store is closed.
    sessions.shutdown().await;
    Ok(())
}
