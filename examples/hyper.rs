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
                session.login("alice", None).await?;
            } else {
                *response.status_mut() = StatusCode::FORBIDDEN;
            }
        }
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(response)
}

/// Serves until `stopped` completes, then answers the requests in work.
async fn serve(
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code: a panic is the report")]

    use std::time::Duration;

    use super::*;
    use test_support::{Browser, bounded};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        sync::oneshot,
    };

    #[tokio::test]
    async fn it_counts_signs_in_and_answers_what_is_in_work_at_the_end() {
        let sessions = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut server = tokio::spawn(async move {
            serve(listener, &sessions, async { drop(stopped.await) }).await.unwrap();
            sessions.shutdown().await;
        });

        let mut browser = Browser::new(address).await;
        assert_eq!(browser.get("/").await.expect(200).text(), "visit 1 of nobody\n");
        assert_eq!(browser.get("/").await.expect(200).text(), "visit 2 of nobody\n");
        let _ = browser.post("/login", "guess").await.expect(403);
        let before = browser.cookie_header();
        let _ = browser.post("/login", "wonderland").await.expect(200);
        assert_ne!(browser.cookie_header(), before, "a sign-in gives a new id");
        assert_eq!(browser.get("/").await.expect(200).text(), "visit 3 of alice\n");
        let _ = browser.get("/nothing").await.expect(404);

        let mut slow = TcpStream::connect(address).await.unwrap();
        let head = "POST /login HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nwonder";
        slow.write_all(head.as_bytes()).await.unwrap();
        // Served after the connection of the slow client was accepted.
        let _ = Browser::new(address).await.get("/").await.expect(200);
        drop(stop);
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        let early = tokio::time::timeout(Duration::from_millis(50), &mut server).await;
        assert!(early.is_err(), "the server waits for the slow client");
        slow.write_all(b"land").await.unwrap();
        let mut answer = String::new();
        let _ = bounded("the answer", slow.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        bounded("the end of the server", server).await.unwrap();
    }
}
