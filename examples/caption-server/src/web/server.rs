//! Connections: accepted within bounds, served, and drained at the end.

use std::{convert::Infallible, future::Future, io, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown, graceful::Watcher},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::{Service, ServiceExt};

use tower_redis_session::layer::PeerAddress;

use crate::web::Body;

/// Further clients wait in the system's queue.
const MAX_CONNECTIONS: usize = 512;

/// How long the server waits, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a request's head to arrive. Defaults to 10 s.
    pub(crate) head: Duration,
    /// For the next request on a connection, and for its first. Defaults to 60 s.
    pub(crate) idle: Duration,
    /// For requests in work after the end was asked for. Defaults to 10 s.
    pub(crate) drain: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(10),
        }
    }
}

/// Serves a service on a listener.
pub(crate) struct Server<S> {
    service: S,
    http: auto::Builder<TokioExecutor>,
    slots: Arc<Semaphore>,
    patience: Patience,
}

impl<S> Server<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    pub(crate) fn new(service: S, patience: Patience) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(patience.head)
            .max_buf_size(64 * 1024);
        http.http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .max_concurrent_streams(32)
            .max_header_list_size(32 * 1024);
        Self { service, http, slots: Arc::new(Semaphore::new(MAX_CONNECTIONS)), patience }
    }

    /// Accepts connections until `shutdown` completes, then lets the requests in work finish, as
    /// long as its patience lasts.
    pub(crate) async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = self.accept(&listener) => match accepted {
                    Ok((stream, peer, slot)) => {
                        connections.spawn(self.serve(stream, peer, slot, graceful.watcher()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "connection not accepted");
                        // Out of file descriptors, most likely; some come back when
                        // connections end, and a busy loop would not hasten that.
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                // The set would otherwise keep what ended connections returned.
                Some(_) = connections.join_next() => {}
            }
        }
        // From here on the system refuses new connections.
        drop(listener);
        tracing::info!("no longer accepting connections");
        if timeout(self.patience.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!(left = connections.len(), "connections not closed in time");
        }
        connections.shutdown().await;
    }

    /// A place first and then a client, so that nobody is accepted and then left waiting.
    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, PeerAddress, OwnedSemaphorePermit)> {
        // Cancellation safety: a permit that is dropped goes back; `accept` loses no client.
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        Ok((stream, PeerAddress(peer), slot))
    }

    fn serve(
        &self,
        stream: TcpStream,
        peer: PeerAddress,
        slot: OwnedSemaphorePermit,
        watcher: Watcher,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let service = self.service.clone();
        let http = self.http.clone();
        let patience = self.patience.idle;
        async move {
            let _slot = slot;
            let (busy, seen) = watch::channel(0_usize);
            let busy = Arc::new(busy);
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                let busy = Busy::new(&busy);
                let mut request = request.map(|body| body.map_err(io::Error::other).boxed_unsync());
                // Where the list of devices has the address from.
                let _ = request.extensions_mut().insert(peer);
                let answer = service.clone().oneshot(request);
                async move {
                    let Ok(answer) = answer.await;
                    // Until the last of the body has left, too.
                    let until_its_end = move |frame| {
                        let _ = &busy;
                        frame
                    };
                    Ok::<_, Infallible>(answer.map(|body| Body::new(body.map_frame(until_its_end))))
                }
            });
            let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
            tokio::select! {
                ended = watcher.watch(connection) => if let Err(error) = ended {
                    tracing::debug!(error, "connection closed early");
                },
                () = idle(seen, patience) => tracing::debug!("idle connection closed"),
            }
        }
    }
}

/// A request in work on a connection.
struct Busy(Arc<watch::Sender<usize>>);

impl Busy {
    fn new(count: &Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|requests| *requests += 1);
        Self(Arc::clone(count))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|requests| *requests -= 1);
    }
}

/// Completes once the connection had no request in work for a while. hyper's own limit on the
/// time for a head starts only after the first bytes have told HTTP/1 from HTTP/2.
async fn idle(mut requests: watch::Receiver<usize>, patience: Duration) {
    loop {
        let waiting = *requests.borrow_and_update() == 0;
        let change = requests.changed();
        if !waiting {
            if change.await.is_err() {
                return;
            }
        } else if timeout(patience, change).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
