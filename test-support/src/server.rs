//! Any Tower service on real sockets, in the test's own process.

use std::error::Error;
use std::net::SocketAddr;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt};

use super::{bounded, leak_monitor};

type BoxError = Box<dyn Error + Send + Sync>;

/// A server on a free loopback port; it stops when dropped.
#[derive(Debug)]
pub struct Running {
    pub addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Serves HTTP/1 and HTTP/2 (prior knowledge) on one port.
pub async fn serve<S, B>(service: S) -> Running
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    leak_monitor::start();
    let service = service.map_response(|response: Response<B>| {
        leak_monitor::answered(response.headers());
        response
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, mut stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        let builder = auto::Builder::new(TokioExecutor::new());
        let graceful = GracefulShutdown::new();
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => continue,
                },
                _ = &mut stopped => break,
            };
            let _ = stream.set_nodelay(true);
            let hyper_service = TowerToHyperService::new(service.clone());
            let connection =
                builder.serve_connection_with_upgrades(TokioIo::new(stream), hyper_service);
            let connection = graceful.watch(connection.into_owned());
            tokio::spawn(async move {
                // A client that leaves is no event of the server's.
                let _ = connection.await;
            });
        }
        drop(listener);
        graceful.shutdown().await;
    });
    Running { addr, stop: Some(stop), task }
}

impl Running {
    /// Stops accepting, and returns when the open requests have been answered.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        let _ = bounded("the drain of the HTTP server", &mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
        leak_monitor::check();
    }
}
