//! The servers: each does one thing for every request.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::COOKIE};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use redis::aio::MultiplexedConnection;
use tokio::net::TcpListener;
use tower_layer::Layer as _;
use tower_redis_session::{Error, RedisConfig, RedisSessionLayer, RedisStore, SessionContext};

use crate::load::BODY;

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Plain hyper.
    Floor,
    /// Plain hyper and a `GET` over one multiplexed connection.
    Get,
    /// The same with a `SET` after it.
    GetSet,
    /// The layer, and a handler that does not ask for the session.
    Untouched,
    /// The layer, and a handler that gets one value.
    Read,
    /// The layer, and a handler that counts.
    Update,
}

impl Variant {
    /// Each beside the one it is held against, so that what else the machine does meets both.
    pub const ALL: [Self; 6] =
        [Self::Floor, Self::Untouched, Self::Get, Self::Read, Self::GetSet, Self::Update];

    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Get => "get",
            Self::GetSet => "get-set",
            Self::Untouched => "untouched",
            Self::Read => "read",
            Self::Update => "update",
        }
    }

    pub fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|variant| variant.name() == name).expect("a variant's name")
    }
}

/// Serves until the process is killed; prints the address first.
pub fn serve(variant: Variant, redis: &str, workers: usize) {
    let mut builder = match workers {
        0 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(workers.max(1)).enable_all().build().unwrap();
    runtime.block_on(async {
        // In a task, as connections are: the thread that blocks on a future is not a worker.
        let redis = redis.to_owned();
        tokio::spawn(async move { serve_variant(variant, &redis).await }).await.unwrap();
    });
}

async fn serve_variant(variant: Variant, redis: &str) {
    match variant {
        Variant::Floor => accept(service_fn(|_| async { found::<Infallible>(true) })).await,
        Variant::Get => {
            let connection = connect(redis).await;
            accept(service_fn(move |request| get(request, connection.clone()))).await
        }
        Variant::GetSet => {
            let connection = connect(redis).await;
            accept(service_fn(move |request| get_set(request, connection.clone()))).await
        }
        Variant::Untouched => {
            let handler = tower::service_fn(|_| async { found::<Infallible>(true) });
            accept(TowerToHyperService::new(layer(redis).layer(handler))).await
        }
        Variant::Read => {
            let handler = tower::service_fn(read);
            accept(TowerToHyperService::new(layer(redis).layer(handler))).await
        }
        Variant::Update => {
            let handler = tower::service_fn(update);
            accept(TowerToHyperService::new(layer(redis).layer(handler))).await
        }
    }
}

async fn accept<S>(service: S)
where
    S: HttpService<Incoming, ResBody: Body<Data: Send, Error: Into<BoxError>> + Send>,
    S: Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
{
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connection);
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn get(
    request: Request<Incoming>,
    mut redis: MultiplexedConnection,
) -> Result<Response<Full<Bytes>>, redis::RedisError> {
    let key = plain_key(request.headers()[COOKIE].as_bytes());
    let value: Option<Vec<u8>> = redis::cmd("GET").arg(key).query_async(&mut redis).await?;
    found(value.is_some())
}

async fn get_set(
    request: Request<Incoming>,
    mut redis: MultiplexedConnection,
) -> Result<Response<Full<Bytes>>, redis::RedisError> {
    let key = plain_key(request.headers()[COOKIE].as_bytes());
    let value: Option<Vec<u8>> = redis::cmd("GET").arg(&key).query_async(&mut redis).await?;
    let there = value.is_some();
    let () = redis::cmd("SET").arg(&key).arg(value).query_async(&mut redis).await?;
    found(there)
}

async fn read(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Error> {
    let session = request.extensions().get::<SessionContext>().unwrap();
    let theme: Option<String> = session.get("theme").await?;
    found(theme.is_some())
}

async fn update(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Error> {
    let session = request.extensions().get::<SessionContext>().unwrap();
    let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
    found(visits > 1)
}

/// A server that answers without having found anything measures nothing, and the load would end.
fn found<E>(found: bool) -> Result<Response<Full<Bytes>>, E> {
    let mut response = Response::new(Full::new(Bytes::from_static(BODY.as_bytes())));
    if !found {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// The one connection that all requests share, with the library's own settings.
async fn connect(redis: &str) -> MultiplexedConnection {
    let client = redis::Client::open(redis).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// Before the addresses of a cluster.
pub const CLUSTER: &str = "cluster ";

/// The layer as it is without configuration.
pub fn layer(redis: &str) -> RedisSessionLayer {
    let config = match redis.strip_prefix(CLUSTER) {
        Some(seeds) => RedisConfig::cluster(seeds.split(',')),
        None => RedisConfig::new(redis),
    };
    let store = RedisStore::new(config).unwrap();
    RedisSessionLayer::builder(store).build().unwrap()
}

/// The key of a server without the layer, straight from the cookie.
pub fn plain_key(cookie: &[u8]) -> String {
    let token = cookie.split(|byte| *byte == b'=').nth(1).unwrap();
    format!("plain:bench:k:{}", str::from_utf8(token).unwrap())
}
