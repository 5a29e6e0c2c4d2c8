//! The servers that are compared: the same handlers over different stores.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tower_layer::Layer as _;
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, DurableStore, Error, RedisConfig, RedisSessionLayer, RedisStore,
    SessionContext, store::UserStore,
};

use test_support::{Running, serve};

/// A running server, and the cookies of sessions that are signed in there.
pub struct Site {
    pub name: &'static str,
    pub layer: RedisSessionLayer,
    running: Running,
}

impl Site {
    pub async fn on(name: &'static str, store: impl UserStore) -> Self {
        let layer = RedisSessionLayer::builder(store).build().unwrap();
        layer.migrate().await.unwrap();
        let running = serve(layer.layer(tower::service_fn(handle))).await;
        Self { name, layer, running }
    }

    pub fn addr(&self) -> SocketAddr {
        self.running.addr
    }

    /// Waits until reads are served by Redis, where there is one beside a database.
    pub async fn is_well(&self) {
        while self.layer.admin().health().copies.is_some_and(|copies| !copies.trusted) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub fn redis_only(url: &str) -> RedisStore {
    RedisStore::new(RedisConfig::new(url)).unwrap()
}

pub fn sqlite(folder: &Path, name: &str) -> DatabaseConfig {
    DatabaseConfig::new(format!("sqlite:{}", folder.join(name).display()))
}

pub fn database_only(database: DatabaseConfig) -> DatabaseStore {
    DatabaseStore::new(database).unwrap()
}

pub fn durable(url: &str, prefix: &str, database: DatabaseConfig) -> DurableStore {
    let redis = RedisConfig::new(url).key_prefix(prefix);
    DurableStore::builder(redis, database).build().unwrap()
}

async fn handle(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let session = request.extensions().get::<SessionContext>().unwrap();
    let done = match request.uri().path() {
        "/login" => login(session).await,
        "/read" => session.get::<u64>("visits").await.map(|visits| visits.is_some()),
        _ => session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).await.map(|n| n > 1),
    };
    let status = match done {
        Ok(true) => StatusCode::OK,
        Ok(false) => StatusCode::NOT_FOUND,
        Err(error) => error.status(),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"ok")));
    *response.status_mut() = status;
    Ok(response)
}

async fn login(session: &SessionContext) -> Result<bool, Error> {
    session.insert("visits", &1_u64).await?;
    session.insert("theme", "x".repeat(300).as_str()).await?;
    session.login("alice").await.map(|()| true)
}
